import { isIpv4, type Address } from "./address.ts";
import type { JobSpec } from "./messages/job.ts";
import { countPorts, parsePorts } from "./port.ts";
import { countAddresses, parseRange, subtractRanges, type AddressRange } from "./range.ts";
import { SPECIAL_RANGES } from "./special.ts";

/** What one network (an IPv4 /24 or IPv6 /64) gets at most from the plans that scan it; whole networks, `last` inclusive. */
export type Pace = AddressRange & { readonly pps: number };

/** Packets per second for one network that all plans together may send at most. Special-purpose blocks have no such bound. */
export const NETWORK_RATE_MAX_PPS = 2_000;

const bitsOf = (address: Address): bigint => (isIpv4(address) ? 8n : 64n);

/**
 * How fast a job goes for each network, special-purpose blocks left out. Tiles are strided over their block, so a network's part of the
 * whole rate is its part of the block's addresses; and no address gets more in a second than it gets in all. A scanner is in one tile at a
 * time: of several blocks the fastest counts.
 */
export function pacesOf({ blocks, rateLimitPps, retries }: Pick<JobSpec, "blocks" | "rateLimitPps" | "retries">): Pace[] {
  const perBlock = blocks.map((block) => {
    const ranges = block.ranges.map(parseRange);
    const whole = (rateLimitPps * block.members.length) / Number(countAddresses(ranges));
    const each = countPorts(parsePorts(block.ports)) * (retries + 1);
    return byNetwork(subtractRanges(ranges, SPECIAL_RANGES), Math.min(whole, each));
  });
  return combine(perBlock, (values) => Math.max(...values));
}

/** All of them at once. */
export function addPaces(plans: readonly (readonly Pace[])[]): Pace[] {
  return combine(plans, (values) => values.reduce((sum, value) => sum + value, 0));
}

/** The first of the fastest networks among those that `within` touches; null when there is none. */
export function fastest(paces: readonly Pace[], within: readonly Pace[]): Pace | null {
  let best: Pace | null = null;
  let next = 0;
  for (const pace of paces) {
    while ((within[next]?.last ?? pace.first) < pace.first) next += 1;
    const touches = within[next] !== undefined && (within[next]?.first ?? 0n) <= pace.last;
    if (touches && pace.pps > (best?.pps ?? 0)) best = pace;
  }
  if (best === null) return null;
  return { first: best.first, last: best.first + (1n << bitsOf(best.first)) - 1n, pps: best.pps };
}

/** Addresses counted by network. Only the ends of a range can share theirs with another; in between are whole ones, all alike. */
function byNetwork(ranges: readonly AddressRange[], perAddress: number): Pace[] {
  const ends = new Map<bigint, { readonly size: bigint; count: bigint }>();
  const whole: Pace[] = [];
  const count = (first: Address, addresses: bigint, size: bigint): void => {
    const end = ends.get(first) ?? { size, count: 0n };
    end.count += addresses;
    ends.set(first, end);
  };
  for (const { first, last } of ranges) {
    const size = 1n << bitsOf(first);
    const [from, to] = [first - (first % size), last - (last % size)];
    if (from === to) {
      count(from, last - first + 1n, size);
      continue;
    }
    count(from, from + size - first, size);
    count(to, last - to + 1n, size);
    if (to - from > size) whole.push({ first: from + size, last: to - 1n, pps: Number(size) * perAddress });
  }
  const parts = [...ends].map(([first, { size, count: addresses }]) => ({
    first,
    last: first + size - 1n,
    pps: Number(addresses) * perAddress,
  }));
  return [...whole, ...parts].toSorted((a, b) => (a.first < b.first ? -1 : 1));
}

/** Cuts the line where any of the lists changes, and joins the values that hold there. Each list is disjoint. */
function combine(lists: readonly (readonly Pace[])[], join: (values: readonly number[]) => number): Pace[] {
  const events = lists.flatMap((list, of) =>
    list.flatMap(({ first, last, pps }) => [
      { at: first, of, pps },
      { at: last + 1n, of, pps: null },
    ]),
  );
  // Of one list an end comes before the beginning at the same place.
  events.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : Number(a.pps !== null) - Number(b.pps !== null)));
  const active = new Map<number, number>();
  const paces: Pace[] = [];
  let from = 0n;
  for (const { at, of, pps } of events) {
    if (active.size > 0 && at > from) paces.push({ first: from, last: at - 1n, pps: join([...active.values()]) });
    from = at;
    if (pps === null) active.delete(of);
    else active.set(of, pps);
  }
  return paces;
}
