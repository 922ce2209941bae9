import { addressFromHex, addressToHex, ADDRESS_LAST, parseAddress } from "../core/address.ts";
import { protocolNumber } from "../core/port.ts";
import { type Database, numberOf, optionalTextOf, type Sql, type SqlRow, textOf } from "./database.ts";
import { HAS_PORT } from "./deferred-tile.ts";
import { claimLease } from "./settle.ts";
import type { Service } from "./types.ts";

/**
 * How one region stands to one service. A region that is not listed has said nothing about it.
 *
 * `open`: its own scanners have seen it (uploads do not count), and nothing of its own says otherwise since.
 *
 * `silent`: another region saw it before, and this region then looked by itself and did not see it. Only two things are such a look:
 * - a complete tile that counts, holds the service, and **all** of whose shards were reported complete by scanners of this region. Which
 *   shard of a masscan probes which pair is not known, so a tile that regions shared says nothing about any one of them;
 * - a confirm probe of this region that was answered closed or filtered (three connects).
 *
 * In both cases the frontier of the job or order holds every sighting of the region's own scanners: had the look itself seen the service, or
 * had the region seen it since, it would not be silent. Whether another region saw it before is told by clocks (its first sighting and the
 * planning of the job, the stamp of the probe): that only decides what is shown here and never a verdict. A look that ended before any
 * other region had seen the service says nothing; the region's next look does.
 */
export type Vantage = {
  readonly region: string;
  readonly says: "open" | "silent";
  /** When a scanner of this region last saw it; null: never. */
  readonly lastSeenMs: number | null;
  /** The newest look of this region that missed it; null unless it is silent. */
  readonly missed: { readonly atMs: number; readonly by: "look" | "probe"; readonly job: string } | null;
};

type Key = Pick<Service, "address" | "protocol" | "port">;

/** See `LedgerReader.vantages`. */
export async function vantagesOf(database: Database, services: readonly Key[]): Promise<Vantage[][]> {
  const keys = JSON.stringify(
    services.map(({ address, protocol, port }) => [addressToHex(parseAddress(address)), port, protocolNumber(protocol)]),
  );
  const [seen, silences] = await database.batch(
    [
      { sql: SEEN, args: [keys] },
      { sql: SILENCES, args: [keys] },
    ],
    "read",
  );
  const found = services.map(() => new Map<string, Vantage>());
  for (const row of seen ?? []) {
    const region = textOf(row, "region");
    const lastSeenMs = numberOf(row, "last_s") * 1_000;
    found[numberOf(row, "service")]?.set(region, { region, says: "open", lastSeenMs, missed: null });
  }
  for (const row of silences ?? []) {
    const region = textOf(row, "region");
    const of = found[numberOf(row, "service")];
    const by = numberOf(row, "by_probe") === 1 ? "probe" : "look";
    const missed = { atMs: numberOf(row, "at_ms"), by, job: textOf(row, "job") } as const;
    of?.set(region, { region, says: "silent", lastSeenMs: of.get(region)?.lastSeenMs ?? null, missed });
  }
  return found.map((of) => [...of.values()].toSorted((a, b) => (a.region < b.region ? -1 : 1)));
}

const SEEN = `select k.key as service, l.region, max(g.last_at_s) as last_s from json_each(?1) k
    cross join sighting g on g.ip = unhex(k.value->>0) and g.port = k.value->>1 and g.proto = k.value->>2 cross join log l on l.n = g.log
  where g.own_rseq >= 0 and l.region <> '' group by k.key, l.region`;

const SILENCES = `select k.key as service, v.region, v.at_ms, p.id is not null as by_probe, lower(hex(coalesce(p.job, v.frontier_of))) as job
  from json_each(?1) k cross join silence v on v.ip = unhex(k.value->>0) and v.port = k.value->>1 and v.proto = k.value->>2
    left join probe p on p.id = v.basis`;

/** A condition on service s: regions disagree about it. For lists that are driven by `DISAGREEING`. */
export const DISAGREES = "exists (select 1 from disagreement d where d.ip = s.ip and d.port = s.port and d.proto = s.proto)";

/** In place of `service s`: only the services that some region may be silent about, once each and in their order. */
export const DISAGREEING = `silent v cross join service s on s.ip = v.ip and s.port = v.port and s.proto = v.proto
    and v.region = (select min(w.region) from silent w where w.ip = v.ip and w.port = v.port and w.proto = v.proto)`;

/** The next tile that waits to be looked through. */
export const SILENT_DUE: Sql = { sql: "select lower(hex(tc)) as tc, lower(hex(cursor)) as cursor from silent_pass order by tc limit 1" };

const WINDOW_SERVICES = 20_000;

/** One window of looking through a tile of one region. */
export async function passSilent(
  database: Database,
  pass: SqlRow,
  { epoch, window = WINDOW_SERVICES }: { epoch: number; window?: number },
): Promise<void> {
  const id = textOf(pass, "tc");
  const from = optionalTextOf(pass, "cursor") || addressToHex(0n);
  const [ends] = await database.batch([{ sql: WINDOW_END, args: [id, from, window] }], "read");
  const to = optionalTextOf(ends?.[0], "ip") ?? addressToHex(ADDRESS_LAST);
  const next: Sql =
    addressFromHex(to) === ADDRESS_LAST
      ? { sql: "delete from silent_pass where tc = unhex(?1)", args: [id] }
      : { sql: "update silent_pass set cursor = unhex(?2) where tc = unhex(?1)", args: [id, addressToHex(addressFromHex(to) + 1n)] };
  await database.batch([claimLease(epoch, 0), { sql: MARK_SILENT, args: [from, to, id] }, next], "write");
}

const WINDOW_END = `select lower(hex(s.ip)) as ip from tile_complete c cross join tile t on t.job = c.job and t.n = c.tile
    cross join range_set a on a.id = t.range_set cross join service s on s.ip >= max(a.lo, unhex(?2)) and s.ip <= a.hi
  where c.id = unhex(?1) and a.hi >= unhex(?2) order by a.lo, s.ip limit 1 offset ?3`;

/** Exported for the test of its plan. */
export const MARK_SILENT = `insert into silent(ip, port, proto, region, basis, frontier_of, at_ms)
  select s.ip, s.port, s.proto, v.region, c.id, c.job, (select max(r.stamp_ms) from record r where r.id = c.id)
  from silent_pass v cross join tile_complete c on c.id = v.tc and c.done = 3 cross join job j on j.id = c.job
    cross join tile t on t.job = c.job and t.n = c.tile cross join range_set a on a.id = t.range_set
    cross join service s on s.ip >= max(a.lo, unhex(?1)) and s.ip <= min(a.hi, unhex(?2))
  where v.tc = unhex(?3) and s.state < 2 and ${HAS_PORT}
    and not exists (select 1 from sighting g cross join log l on l.n = g.log
      where g.ip = s.ip and g.port = s.port and g.proto = s.proto and l.region = v.region
        and g.own_rseq > coalesce((select f.upto from frontier f where f.rec = c.job and f.log = g.log), -1))
    and exists (select 1 from sighting g cross join log l on l.n = g.log
      where g.ip = s.ip and g.port = s.port and g.proto = s.proto and g.own_rseq >= 0 and l.region <> v.region
        and g.first_at_s * 1000 <= j.planned_at_ms)
  on conflict do update set basis = excluded.basis, frontier_of = excluded.frontier_of, at_ms = excluded.at_ms
    where (excluded.at_ms, excluded.basis) > (at_ms, basis)`;
