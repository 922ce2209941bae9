import { sql } from "drizzle-orm";
import { check, index, integer, primaryKey, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { blobColumn, intColumn, optionalBlob, textColumn } from "./columns.ts";

/** The lease, one row. Each keeper transaction writes its epoch into `claim`; a trigger refuses another one's. `stamp_ms`: of the newest record. */
export const keeper = sqliteTable(
  "keeper",
  {
    id: integer("id").primaryKey(),
    holder: textColumn("holder").default(""),
    epoch: intColumn("epoch").default(0),
    untilMs: intColumn("until_ms").default(0),
    claim: intColumn("claim").default(0),
    stampMs: intColumn("stamp_ms").default(0),
  },
  (table) => [check("keeper_one", sql`${table.id} = 1`)],
);

export const heartbeat = sqliteTable("heartbeat", {
  scanner: textColumn("scanner").primaryKey(),
  body: textColumn("body"),
  atMs: intColumn("at_ms"),
});

export const progress = sqliteTable(
  "progress",
  {
    job: blobColumn("job"),
    tile: intColumn("tile"),
    shard: intColumn("shard"),
    attempt: intColumn("attempt"),
    body: textColumn("body"),
    atMs: intColumn("at_ms"),
  },
  (table) => [primaryKey({ columns: [table.job, table.tile, table.shard] })],
);

/** Commands of the API to the keeper, in order. */
export const inbox = sqliteTable(
  "inbox",
  {
    n: integer("n").primaryKey(),
    id: textColumn("id").unique(),
    kind: textColumn("kind"),
    body: textColumn("body"),
    createdAtMs: intColumn("created_at_ms"),
    expiresAtMs: intColumn("expires_at_ms"),
    doneAtMs: integer("done_at_ms"),
    result: text("result"),
    payload: optionalBlob("payload"),
  },
  (table) => [
    index("inbox_open")
      .on(table.n)
      .where(sql`done_at_ms is null`),
    index("inbox_done")
      .on(table.doneAtMs)
      .where(sql`done_at_ms is not null`),
  ],
);
