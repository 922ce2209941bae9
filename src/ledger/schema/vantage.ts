import { primaryKey, sqliteTable } from "drizzle-orm/sqlite-core";
import { blobColumn, intColumn, optionalBlob, textColumn } from "./columns.ts";

/**
 * The newest look or confirm of each region that did not see a service which another region had seen before. `basis`: its tile-complete or
 * probe; `frontier_of`: the job or probe whose frontier says what was known then. A row may have been overtaken: the view `silence` tells.
 */
export const silent = sqliteTable(
  "silent",
  {
    ip: blobColumn("ip"),
    port: intColumn("port"),
    proto: intColumn("proto"),
    region: textColumn("region"),
    basis: blobColumn("basis"),
    frontierOf: blobColumn("frontier_of"),
    atMs: intColumn("at_ms"),
  },
  (table) => [primaryKey({ columns: [table.ip, table.port, table.proto, table.region] })],
);

/** Complete tiles of one region that are still to be looked through, from the address `cursor` on. */
export const silentPass = sqliteTable("silent_pass", {
  tc: blobColumn("tc").primaryKey(),
  region: textColumn("region"),
  cursor: optionalBlob("cursor"),
});
