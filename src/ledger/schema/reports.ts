import { sql } from "drizzle-orm";
import { index, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { blobColumn, intColumn, optionalBlob, textColumn } from "./columns.ts";

/** `void`, in bits: 1 another report has the same run id, so neither covers anything; 2 the signer's key was revoked. */
export const report = sqliteTable(
  "report",
  {
    id: blobColumn("id").primaryKey(),
    job: blobColumn("job"),
    tile: intColumn("tile"),
    shard: intColumn("shard"),
    attempt: intColumn("attempt"),
    scanner: textColumn("scanner"),
    signer: intColumn("signer"),
    run: textColumn("run"),
    complete: intColumn("complete"),
    void: intColumn("void").default(0),
    problem: text("problem"),
    sightings: intColumn("sightings"),
    probesSent: intColumn("probes_sent"),
    startedAtMs: intColumn("started_at_ms"),
    endedAtMs: intColumn("ended_at_ms"),
    stampMs: intColumn("stamp_ms"),
  },
  (table) => [
    index("report_of").on(table.job, table.tile, table.shard),
    index("report_run").on(table.run),
    index("report_signer").on(table.signer, table.id),
  ],
);

export const reportPart = sqliteTable("report_part", { report: blobColumn("report"), part: blobColumn("part") }, (table) => [
  primaryKey({ columns: [table.report, table.part] }),
]);

/**
 * `done`: 0 waits for what it needs, 1 its closing pass runs, 2 its misses are being taken back, 3 passed, 4 void for good,
 * 5 held until it is released (and so long no other tile-complete of the tile counts).
 * `shards`: how many it names, 0 when they are not exactly 1 … n. `cursor`: first address of the next window.
 */
export const tileComplete = sqliteTable(
  "tile_complete",
  {
    id: blobColumn("id").primaryKey(),
    job: blobColumn("job"),
    tile: intColumn("tile"),
    shards: intColumn("shards"),
    held: text("held"),
    done: intColumn("done").default(0),
    cursor: optionalBlob("cursor"),
  },
  (table) => [
    index("tile_complete_todo")
      .on(table.id)
      .where(sql`done < 3`),
    index("tile_complete_held")
      .on(table.job, table.tile)
      .where(sql`done = 5`),
    index("tile_complete_of").on(table.job, table.tile),
  ],
);

export const tileNeed = sqliteTable(
  "tile_need",
  { tc: blobColumn("tc"), shard: intColumn("shard"), report: blobColumn("report") },
  (table) => [primaryKey({ columns: [table.tc, table.shard] }), index("tile_need_report").on(table.report)],
);

/** Records that let a held tile-complete count. */
export const tileRelease = sqliteTable(
  "tile_release",
  {
    tc: blobColumn("tc"),
    rec: blobColumn("rec"),
    job: blobColumn("job"),
    tile: intColumn("tile"),
    cause: textColumn("cause"),
    saidBy: textColumn("said_by"),
    agreeing: optionalBlob("agreeing"),
  },
  (table) => [primaryKey({ columns: [table.tc, table.rec] })],
);

/**
 * Probes that were accepted in the region that had ordered them. `basis`: 0 by the last sighter, 1 by another scanner.
 * `done`: 0 waits for its frontier, 1 ripe, 2 its confirms are being taken back, 3 applied, 4 void for good.
 */
export const probe = sqliteTable(
  "probe",
  {
    id: blobColumn("id").primaryKey(),
    region: textColumn("region"),
    scanner: textColumn("scanner"),
    basis: intColumn("basis"),
    signer: intColumn("signer"),
    job: blobColumn("job"),
    done: intColumn("done").default(0),
    stampMs: intColumn("stamp_ms"),
  },
  (table) => [
    index("probe_todo")
      .on(table.id)
      .where(sql`done < 3`),
    index("probe_signer").on(table.signer, table.id),
  ],
);

/** `answer`: 0 open, 1 closed, 2 filtered, 3 error. */
export const probeResult = sqliteTable(
  "probe_result",
  { probe: blobColumn("probe"), ip: blobColumn("ip"), port: intColumn("port"), proto: intColumn("proto"), answer: intColumn("answer") },
  (table) => [
    primaryKey({ columns: [table.probe, table.ip, table.port, table.proto, table.answer] }),
    index("probe_result_of").on(table.ip, table.port, table.proto, table.probe),
  ],
);

export const tileAbandoned = sqliteTable(
  "tile_abandoned",
  {
    job: blobColumn("job"),
    first: intColumn("first"),
    last: intColumn("last"),
    rec: blobColumn("rec"),
    cause: textColumn("cause"),
    detail: textColumn("detail"),
  },
  (table) => [primaryKey({ columns: [table.job, table.first, table.last, table.rec] })],
);
