import { type Database, numberOf, textOf } from "./database.ts";
import type { Lease, LeaseRequest } from "./types.ts";

/** See `Ledger.ensureLog`. */
export async function ensureLog(database: Database, region: string, mintLogId: () => string): Promise<{ log: string; next: number }> {
  const [, rows] = await database.batch(
    [
      {
        sql: "insert into log(id, region, own) select ?1, ?2, 1 where not exists (select 1 from log where own = 1)",
        args: [mintLogId(), region],
      },
      { sql: "select id, coalesce((select max(rseq) from record where log = log.n), -1) + 1 as next from log where own = 1" },
    ],
    "write",
  );
  return { log: textOf(rows?.[0], "id"), next: numberOf(rows?.[0], "next") };
}

/** See `Ledger.takeLease`. A new epoch each time: what an earlier one has still under way writes nothing. */
export async function takeLease(database: Database, { holder, nowMs, ttlMs }: LeaseRequest): Promise<Lease | null> {
  const [, rows] = await database.batch(
    [
      {
        sql: "update keeper set holder = ?1, epoch = epoch + 1, until_ms = ?3 where id = 1 and (holder = ?1 or until_ms <= ?2)",
        args: [holder, nowMs, nowMs + ttlMs],
      },
      { sql: "select holder, epoch from keeper where id = 1" },
    ],
    "write",
  );
  return textOf(rows?.[0], "holder") === holder ? { epoch: numberOf(rows?.[0], "epoch") } : null;
}

/** See `Ledger.renewLease`. */
export async function renewLease(database: Database, { holder, epoch, nowMs, ttlMs }: LeaseRequest & Lease): Promise<boolean> {
  const [, rows] = await database.batch(
    [
      {
        sql: "update keeper set until_ms = max(until_ms, ?3) where id = 1 and holder = ?1 and epoch = ?2",
        args: [holder, epoch, nowMs + ttlMs],
      },
      { sql: "select holder, epoch from keeper where id = 1" },
    ],
    "write",
  );
  return textOf(rows?.[0], "holder") === holder && numberOf(rows?.[0], "epoch") === epoch;
}

/** Lets the next keeper take over at once. */
export async function releaseLease(database: Database, { holder, epoch }: { holder: string; epoch: number }): Promise<void> {
  await database.batch(
    [{ sql: "update keeper set until_ms = 0, holder = '' where id = 1 and holder = ?1 and epoch = ?2", args: [holder, epoch] }],
    "write",
  );
}
