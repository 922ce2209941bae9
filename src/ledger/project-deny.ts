import type { Deny, DenyLift } from "../core/messages/record.ts";
import type { Sql } from "./database.ts";

/** What nobody may probe. All of it stands in the record itself, so it is the same in every region and in any order. */
export function projectDeny(id: string, { ranges, ports, reason, by, expiresAtMs, atMs }: Deny): Sql[] {
  return [
    {
      sql: `insert into deny(id, ranges, ports, reason, said_by, expires_at_ms, at_ms)
        values (unhex(?1), ?2, ?3, ?4, ?5, ?6, ?7) on conflict do nothing`,
      args: [id, JSON.stringify(ranges), ports, reason, by, expiresAtMs, atMs],
    },
  ];
}

/** The end of a deny, also of one that has not come yet. */
export function projectDenyLift(id: string, { deny, reason, by, atMs }: DenyLift): Sql[] {
  return [
    {
      sql: "insert into deny_lift(deny, rec, reason, said_by, at_ms) values (unhex(?1), unhex(?2), ?3, ?4, ?5) on conflict do nothing",
      args: [deny, id, reason, by, atMs],
    },
  ];
}
