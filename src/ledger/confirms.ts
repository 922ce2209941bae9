import { addressFromHex, formatAddress } from "../core/address.ts";
import { PortolanError } from "../core/errors.ts";
import { protocolOf } from "../core/port.ts";
import { type Database, numberOf, optionalTextOf, type Sql, type SqlRow, textOf } from "./database.ts";
import type { ConfirmDue } from "./keeper-types.ts";
import type { Page } from "./types.ts";

/** Missing services that one call looks at. */
const LOOKED_AT_MAX = 5_000;

/** See `KeeperQueries.confirmsDue`. */
export async function confirmsDue(
  database: Database,
  { region, limit, cursor }: { region: string; limit: number; cursor?: string },
): Promise<Page<ConfirmDue>> {
  const [rows, ends] = await database.batch(confirmsDueSql(region, limit, cursor), "read");
  const items = (rows ?? []).map(dueOf);
  const last = items.length === limit ? rows?.at(-1) : ends?.[0];
  return { items, next: last === undefined ? null : `${textOf(last, "ip")}.${numberOf(last, "port")}.${numberOf(last, "proto")}` };
}

/** The statements of one page; exported for the test of their plan. */
export function confirmsDueSql(region: string, limit: number, cursor?: string): Sql[] {
  const after = /^([0-9a-f]{32})\.(\d{1,5})\.(\d{1,3})$/.exec(cursor ?? `${"0".repeat(32)}.0.0`);
  if (after === null) throw new PortolanError("invalid", "the cursor is not one that this list gave; start again without it");
  const [, ip = "", port, proto] = after;
  const args = [ip, Number(port), Number(proto), LOOKED_AT_MAX];
  return [
    { sql: DUE, args: [...args, region, limit] },
    { sql: `select lower(hex(ip)) as ip, port, proto from (${MISSING}) limit 1 offset ?4 - 1`, args },
  ];
}

const MISSING = `select ip, port, proto from service indexed by service_missing
  where state = 1 and (ip, port, proto) > (unhex(?1), ?2, ?3) order by ip, port, proto limit ?4`;

const OF_SERVICE = "ip = d.ip and c.port = d.port and c.proto = d.proto";

// The views hold the rule: chains that are long enough, and the regions that have to confirm.
const DUE = `select lower(hex(d.ip)) as ip, d.port, d.proto, lower(hex(d.job)) as job,
    (select json_group_array(name) from (select k.name, max(g.last_at_s) from sighting g cross join log l on l.n = g.log and l.region = ?5
      cross join signer k on k.n = g.signer where g.ip = d.ip and g.port = d.port and g.proto = d.proto and g.own_rseq >= 0 and k.revoked = 0
      group by k.name order by 2 desc, 1)) as sighters,
    (select json_group_array(distinct c.scanner) from miss_confirmed c where c.${OF_SERVICE} and c.job = d.job and c.region = ?5 and c.basis = 1) as confirmed_by
  from (select s.ip, s.port, s.proto, (
      select m.job from miss_chain m cross join job j on j.id = m.job
      where m.ip = s.ip and m.port = s.port and m.proto = s.proto and m.confirm = 1 and m.enough and exists (
        select 1 from miss_unconfirmed u where u.ip = s.ip and u.port = s.port and u.proto = s.proto and u.job = m.job and u.region = ?5)
      order by j.planned_at_ms desc, j.id limit 1) as job
    from (${MISSING}) s) d
  where d.job is not null limit ?6`;

function dueOf(row: SqlRow): ConfirmDue {
  return {
    address: formatAddress(addressFromHex(textOf(row, "ip"))),
    protocol: protocolOf(numberOf(row, "proto")),
    port: numberOf(row, "port"),
    job: textOf(row, "job"),
    sighters: namesOf(row, "sighters"),
    confirmedBy: namesOf(row, "confirmed_by"),
  };
}

function namesOf(row: SqlRow, column: string): string[] {
  const names: string[] = JSON.parse(optionalTextOf(row, column) ?? "[]");
  return names;
}
