import type { Address } from "./address.ts";
import { formatPorts, normalisePorts, subtractPorts, countPorts, type PortRange } from "./port.ts";
import { countAddresses, normaliseRanges, subtractRanges, type AddressRange } from "./range.ts";

/** Pairs that are never probed: each of these addresses with each of these ports. */
export type PairExclusion = { readonly ranges: readonly AddressRange[]; readonly ports: readonly PortRange[] };

/** Addresses that share one port set; both normalised. Blocks of a target set are disjoint in their addresses. */
export type TargetBlock = { readonly ranges: readonly AddressRange[]; readonly ports: readonly PortRange[] };

/** What a plan wants probed and what must not be. */
export type TargetQuery = {
  readonly include: readonly AddressRange[];
  readonly exclude: readonly AddressRange[];
  readonly ports: readonly PortRange[];
  readonly pairExclusions: readonly PairExclusion[];
};

/** A run of addresses to which exactly the same exclusions apply; `set` identifies them. */
type Segment = AddressRange & { readonly set: string };

/**
 * (included − excluded addresses) × ports − (address, port) exclusions, as blocks sorted by their first address.
 * Addresses with equal remaining ports share a block; addresses without any port left are in none.
 */
export function targetSet({ include, exclude, ports, pairExclusions }: TargetQuery): TargetBlock[] {
  const portsOfSet = new Map<string, string>();
  const blocks = new Map<string, { ranges: AddressRange[]; ports: PortRange[] }>();
  const add = (range: AddressRange, set: string): void => {
    let text = portsOfSet.get(set);
    if (text === undefined) {
      const excluded = set === "" ? [] : set.split(",").flatMap((id) => pairExclusions[Number(id)]?.ports ?? []);
      const rest = subtractPorts(normalisePorts(ports), excluded);
      text = formatPorts(rest);
      portsOfSet.set(set, text);
      if (!blocks.has(text)) blocks.set(text, { ranges: [], ports: rest });
    }
    blocks.get(text)?.ranges.push(range);
  };
  cutBySegments(subtractRanges(include, exclude), segmentsOf(pairExclusions), add);
  return [...blocks.values()]
    .filter((block) => block.ports.length > 0)
    .map((block) => ({ ranges: normaliseRanges(block.ranges), ports: block.ports }))
    .sort((a, b) => ((a.ranges[0]?.first ?? 0n) < (b.ranges[0]?.first ?? 0n) ? -1 : 1));
}

/** Sorted, disjoint segments in which at least one exclusion applies. */
function segmentsOf(exclusions: readonly PairExclusion[]): Segment[] {
  const events: { at: Address; id: number; begins: boolean }[] = [];
  for (const [id, exclusion] of exclusions.entries()) {
    for (const { first, last } of normaliseRanges(exclusion.ranges)) {
      events.push({ at: first, id, begins: true }, { at: last + 1n, id, begins: false });
    }
  }
  // Ends before beginnings, so that ranges of one exclusion that touch do not cancel each other.
  events.sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : Number(a.begins) - Number(b.begins)));
  const active = new Set<number>();
  const segments: Segment[] = [];
  let from: Address = 0n;
  for (const { at, id, begins } of events) {
    if (active.size > 0 && from < at) segments.push({ first: from, last: at - 1n, set: [...active].sort((a, b) => a - b).join(",") });
    from = at;
    if (begins) active.add(id);
    else active.delete(id);
  }
  return segments;
}

/** Cuts sorted ranges at the borders of sorted segments and hands on each piece with the exclusions that apply to it. */
function cutBySegments(
  ranges: readonly AddressRange[],
  segments: readonly Segment[],
  add: (range: AddressRange, set: string) => void,
): void {
  let next = 0;
  for (const range of ranges) {
    let first = range.first;
    while (first <= range.last) {
      const segment = segments[next];
      if (segment === undefined || segment.first > range.last) {
        add({ first, last: range.last }, "");
        break;
      }
      if (segment.last < first) {
        next += 1;
        continue;
      }
      if (segment.first > first) add({ first, last: segment.first - 1n }, "");
      const from = segment.first > first ? segment.first : first;
      const last = segment.last < range.last ? segment.last : range.last;
      add({ first: from, last }, segment.set);
      first = last + 1n;
    }
  }
}

/** How many (address, port) pairs the blocks hold. */
export function countPairs(blocks: readonly TargetBlock[]): bigint {
  return blocks.reduce((sum, block) => sum + countAddresses(block.ranges) * BigInt(countPorts(block.ports)), 0n);
}
