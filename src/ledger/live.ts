import { type Heartbeat, heartbeatSchema, type Progress, progressSchema } from "../core/messages/bus.ts";
import { type Database, numberOf, textOf } from "./database.ts";
import type { ScannerLive } from "./types.ts";

/** Progress older than that is no longer running. */
export const PROGRESS_FRESH_MS = 15_000;
const PROGRESS_KEPT_MS = 600_000;

/** Lossy: the newest heartbeat of each scanner. */
export async function putHeartbeat(database: Database, heartbeat: Heartbeat, nowMs: number): Promise<void> {
  await database.batch(
    [
      {
        sql: `insert into heartbeat(scanner, body, at_ms) values (?1, ?2, ?3)
          on conflict do update set body = excluded.body, at_ms = excluded.at_ms where excluded.at_ms >= at_ms`,
        args: [heartbeat.scanner, JSON.stringify(heartbeat), nowMs],
      },
    ],
    "write",
  );
}

/** Lossy: the newest progress of each shard that runs. */
export async function putProgress(database: Database, progress: readonly Progress[], nowMs: number): Promise<void> {
  const rows = progress.map((one) => [one.key.job, one.key.tile, one.key.shard, one.key.attempt, JSON.stringify(one)]);
  await database.batch(
    [
      {
        sql: `insert into progress(job, tile, shard, attempt, body, at_ms) select unhex(value->>0), value->>1, value->>2, value->>3, value->>4, ?2 from json_each(?1) where true
          on conflict do update set attempt = excluded.attempt, body = excluded.body, at_ms = excluded.at_ms where excluded.attempt >= attempt`,
        args: [JSON.stringify(rows), nowMs],
      },
      { sql: "delete from progress where at_ms < ?1", args: [nowMs - PROGRESS_KEPT_MS] },
    ],
    "write",
  );
}

/** See `LedgerReader.scanners`: sorted by name. */
export async function scanners(database: Database): Promise<ScannerLive[]> {
  const [rows] = await database.batch([{ sql: "select body, at_ms from heartbeat order by scanner" }], "read");
  return (rows ?? []).map((row) => ({ ...heartbeatSchema.parse(JSON.parse(textOf(row, "body"))), receivedAtMs: numberOf(row, "at_ms") }));
}

/** See `LedgerReader.progress`. */
export async function progress(database: Database, { job, nowMs }: { job: string; nowMs: number }): Promise<Progress[]> {
  const [rows] = await database.batch(
    [
      {
        sql: "select body from progress where job = unhex(?1) and at_ms > ?2 order by tile, shard limit 10000",
        args: [job, nowMs - PROGRESS_FRESH_MS],
      },
    ],
    "read",
  );
  return (rows ?? []).map((row) => progressSchema.parse(JSON.parse(textOf(row, "body"))));
}
