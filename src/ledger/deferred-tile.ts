import { addressFromHex, addressToHex, ADDRESS_LAST } from "../core/address.ts";
import { type Database, numberOf, optionalTextOf, type Sql, type SqlRow, textOf } from "./database.ts";
import { claimLease, SETTLE } from "./settle.ts";

/** Services in one window of a pass: about a tenth of a second. */
const WINDOW_SERVICES = 20_000;

/** The next tile that waits for a window; what is to be taken back comes first. */
export const TILE_DUE: Sql = {
  sql: `select lower(hex(id)) as id, lower(hex(job)) as job, tile, done, lower(hex(cursor)) as cursor from tile_complete
    where done < 3 and done > 0 order by done desc, id limit 1`,
};

/** One window of a closing pass, or of taking one back. */
export async function passTile(
  database: Database,
  pass: SqlRow,
  { epoch, window = WINDOW_SERVICES }: { epoch: number; window?: number },
): Promise<void> {
  const [id, job, tile] = [textOf(pass, "id"), textOf(pass, "job"), numberOf(pass, "tile")];
  const from = optionalTextOf(pass, "cursor") || addressToHex(0n);
  const [ends] = await database.batch([{ sql: WINDOW_END, args: [job, tile, from, window] }], "read");
  const to = optionalTextOf(ends?.[0], "ip") ?? addressToHex(ADDRESS_LAST);
  const isLast = addressFromHex(to) === ADDRESS_LAST;
  const isClosing = numberOf(pass, "done") === 1;
  const step: Sql = isClosing ? { sql: CLOSE, args: [from, to, id] } : { sql: TAKE_BACK, args: [from, to, job, tile] };
  // Something may have voided or held the tile since we looked: the conditions leave its new state alone.
  const next: Sql = isLast
    ? { sql: isClosing ? PASSED : TAKEN_BACK, args: [id] }
    : {
        sql: `update tile_complete set cursor = unhex(?2) where id = unhex(?1) and done = ${isClosing ? 1 : 2}`,
        args: [id, addressToHex(addressFromHex(to) + 1n)],
      };
  await database.batch([claimLease(epoch, 0), step, next, ...(isLast && !isClosing ? SETTLE : [])], "write");
}

const PASSED = "update tile_complete set done = 3, cursor = null where id = unhex(?1) and done = 1";

/** A report that is void stays so; what only was held waits for its release. */
const TAKEN_BACK = `update tile_complete set cursor = null, done = iif(exists (
    select 1 from tile_need n cross join report r on r.id = n.report where n.tc = tile_complete.id and r.void > 0), 4, 0)
  where id = unhex(?1) and done = 2`;

const WINDOW_END = `select lower(hex(s.ip)) as ip from tile t cross join range_set a on a.id = t.range_set
  cross join service s on s.ip >= max(a.lo, unhex(?3)) and s.ip <= a.hi
  where t.job = unhex(?1) and t.n = ?2 and a.hi >= unhex(?3) order by a.lo, s.ip limit 1 offset ?4`;

/** Whether the tile t has the port of service s. */
export const HAS_PORT = `(select p.lo from port_set p where p.id = t.port_set and p.proto = s.proto and p.hi >= s.port order by p.hi limit 1) <= s.port`;

/** Whether the frontier of t's job overrules every sighting of service s. */
export const OVERRULED = `not exists (select 1 from sighting g where g.ip = s.ip and g.port = s.port and g.proto = s.proto
      and g.last_rseq > coalesce((select f.upto from frontier f where f.rec = t.job and f.log = g.log), -1))`;

/**
 * Misses of a tile that counts, in one window of addresses (inclusive). Closed services need no more of them: only a
 * sighting changes those, and voids everything. `cross join` fixes the plan.
 */
export const CLOSE = `insert into miss(ip, port, proto, job, tile) select s.ip, s.port, s.proto, c.job, c.tile
  from tile_complete c cross join tile t on t.job = c.job and t.n = c.tile cross join range_set a on a.id = t.range_set
    cross join service s on s.ip >= max(a.lo, unhex(?1)) and s.ip <= min(a.hi, unhex(?2))
  where c.id = unhex(?3) and c.done = 1 and s.state < 2 and ${HAS_PORT} and ${OVERRULED}
  on conflict do nothing`;

/** Nothing is taken back while another tile-complete of the same tile counts. */
const TAKE_BACK = `delete from miss where (ip, port, proto, job) in (
  select m.ip, m.port, m.proto, m.job from tile t cross join range_set a on a.id = t.range_set
    cross join miss m on m.ip >= max(a.lo, unhex(?1)) and m.ip <= min(a.hi, unhex(?2))
  where t.job = unhex(?3) and t.n = ?4 and m.job = unhex(?3)
    and not exists (select 1 from tile_complete o where o.job = unhex(?3) and o.tile = ?4 and o.done in (1, 3)))`;
