import { z } from "zod";
import { engineSchema } from "../core/messages/common.ts";
import type { AssignmentKey } from "../core/messages/job.ts";
import { type Database, numberOf, optionalTextOf, textOf } from "./database.ts";
import type { BlockedJob, LostScanner, Reassignable, RegionNews, ScannerAbility } from "./keeper-types.ts";
import { ATTEMPTS_MAX } from "./types.ts";

/** See `KeeperQueries.lostScanners`. */
export async function lostScanners(database: Database): Promise<LostScanner[]> {
  const [rows] = await database.batch([{ sql: "select * from scanner_away order by scanner" }], "read");
  return (rows ?? []).map((row) => ({
    scanner: textOf(row, "scanner"),
    region: textOf(row, "region"),
    lastHeardMs: numberOf(row, "last_heard_ms"),
    lostAtMs: numberOf(row, "stamp_ms"),
  }));
}

/** See `KeeperQueries.scannerAbilities`. */
export async function scannerAbilities(database: Database): Promise<ScannerAbility[]> {
  const [rows] = await database.batch(
    [
      {
        sql: "select h.*, (select l.stamp_ms from scanner_lost l where l.scanner = h.scanner) as lost_ms from scanner_heard h order by h.scanner",
      },
    ],
    "read",
  );
  return (rows ?? []).map((row) => ({
    scanner: textOf(row, "scanner"),
    region: textOf(row, "region"),
    engines: enginesSchema.parse(JSON.parse(textOf(row, "engines"))),
    masscanVersion: textOf(row, "masscan_version") || null,
    saidAtMs: numberOf(row, "stamp_ms"),
    lostAtMs: row["lost_ms"] === null ? null : numberOf(row, "lost_ms"),
  }));
}

const enginesSchema = z.array(engineSchema);

/** See `KeeperQueries.regionNews`. */
export async function regionNews(database: Database): Promise<RegionNews[]> {
  const sql = "select region, max(last_stamp_ms) as last from log where region <> '' group by region order by region";
  const [rows] = await database.batch([{ sql }], "read");
  return (rows ?? []).map((row) => ({ region: textOf(row, "region"), lastStampMs: numberOf(row, "last") }));
}

/** See `KeeperQueries.reassignable`. */
export async function reassignable(database: Database, { home, limit }: { home: string; limit: number }): Promise<Reassignable[]> {
  const [rows] = await database.batch([{ sql: REASSIGNABLE, args: [home, limit, ATTEMPTS_MAX] }], "read");
  return (rows ?? []).map((row) => {
    const candidates: [string, string][] = JSON.parse(textOf(row, "candidates"));
    return {
      job: textOf(row, "job"),
      tile: numberOf(row, "tile"),
      shard: numberOf(row, "shard"),
      attempt: numberOf(row, "attempt") + 1,
      from: textOf(row, "scanner"),
      candidates: candidates.map(([scanner, region]) => ({ scanner, region })),
    };
  });
}

/** The statement of `reassignable`; exported for the test of its plan. A tile's members are those who had its shards at first. */
export const REASSIGNABLE = `select * from (select lower(hex(a.job)) as job, a.tile, a.shard, a.attempt, a.scanner, (
      select json_group_array(json_array(original, region)) from (select o.original, m.region from assignment o
        cross join job_member m on m.job = o.job and m.scanner = o.original
        where o.job = a.job and o.tile = a.tile and o.original <> a.scanner and o.original not in (select scanner from scanner_away) order by o.shard)) as candidates
    from job j indexed by job_running cross join job_member w on w.job = j.id and w.scanner in (select scanner from scanner_away)
      cross join assignment a indexed by assignment_open on a.job = j.id and a.scanner = w.scanner and a.state = 0
      cross join tile t on t.job = a.job and t.n = a.tile and t.state = 0
    where j.ended_at_ms is null and j.home = ?1 and j.paused = 0 and a.attempt < ?3)
  where json_array_length(candidates) > 0 limit ?2`;

/** See `KeeperQueries.reassigned`. */
export async function reassigned(database: Database, { job, tile, shard, attempt }: AssignmentKey): Promise<string | null> {
  const [rows] = await database.batch(
    [
      {
        sql: `select scanner from reassignment where job = unhex(?1) and tile = ?2 and shard = ?3 and attempt <= ?4
          order by attempt desc, rec limit 1`,
        args: [job, tile, shard, attempt],
      },
    ],
    "read",
  );
  return optionalTextOf(rows?.[0], "scanner");
}

/** See `KeeperQueries.blockedJobs`: oldest first. */
export async function blockedJobs(database: Database): Promise<BlockedJob[]> {
  const [rows] = await database.batch(
    [{ sql: "select lower(hex(id)) as id, plan, home, why from job_blocked order by planned_at_ms, id limit 1000" }],
    "read",
  );
  return (rows ?? []).map((row) => ({
    id: textOf(row, "id"),
    plan: textOf(row, "plan"),
    home: textOf(row, "home"),
    why: textOf(row, "why"),
  }));
}
