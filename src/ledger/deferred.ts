import { addressFromHex, addressToHex, ADDRESS_LAST } from "../core/address.ts";
import { jobSpecSchema } from "../core/messages/job.ts";
import type { Sha256Hex } from "../core/statement.ts";
import { type Database, numberOf, optionalTextOf, type Sql, type SqlRow, textOf } from "./database.ts";
import { cutTiles } from "./project-job.ts";
import { claimLease, SETTLE } from "./settle.ts";

/** Services in one window of a pass: about a tenth of a second. */
const WINDOW_SERVICES = 20_000;

/** Window and lease of one step of deferred work. */
export type DeferredContext = { readonly epoch: number; readonly sha256: Sha256Hex; readonly window?: number };

const DUE: readonly Sql[] = [
  {
    sql: `select lower(hex(j.id)) as id, j.tiles_made, r.body from job j cross join record r on r.id = j.id
      where j.tiles_made < j.tiles order by j.planned_at_ms limit 1`,
  },
  {
    sql: `select lower(hex(id)) as id, lower(hex(job)) as job, tile, done, lower(hex(cursor)) as cursor from tile_complete
      where done < 3 and held is null and done > 0 order by done desc, id limit 1`,
  },
];

/**
 * Does one window of what was put off so that no transaction is long: tiles of big jobs, the closing pass of a complete
 * tile, the taking back of misses. Where it stands is committed with the window, so any keeper resumes it.
 */
export async function runDeferred(database: Database, context: DeferredContext): Promise<boolean> {
  const [jobs, passes] = await database.batch(DUE, "read");
  const job = jobs?.[0];
  const pass = passes?.[0];
  if (job !== undefined) {
    const spec = jobSpecSchema.parse(JSON.parse(textOf(job, "body")));
    const tiles = cutTiles(textOf(job, "id"), spec, numberOf(job, "tiles_made"), context.sha256);
    await database.batch([claimLease(context.epoch, 0), ...tiles, ...SETTLE], "write");
    return true;
  }
  if (pass === undefined) return false;
  await runWindow(database, pass, context);
  return true;
}

async function runWindow(database: Database, pass: SqlRow, { epoch, window = WINDOW_SERVICES }: DeferredContext): Promise<void> {
  const [id, job, tile] = [textOf(pass, "id"), textOf(pass, "job"), numberOf(pass, "tile")];
  const from = optionalTextOf(pass, "cursor") || addressToHex(0n);
  const [ends] = await database.batch([{ sql: WINDOW_END, args: [job, tile, from, window] }], "read");
  const to = optionalTextOf(ends?.[0], "ip") ?? addressToHex(ADDRESS_LAST);
  const isLast = addressFromHex(to) === ADDRESS_LAST;
  const isClosing = numberOf(pass, "done") === 1;
  const cursor: Sql = isLast
    ? { sql: "update tile_complete set done = ?2, cursor = null where id = unhex(?1)", args: [id, isClosing ? 3 : 4] }
    : { sql: "update tile_complete set cursor = unhex(?2) where id = unhex(?1)", args: [id, addressToHex(addressFromHex(to) + 1n)] };
  const step: Sql = isClosing ? { sql: CLOSE, args: [from, to, id] } : { sql: TAKE_BACK, args: [from, to, job, tile] };
  const again: Sql[] = isLast && !isClosing ? [{ sql: PASS_AGAIN, args: [job, tile] }] : [];
  // Another report may have voided the tile since we looked: the guard leaves its new state alone.
  await database.batch([claimLease(epoch, 0), { ...step }, ...again, guarded(cursor, isClosing ? 1 : 2)], "write");
}

function guarded({ sql, args = [] }: Sql, done: 1 | 2): Sql {
  return { sql: `${sql} and done = ${done}`, args };
}

const WINDOW_END = `select lower(hex(s.ip)) as ip from tile t cross join range_set a on a.id = t.range_set
  cross join service s on s.ip >= max(a.lo, unhex(?3)) and s.ip <= a.hi
  where t.job = unhex(?1) and t.n = ?2 and a.hi >= unhex(?3) order by a.lo, s.ip limit 1 offset ?4`;

/** Misses of a tile that counts, in one window of addresses (inclusive). `cross join` fixes the plan; "done < 3" the index. */
export const CLOSE = `insert into miss(ip, port, proto, job, tile) select s.ip, s.port, s.proto, c.job, c.tile
  from tile_complete c cross join tile t on t.job = c.job and t.n = c.tile cross join range_set a on a.id = t.range_set
    cross join service s on s.ip >= max(a.lo, unhex(?1)) and s.ip <= min(a.hi, unhex(?2))
  where c.id = unhex(?3) and c.done = 1 and c.held is null and s.state < 2
    and (select p.lo from port_set p where p.id = t.port_set and p.proto = s.proto and p.hi >= s.port order by p.hi limit 1) <= s.port
    and not exists (select 1 from sighting g where g.ip = s.ip and g.port = s.port and g.proto = s.proto
      and g.last_rseq > coalesce((select f.upto from frontier f where f.rec = c.job and f.log = g.log), -1))
  on conflict do nothing`;

const TAKE_BACK = `delete from miss where (ip, port, proto, job) in (
  select m.ip, m.port, m.proto, m.job from tile t cross join range_set a on a.id = t.range_set
    cross join miss m on m.ip >= max(a.lo, unhex(?1)) and m.ip <= min(a.hi, unhex(?2))
  where t.job = unhex(?3) and t.n = ?4 and m.job = unhex(?3))`;

/** Closed services were left out by later tiles; when misses are taken back, all tiles that share an address look again. */
const PASS_AGAIN = `update tile_complete set done = 1, cursor = null where done in (1, 3) and held is null and exists (
  select 1 from tile t cross join range_set a on a.id = t.range_set cross join tile u cross join range_set b on b.id = u.range_set
  where t.job = unhex(?1) and t.n = ?2 and u.job = tile_complete.job and u.n = tile_complete.tile and b.lo <= a.hi and b.hi >= a.lo)`;
