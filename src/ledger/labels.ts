import { addressToHex, parseAddress } from "../core/address.ts";
import { protocolNumber } from "../core/port.ts";
import { type Database, numberOf, type Sql } from "./database.ts";
import type { Service } from "./types.ts";

/** What is said plainly instead of closing. */
export type Labels = {
  /** Sighted, but no complete tile ever held it. */
  readonly neverCovered: boolean;
  /** No plan covers it (any more). False while the ledger does not know the plans. */
  readonly unmonitored: boolean;
  /** No plan that covers it did so within its interval. */
  readonly stale: boolean;
  /** Stamp of the newest complete tile of a named plan that holds it. */
  readonly coveredAtMs: number | null;
};

/** `asOfMs`: the moment that staleness is judged at. `plans`: those that run by themselves, with their intervals. */
export type LabelsQuery = {
  readonly services: readonly Pick<Service, "address" | "protocol" | "port">[];
  readonly asOfMs: number;
  readonly plans: readonly { readonly id: string; readonly intervalMs: number }[];
};

/** The labels of some services (a page of them), in their order. They change no verdict. */
export async function labelsOf(database: Database, { services, asOfMs, plans }: LabelsQuery): Promise<Labels[]> {
  const keys = JSON.stringify(
    services.map(({ address, protocol, port }) => [addressToHex(parseAddress(address)), port, protocolNumber(protocol)]),
  );
  const [covers, rules] = await database.batch(
    [
      lastCoversSql(keys, JSON.stringify(plans.map(({ id }) => id))),
      {
        sql: `select k.key as service, c.covered, coalesce((select r.matches from service_rule r where r.kind = 0 and r.ip = s.ip and r.port = s.port and r.proto = s.proto), 1) as matches
          from json_each(?1) k cross join service s on s.ip = unhex(k.value->>0) and s.port = k.value->>1 and s.proto = k.value->>2
            cross join service_covered c on c.ip = s.ip and c.port = s.port and c.proto = s.proto`,
        args: [keys],
      },
    ],
    "read",
  );
  const fresh = new Set<number>();
  const planned = new Set<number>();
  const newest = new Map<number, number>();
  for (const row of covers ?? []) {
    const service = numberOf(row, "service");
    planned.add(service);
    const lastMs = row["last_ms"];
    if (typeof lastMs !== "number") continue;
    newest.set(service, Math.max(lastMs, newest.get(service) ?? 0));
    if (asOfMs - lastMs <= (plans[numberOf(row, "plan")]?.intervalMs ?? 0)) fresh.add(service);
  }
  const marked = new Map((rules ?? []).map((row) => [numberOf(row, "service"), row]));
  return services.map((_, index) => ({
    neverCovered: marked.get(index)?.["covered"] !== 1,
    unmonitored: marked.get(index)?.["matches"] === 0,
    stale: planned.has(index) && !fresh.has(index),
    coveredAtMs: newest.get(index) ?? null,
  }));
}

/** By the layout of each plan's newest job: one seek to the tile that holds the address. */
function lastCoversSql(keys: string, plans: string): Sql {
  return {
    sql: `select k.key as service, p.key as plan, h.last_ms
      from json_each(?1) k cross join json_each(?2) p
        cross join job_layout j on j.job = (select id from job where plan_id = p.value order by planned_at_ms desc limit 1)
        cross join layout_range a on a.layout = j.layout
          and a.hi = (select b.hi from layout_range b where b.layout = j.layout and b.hi >= unhex(k.value->>0) order by b.hi limit 1)
        cross join layout_tile t on t.layout = j.layout and t.tile = a.tile
        left join covered_shape h on h.port_set = t.port_set and h.range_set = t.range_set
      where a.lo <= unhex(k.value->>0)
        and (select q.lo from port_set q where q.id = t.port_set and q.proto = k.value->>2 and q.hi >= k.value->>1 order by q.hi limit 1) <= k.value->>1`,
    args: [keys, plans],
  };
}
