import { sql } from "drizzle-orm";
import { check, index, integer, primaryKey, sqliteTable, text, uniqueIndex } from "drizzle-orm/sqlite-core";
import { blobColumn, intColumn, optionalBlob, textColumn } from "./columns.ts";

// Ids are the 32 bytes of a SHA-256, addresses the 16 bytes of the 128-bit space. References are ids and never
// foreign keys: any record may come first. All tables are STRICT (see the migration, which drizzle-kit cannot write whole).

/**
 * Every log that this ledger has heard of. `prefix`: highest `rseq` up to which every record is here, -1 for none. `retired`:
 * why an own log was given up; it is never continued.
 */
export const log = sqliteTable("log", {
  n: integer("n").primaryKey(),
  id: textColumn("id").unique(),
  region: textColumn("region").default(""),
  own: intColumn("own").default(0),
  prefix: intColumn("prefix").default(-1),
  lastStampMs: intColumn("last_stamp_ms").default(0),
  retired: text("retired"),
});

/** What is known of the other regions (see `PeerState`). */
export const peer = sqliteTable("peer", {
  region: textColumn("region").primaryKey(),
  checkpoint: intColumn("checkpoint").default(0),
  contactMs: intColumn("contact_ms").default(0),
  behind: intColumn("behind").default(0),
  equalAtMs: integer("equal_at_ms"),
  alarm: text("alarm"),
});

/** How far the own log was handed to the region's stream, one row: the record, and the sequence of its message. */
export const published = sqliteTable(
  "published",
  { id: integer("id").primaryKey(), log: intColumn("log"), rseq: intColumn("rseq"), seq: intColumn("seq") },
  (table) => [check("published_one", sql`${table.id} = 1`)],
);

/** Records with their positions. Large bodies, hence a rowid table. `judged`: what the log's keeper found a report to be, `complete` or `partial`. */
export const record = sqliteTable(
  "record",
  {
    n: integer("n").primaryKey(),
    log: intColumn("log"),
    rseq: intColumn("rseq"),
    id: blobColumn("id"),
    kind: textColumn("kind"),
    stampMs: intColumn("stamp_ms"),
    judged: text("judged"),
    chain: blobColumn("chain"),
    signature: textColumn("signature"),
    author: textColumn("author"),
    body: textColumn("body"),
    payload: optionalBlob("payload"),
    zstd: intColumn("zstd"),
  },
  (table) => [uniqueIndex("record_position").on(table.log, table.rseq), uniqueIndex("record_id").on(table.id, table.log)],
);

/**
 * Keys of those who signed parts, reports and probes. `revoked`: 0 trusted, 1 what it said is being taken back (up to report
 * `cursor`), 2 taken back. `last_stamp_ms`: of the newest record that it signed.
 */
export const signer = sqliteTable(
  "signer",
  {
    n: integer("n").primaryKey(),
    key: textColumn("key").unique(),
    name: textColumn("name"),
    revoked: intColumn("revoked").default(0),
    cursor: optionalBlob("cursor"),
    lastStampMs: intColumn("last_stamp_ms").default(0),
  },
  (table) => [
    index("signer_revoking")
      .on(table.n)
      .where(sql`revoked = 1`),
    index("signer_name").on(table.name),
  ],
);

/** What was held when a job was planned, or a probe ordered: for each log, the highest `rseq` of its contiguous prefix. */
export const frontier = sqliteTable("frontier", { rec: blobColumn("rec"), log: intColumn("log"), upto: intColumn("upto") }, (table) => [
  primaryKey({ columns: [table.rec, table.log] }),
]);
