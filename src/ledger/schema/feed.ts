import { sql } from "drizzle-orm";
import { check, index, integer, primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { blobColumn, intColumn, optionalBlob, textColumn } from "./columns.ts";

/**
 * What happened, in the order in which this ledger came to know it; never changed, so `n` is a stable cursor.
 * `kind`: 0 first-observed, 1 opened, 2 reopened, 3 seen-again, 4 missing, 5 closed, 6 unmonitored, 7 known-good-closed, 8 job-held.
 * `cause` is a `record.n`. `was` is null when the service is new here; no service at all belongs to a held job.
 */
export const change = sqliteTable("change", {
  n: integer("n").primaryKey(),
  kind: intColumn("kind"),
  ip: optionalBlob("ip"),
  port: integer("port"),
  proto: integer("proto"),
  was: integer("was"),
  state: integer("state"),
  job: optionalBlob("job"),
  cause: integer("cause"),
  atMs: intColumn("at_ms"),
});

/** Addresses (inclusive) that a counting tile with this port set ever held. No interval of a port set contains another. */
export const covered = sqliteTable("covered", { portSet: blobColumn("port_set"), hi: blobColumn("hi"), lo: blobColumn("lo") }, (table) => [
  primaryKey({ columns: [table.portSet, table.hi] }),
]);

/** Each set of pairs that a tile ever covered, with the stamp of its newest tile-complete. */
export const coveredShape = sqliteTable(
  "covered_shape",
  { portSet: blobColumn("port_set"), rangeSet: blobColumn("range_set"), lastMs: intColumn("last_ms") },
  (table) => [primaryKey({ columns: [table.portSet, table.rangeSet] })],
);

export const coveredPorts = sqliteTable("covered_ports", { portSet: blobColumn("port_set").primaryKey() });

/** Jobs with equal target sets and tilings share a layout: which tile holds an address. */
export const layout = sqliteTable("layout", { n: integer("n").primaryKey(), id: blobColumn("id").unique() });

export const jobLayout = sqliteTable("job_layout", { job: blobColumn("job").primaryKey(), layout: intColumn("layout") }, (table) => [
  index("job_layout_of").on(table.layout, table.job),
]);

export const layoutTile = sqliteTable(
  "layout_tile",
  { layout: intColumn("layout"), tile: intColumn("tile"), portSet: blobColumn("port_set"), rangeSet: blobColumn("range_set") },
  (table) => [primaryKey({ columns: [table.layout, table.tile] })],
);

/** The ranges of one layout are disjoint: the first that ends at or above an address is the only one that can hold it. */
export const layoutRange = sqliteTable(
  "layout_range",
  { layout: intColumn("layout"), hi: blobColumn("hi"), lo: blobColumn("lo"), tile: intColumn("tile") },
  (table) => [primaryKey({ columns: [table.layout, table.hi] })],
);

/** Part records of each tile, by `record.n`. */
export const partOf = sqliteTable("part_of", { job: blobColumn("job"), tile: intColumn("tile"), rec: intColumn("rec") }, (table) => [
  primaryKey({ columns: [table.job, table.tile, table.rec] }),
]);

/** Upload records, by `record.n`. */
export const uploadOf = sqliteTable("upload_of", { rec: integer("rec").primaryKey() });

/** Revoke records of each key, by `record.n`. */
export const revokeOf = sqliteTable("revoke_of", { key: textColumn("key"), rec: intColumn("rec") }, (table) => [
  primaryKey({ columns: [table.key, table.rec] }),
]);

/** One row while the register is rebuilt from the records: the next `record.n`, the last one (inclusive); after them, up to which id tiles count. */
export const rebuild = sqliteTable(
  "rebuild",
  { id: integer("id").primaryKey(), next: intColumn("next"), upto: intColumn("upto"), tiles: optionalBlob("tiles") },
  (table) => [check("rebuild_one", sql`${table.id} = 1`)],
);

/** Rules of the registry as this ledger knows them. `kind`: 0 what plans cover, 1 known-good. `done`: 0 while services are marked anew, from `cursor` on. */
export const ruleSet = sqliteTable("rule_set", {
  kind: integer("kind").primaryKey(),
  version: intColumn("version"),
  hash: textColumn("hash"),
  done: intColumn("done"),
  cursor: optionalBlob("cursor"),
});

/** One rule for each different set of ports; its ranges are merged and disjoint. */
export const ruleRange = sqliteTable(
  "rule_range",
  { kind: intColumn("kind"), rule: intColumn("rule"), hi: blobColumn("hi"), lo: blobColumn("lo") },
  (table) => [primaryKey({ columns: [table.kind, table.rule, table.hi] })],
);

export const rulePort = sqliteTable(
  "rule_port",
  { kind: intColumn("kind"), rule: intColumn("rule"), proto: intColumn("proto"), hi: intColumn("hi"), lo: intColumn("lo") },
  (table) => [primaryKey({ columns: [table.kind, table.rule, table.proto, table.hi] })],
);

/** Services that were covered once and that no plan covers now. */
export const unmonitored = sqliteTable(
  "unmonitored",
  { ip: blobColumn("ip"), port: intColumn("port"), proto: intColumn("proto"), sinceMs: intColumn("since_ms") },
  (table) => [primaryKey({ columns: [table.ip, table.port, table.proto] })],
);
