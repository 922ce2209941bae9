import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { blobColumn, intColumn, textColumn } from "./columns.ts";

/** `tiles_made` of `tiles` have been cut so far (big jobs are cut in windows). */
export const job = sqliteTable(
  "job",
  {
    id: blobColumn("id").primaryKey(),
    planId: textColumn("plan_id"),
    plan: textColumn("plan"),
    scannerGroup: textColumn("scanner_group"),
    home: textColumn("home"),
    cause: textColumn("cause"),
    closeAfter: intColumn("close_after"),
    confirm: intColumn("confirm"),
    plannedAtMs: intColumn("planned_at_ms"),
    deadlineAtMs: intColumn("deadline_at_ms"),
    pairs: intColumn("pairs"),
    tiles: intColumn("tiles"),
    tilesMade: intColumn("tiles_made").default(0),
    tilesComplete: intColumn("tiles_complete").default(0),
    tilesAbandoned: intColumn("tiles_abandoned").default(0),
    paused: intColumn("paused").default(0),
    endedAtMs: integer("ended_at_ms"),
  },
  (table) => [
    index("job_planned").on(table.plannedAtMs, table.id),
    index("job_plan").on(table.planId, table.plannedAtMs),
    index("job_uncut")
      .on(table.plannedAtMs)
      .where(sql`tiles_made < tiles`),
    index("job_running")
      .on(table.plannedAtMs, table.id)
      .where(sql`ended_at_ms is null`),
  ],
);

export const jobMember = sqliteTable(
  "job_member",
  { job: blobColumn("job"), region: textColumn("region"), scanner: textColumn("scanner") },
  (table) => [primaryKey({ columns: [table.job, table.region, table.scanner] })],
);

/** Regions that a confirm may be wanted from. `listed`: on the job's list; else only its home. */
export const jobRegion = sqliteTable(
  "job_region",
  { job: blobColumn("job"), region: textColumn("region"), listed: intColumn("listed") },
  (table) => [primaryKey({ columns: [table.job, table.region] })],
);

/** Pauses and resumptions of a job, with their positions. */
export const jobControl = sqliteTable(
  "job_control",
  {
    job: blobColumn("job"),
    rec: blobColumn("rec"),
    log: intColumn("log"),
    rseq: intColumn("rseq"),
    stampMs: intColumn("stamp_ms"),
    pauses: intColumn("pauses"),
    saidBy: textColumn("said_by"),
  },
  (table) => [primaryKey({ columns: [table.job, table.rec, table.log] })],
);

/** `state`: 0 open, 1 complete, 2 abandoned. Complete wins: an abandoned tile only lacks coverage, it contradicts none. */
export const tile = sqliteTable(
  "tile",
  {
    job: blobColumn("job"),
    n: intColumn("n"),
    rangeSet: blobColumn("range_set"),
    portSet: blobColumn("port_set"),
    engine: textColumn("engine"),
    shards: intColumn("shards"),
    shardsLeft: intColumn("shards_left"),
    pairs: intColumn("pairs"),
    state: intColumn("state").default(0),
  },
  (table) => [
    primaryKey({ columns: [table.job, table.n] }),
    index("tile_open")
      .on(table.job, table.n)
      .where(sql`state = 0`),
    index("tile_completable")
      .on(table.job, table.n)
      .where(sql`state = 0 and shards_left = 0`),
  ],
);

/** Address ranges (inclusive, disjoint) by the hash of all of them: shared by the jobs of a plan. */
export const rangeSet = sqliteTable("range_set", { id: blobColumn("id"), lo: blobColumn("lo"), hi: blobColumn("hi") }, (table) => [
  primaryKey({ columns: [table.id, table.lo] }),
]);

/** Port ranges (inclusive, disjoint) by the hash of all of them. */
export const portSet = sqliteTable(
  "port_set",
  { id: blobColumn("id"), proto: intColumn("proto"), hi: intColumn("hi"), lo: intColumn("lo") },
  (table) => [primaryKey({ columns: [table.id, table.proto, table.hi] })],
);

/**
 * One row for each shard of each tile. `state`: 0 waits for a report, 1 complete. `attempt` is the one that is due, `scanner`
 * who has it; `original` had it first.
 */
export const assignment = sqliteTable(
  "assignment",
  {
    job: blobColumn("job"),
    tile: intColumn("tile"),
    shard: intColumn("shard"),
    scanner: textColumn("scanner"),
    original: textColumn("original"),
    attempt: intColumn("attempt").default(1),
    state: intColumn("state").default(0),
    retryAtMs: intColumn("retry_at_ms").default(0),
    problem: text("problem"),
  },
  (table) => [
    primaryKey({ columns: [table.job, table.tile, table.shard] }),
    index("assignment_open")
      .on(table.job, table.scanner, table.tile, table.shard)
      .where(sql`state = 0`),
  ],
);

/** Attempts that were given to another member. The highest one decides who has the shard. */
export const reassignment = sqliteTable(
  "reassignment",
  {
    job: blobColumn("job"),
    tile: intColumn("tile"),
    shard: intColumn("shard"),
    attempt: intColumn("attempt"),
    rec: blobColumn("rec"),
    scanner: textColumn("scanner"),
  },
  (table) => [primaryKey({ columns: [table.job, table.tile, table.shard, table.attempt, table.rec] })],
);

/** Scanners that their region's keeper does not hear, by the newest such record. */
export const scannerLost = sqliteTable("scanner_lost", {
  scanner: textColumn("scanner").primaryKey(),
  region: textColumn("region"),
  lastHeardMs: intColumn("last_heard_ms"),
  stampMs: intColumn("stamp_ms"),
});

/** What scanners can run, by the newest such record; `engines` is a JSON list, `masscan_version` "" for none. */
export const scannerHeard = sqliteTable("scanner_heard", {
  scanner: textColumn("scanner").primaryKey(),
  region: textColumn("region"),
  engines: textColumn("engines"),
  masscanVersion: textColumn("masscan_version"),
  stampMs: intColumn("stamp_ms"),
});

/** What nobody may probe, as its record says; `ranges` is JSON, `ports` null for all of them. */
export const deny = sqliteTable("deny", {
  id: blobColumn("id").primaryKey(),
  ranges: textColumn("ranges"),
  ports: text("ports"),
  reason: textColumn("reason"),
  saidBy: textColumn("said_by"),
  expiresAtMs: integer("expires_at_ms"),
  atMs: intColumn("at_ms"),
});

/** Records that end a deny, before or after it came. */
export const denyLift = sqliteTable(
  "deny_lift",
  {
    deny: blobColumn("deny"),
    rec: blobColumn("rec"),
    reason: textColumn("reason"),
    saidBy: textColumn("said_by"),
    atMs: intColumn("at_ms"),
  },
  (table) => [primaryKey({ columns: [table.deny, table.rec] })],
);

/** What the brake of the home counted when it wrote a tile-complete: open services of the tile, newly missed ones, all missed ones. */
export const tileLook = sqliteTable(
  "tile_look",
  {
    job: blobColumn("job"),
    tile: intColumn("tile"),
    open: intColumn("open"),
    missed: intColumn("missed"),
    overruled: intColumn("overruled"),
  },
  (table) => [primaryKey({ columns: [table.job, table.tile] })],
);
