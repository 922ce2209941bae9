import { sql } from "drizzle-orm";
import { index, integer, primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { blobColumn, intColumn } from "./columns.ts";

const serviceKey = { ip: blobColumn("ip"), port: intColumn("port"), proto: intColumn("proto") };

/** One maximum per service and log is all that domination needs. `vantage`: seen by an own scanner (uploads lend none). */
export const sighting = sqliteTable(
  "sighting",
  {
    ...serviceKey,
    log: intColumn("log"),
    firstAtS: intColumn("first_at_s"),
    lastAtS: intColumn("last_at_s"),
    lastRseq: intColumn("last_rseq"),
    vantage: intColumn("vantage"),
  },
  (table) => [primaryKey({ columns: [table.ip, table.port, table.proto, table.log] })],
);

/** `state`: 0 open, 1 missing, 2 closed. `doubt`: a miss exists. `since_ms`: when this ledger gave it its state. */
export const service = sqliteTable(
  "service",
  {
    ...serviceKey,
    state: intColumn("state").default(0),
    doubt: intColumn("doubt").default(0),
    known: intColumn("known").default(0),
    reopened: intColumn("reopened").default(0),
    sinceMs: intColumn("since_ms"),
  },
  (table) => [
    primaryKey({ columns: [table.ip, table.port, table.proto] }),
    index("service_shown")
      .on(table.ip, table.port, table.proto)
      .where(sql`state < 2 and known = 0`),
    index("service_port")
      .on(table.port, table.ip, table.proto)
      .where(sql`state < 2 and known = 0`),
    index("service_missing")
      .on(table.ip, table.port, table.proto)
      .where(sql`state = 1`),
    index("service_closed")
      .on(table.ip, table.port, table.proto)
      .where(sql`state = 2`),
  ],
);

/** A job that covered the service and overruled every sighting of it. */
export const miss = sqliteTable("miss", { ...serviceKey, job: blobColumn("job"), tile: intColumn("tile") }, (table) => [
  primaryKey({ columns: [table.ip, table.port, table.proto, table.job] }),
]);

/** `was` is null when the service is new here. */
export const change = sqliteTable("change", {
  n: integer("n").primaryKey(),
  ...serviceKey,
  was: integer("was"),
  state: intColumn("state"),
  atMs: intColumn("at_ms"),
});

/** Numbers of services, kept by triggers. */
export const tally = sqliteTable(
  "tally",
  { port: intColumn("port"), proto: intColumn("proto"), state: intColumn("state"), known: intColumn("known"), n: intColumn("n") },
  (table) => [primaryKey({ columns: [table.port, table.proto, table.state, table.known] })],
);
