import { addressToHex, parseAddress } from "../core/address.ts";
import type { TracerouteRecord } from "../core/messages/record.ts";
import type { Sql } from "./database.ts";

/** The newest one to each address from each region stays, whatever order they come in. */
export function projectTraceroute(id: string, { destination, region, source, path, atS }: TracerouteRecord): Sql[] {
  return [
    {
      sql: `insert into traceroute(ip, region, rec, source, path, at_s) values (unhex(?1), ?2, unhex(?3), ?4, ?5, ?6)
        on conflict do update set rec = excluded.rec, source = excluded.source, path = excluded.path, at_s = excluded.at_s
        where excluded.at_s > at_s or (excluded.at_s = at_s and excluded.rec > rec)`,
      args: [addressToHex(parseAddress(destination)), region, id, source, path, atS],
    },
  ];
}
