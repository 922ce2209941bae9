import { sql } from "drizzle-orm";
import { check, index, integer, primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { blobColumn, intColumn } from "./columns.ts";

const serviceKey = { ip: blobColumn("ip"), port: intColumn("port"), proto: intColumn("proto") };

/**
 * One maximum per service and log is all that domination needs. `own_rseq`: the highest position at which a scanner of the
 * log's region saw it, -1 for uploads only (they lend no vantage); `signer` signed that one.
 */
export const sighting = sqliteTable(
  "sighting",
  {
    ...serviceKey,
    log: intColumn("log"),
    firstAtS: intColumn("first_at_s"),
    lastAtS: intColumn("last_at_s"),
    lastRseq: intColumn("last_rseq"),
    ownRseq: intColumn("own_rseq"),
    signer: intColumn("signer"),
  },
  (table) => [primaryKey({ columns: [table.ip, table.port, table.proto, table.log] })],
);

/** `state`: 0 open, 1 missing, 2 closed. `doubt`: a miss or a confirm exists. `since_ms`: when this ledger gave it its state. */
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
    index("service_good")
      .on(table.ip, table.port, table.proto)
      .where(sql`known = 1`),
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

/** A probe that confirms: its frontier overrules every sighting of the service. */
export const confirm = sqliteTable("confirm", { ...serviceKey, probe: blobColumn("probe") }, (table) => [
  primaryKey({ columns: [table.ip, table.port, table.proto, table.probe] }),
]);

/** Services that were closed until evidence was taken back: all tiles that count have to look again. `taken`: by the round that runs. */
export const relook = sqliteTable("relook", { ...serviceKey, taken: intColumn("taken").default(0) }, (table) => [
  primaryKey({ columns: [table.ip, table.port, table.proto] }),
  index("relook_waiting")
    .on(table.ip)
    .where(sql`taken = 0`),
]);

/** A round of looking again, while one runs; `cursor`: the last tile-complete that it has seen to. */
export const relookPass = sqliteTable("relook_pass", { id: integer("id").primaryKey(), cursor: blobColumn("cursor") }, (table) => [
  check("relook_pass_one", sql`${table.id} = 1`),
]);

/** Numbers of services, kept by triggers. */
export const tally = sqliteTable(
  "tally",
  { port: intColumn("port"), proto: intColumn("proto"), state: intColumn("state"), known: intColumn("known"), n: intColumn("n") },
  (table) => [primaryKey({ columns: [table.port, table.proto, table.state, table.known] })],
);
