import type { Sha256Hex } from "../core/statement.ts";
import { type Database, numberOf, optionalTextOf, type Sql } from "./database.ts";
import { projectIfValid } from "./append.ts";
import { claimLease, SETTLE } from "./settle.ts";
import { readRecords, type StoredReader } from "./stored.ts";
import { withinSightings } from "./verify.ts";

/**
 * What is made from the records. Services go first: so what hangs on them is deleted without being judged anew.
 * Kept: records and logs, the feed (its cursors stay good), the inbox, live state, rules, and the keys (all trusted again at first).
 */
const PROJECTED = [
  "service",
  "tally",
  "sighting",
  "miss",
  "confirm",
  "deny",
  "deny_lift",
  "assignment",
  "tile",
  "job",
  "job_control",
  "job_member",
  "job_region",
  "frontier",
  "port_set",
  "range_set",
  "probe",
  "probe_result",
  "reassignment",
  "tile_release",
  "relook",
  "relook_pass",
  "report",
  "report_part",
  "scanner_lost",
  "scanner_heard",
  "tile_abandoned",
  "tile_complete",
  "tile_need",
  "traceroute",
  "silent",
  "silent_pass",
  "covered",
  "covered_shape",
  "covered_ports",
  "job_layout",
  "layout",
  "layout_range",
  "layout_tile",
] as const;

/**
 * Empties the register and puts off its making anew from the records: `runRebuild` does one window, any keeper resumes it.
 * Meanwhile the register is incomplete, nothing counts as covered, nothing closes and the feed stands still; news is accepted.
 * Repeatable: a second call begins again.
 */
export async function startRebuild(database: Database, { epoch }: { epoch: number }): Promise<void> {
  await database.batch([claimLease(epoch, 0), ...START_REBUILD], "write");
}

/** Part of a transaction: see `startRebuild`. */
export const START_REBUILD: readonly Sql[] = [
  {
    sql: `insert into rebuild(id, next, upto) select 1, 1, coalesce(max(n), 0) from record where true
      on conflict do update set next = 1, upto = excluded.upto, tiles = null`,
  },
  ...PROJECTED.map((table) => ({ sql: `delete from ${table}` })),
  { sql: "update signer set revoked = 0, cursor = null" },
];

/** Tile-completes that begin to count in one window. */
const TILES_MAX = 2_000;

/** Does one window of a rebuild, and tells whether there was one to do. */
export async function runRebuild(database: Database, context: StoredReader & { epoch: number; sha256: Sha256Hex }): Promise<boolean> {
  const [rows] = await database.batch([{ sql: "select next, upto, lower(hex(tiles)) as tiles from rebuild" }], "read");
  const row = rows?.[0];
  const tiles = optionalTextOf(row, "tiles") || null;
  if (row === undefined || tiles === TILES_LAST) return false;
  const next = numberOf(row, "next");
  const step = tiles === null ? await replayWindow(database, next, numberOf(row, "upto"), context) : await tilesWindow(database, tiles);
  await database.batch([claimLease(context.epoch, 0), ...step], "write");
  return true;
}

const TILES_LAST = "ff".repeat(32);

async function replayWindow(
  database: Database,
  next: number,
  upto: number,
  context: StoredReader & { epoch: number; sha256: Sha256Hex },
): Promise<Sql[]> {
  const records = withinSightings(await readRecords(database, next, upto, context));
  const last = records.at(-1);
  if (last === undefined) return [{ sql: "update rebuild set tiles = x'00' where next = ?1 and tiles is null", args: [next] }];
  const statements = records.flatMap((record) => projectIfValid({ item: record, acceptance: record.acceptance }, context.sha256));
  return [...statements, { sql: "update rebuild set next = ?2 where next = ?1", args: [next, last.n + 1] }];
}

/** Everything is here: what tiles and probes wait for is judged, some tiles at a time. */
async function tilesWindow(database: Database, from: string): Promise<Sql[]> {
  const sql = "select lower(hex(id)) as id from tile_complete where id > unhex(?1) order by id limit 1 offset ?2";
  const [rows] = await database.batch([{ sql, args: [from, TILES_MAX - 1] }], "read");
  const to = optionalTextOf(rows?.[0], "id") ?? TILES_LAST;
  return [{ sql: "update rebuild set tiles = unhex(?2) where tiles = unhex(?1)", args: [from, to] }, ...SETTLE];
}

/**
 * Ends a rebuild; to be called when nothing else is put off. Only now the feed goes on: what the passes found again is no
 * news. Tells whether there was one to end.
 */
export async function finishRebuild(database: Database, { epoch }: { epoch: number }): Promise<boolean> {
  const [rows] = await database.batch([{ sql: "select 1 as running from rebuild" }], "read");
  if ((rows ?? []).length === 0) return false;
  // Services that no plan covers may have changed; known-good ones took their mark when they were made.
  await database.batch(
    [claimLease(epoch, 0), { sql: "delete from rebuild" }, { sql: "update rule_set set done = 0, cursor = null" }],
    "write",
  );
  return true;
}
