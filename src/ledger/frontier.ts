import type { Frontier } from "../core/messages/common.ts";
import type { Sql } from "./database.ts";

/** What was held when the record was planned or ordered; names logs that this ledger may not have heard of yet. */
export function insertFrontier(id: string, frontier: Frontier): Sql[] {
  const logs = JSON.stringify(Object.entries(frontier));
  return [
    { sql: "insert into log(id) select value->>0 from json_each(?1) where true on conflict do nothing", args: [logs] },
    {
      sql: `insert into frontier(rec, log, upto) select unhex(?1), l.n, value->>1 from json_each(?2) cross join log l on l.id = value->>0
        where true on conflict do nothing`,
      args: [id, logs],
    },
  ];
}
