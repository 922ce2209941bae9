import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { blobColumn, intColumn, textColumn } from "./columns.ts";

/** Files that were imported here. `records`: ids of the upload records that they became, a JSON list; `counts`: see `ImportCounts`. */
export const importTable = sqliteTable("import", {
  id: textColumn("id").primaryKey(),
  source: textColumn("source"),
  format: textColumn("format"),
  records: textColumn("records"),
  counts: textColumn("counts"),
  createdAtMs: intColumn("created_at_ms"),
});

/** Jobs for programs that only know a list of jobs, by numbers of this ledger. `origin`: who asks for the same one again gets the same number. */
export const legacyJob = sqliteTable(
  "legacy_job",
  {
    n: integer("n").primaryKey({ autoIncrement: true }),
    origin: textColumn("origin").unique(),
    cidr: textColumn("cidr"),
    ports: textColumn("ports"),
    proto: textColumn("proto"),
    requestedBy: textColumn("requested_by"),
    createdAtMs: intColumn("created_at_ms"),
    expiresAtMs: integer("expires_at_ms"),
    receivedAtMs: integer("received_at_ms"),
    cancelledAtMs: integer("cancelled_at_ms"),
  },
  (table) => [
    index("legacy_job_open")
      .on(table.n)
      .where(sql`received_at_ms is null and cancelled_at_ms is null`),
  ],
);

/** The newest traceroute to each address from each region. */
export const traceroute = sqliteTable(
  "traceroute",
  {
    ip: blobColumn("ip"),
    region: textColumn("region"),
    rec: blobColumn("rec"),
    source: textColumn("source"),
    path: textColumn("path"),
    atS: intColumn("at_s"),
  },
  (table) => [primaryKey({ columns: [table.ip, table.region] })],
);
