import { sql } from "drizzle-orm";
import { index, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { blobColumn, intColumn, optionalBlob, textColumn } from "./columns.ts";

/** `void`: another report has the same run id, so neither covers anything. */
export const report = sqliteTable(
  "report",
  {
    id: blobColumn("id").primaryKey(),
    job: blobColumn("job"),
    tile: intColumn("tile"),
    shard: intColumn("shard"),
    attempt: intColumn("attempt"),
    scanner: textColumn("scanner"),
    run: textColumn("run"),
    complete: intColumn("complete"),
    void: intColumn("void").default(0),
    problem: text("problem"),
    stampMs: intColumn("stamp_ms"),
  },
  (table) => [index("report_of").on(table.job, table.tile, table.shard), index("report_run").on(table.run)],
);

export const reportPart = sqliteTable("report_part", { report: blobColumn("report"), part: blobColumn("part") }, (table) => [
  primaryKey({ columns: [table.report, table.part] }),
]);

/**
 * `done`: 0 waits for what it needs, 1 its closing pass runs, 2 its misses are being taken back, 3 passed, 4 void for good.
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
      .where(sql`done < 3 and held is null`),
    index("tile_complete_of").on(table.job, table.tile),
  ],
);

export const tileNeed = sqliteTable(
  "tile_need",
  { tc: blobColumn("tc"), shard: intColumn("shard"), report: blobColumn("report") },
  (table) => [primaryKey({ columns: [table.tc, table.shard] }), index("tile_need_report").on(table.report)],
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
