import type { Address } from "./address.ts";
import { containsPort, formatPorts, parsePorts, type PortRange, type Protocol } from "./port.ts";
import { containsAddress, normaliseRanges, parseRange, rangesText, type AddressRange } from "./range.ts";
import type { PairExclusion } from "./target.ts";

/** Pairs that must not be probed: these addresses, wholly (`ports` null) or with these ports. Ranges are normalised. */
export type DeniedPairs = { readonly ranges: readonly AddressRange[]; readonly ports: readonly PortRange[] | null };

/** The same in canonical text, as it travels. */
export type DeniedText = { readonly ranges: readonly string[]; readonly ports: string | null };

/** Reads and merges: one entry for each set of ports, in a fixed order, so that equal rules make equal texts. Throws `invalid`. */
export function mergeDenied(texts: readonly DeniedText[]): DeniedPairs[] {
  const byPorts = new Map<string, AddressRange[]>();
  for (const { ranges, ports } of texts) {
    const key = ports === null ? "" : formatPorts(parsePorts(ports));
    const all = byPorts.get(key) ?? [];
    for (const range of ranges) all.push(parseRange(range));
    byPorts.set(key, all);
  }
  return [...byPorts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, ranges]) => ({ ranges: normaliseRanges(ranges), ports: key === "" ? null : parsePorts(key) }))
    .filter(({ ranges }) => ranges.length > 0);
}

/** The other way round. */
export function deniedText(pairs: readonly DeniedPairs[]): DeniedText[] {
  return pairs.map(({ ranges, ports }) => ({ ranges: rangesText(ranges), ports: ports === null ? null : formatPorts(ports) }));
}

/** Whether the pair must not be probed. */
export function isDenied(
  denied: readonly DeniedPairs[],
  { address, protocol, port }: { readonly address: Address; readonly protocol: Protocol; readonly port: number },
): boolean {
  return denied.some(({ ranges, ports }) => (ports === null || containsPort(ports, protocol, port)) && containsAddress(ranges, address));
}

/** First range of a set of pairs in which some pair must not be probed; null when there is none. Ranges need not be normalised. */
export function firstDenied(
  denied: readonly DeniedPairs[],
  { ranges, ports }: { readonly ranges: readonly AddressRange[]; readonly ports: readonly PortRange[] },
): AddressRange | null {
  for (const rule of denied) {
    if (rule.ports !== null && !sharePort(rule.ports, ports)) continue;
    for (const range of ranges) {
      const hit = overlapIn(rule.ranges, range);
      if (hit !== null) return hit;
    }
  }
  return null;
}

function sharePort(a: readonly PortRange[], b: readonly PortRange[]): boolean {
  return a.some((one) => b.some((other) => one.protocol === other.protocol && one.first <= other.last && other.first <= one.last));
}

/** The part of `range` in the first of the normalised ranges that overlaps it. */
function overlapIn(normalised: readonly AddressRange[], range: AddressRange): AddressRange | null {
  let low = 0;
  let high = normalised.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((normalised[middle]?.last ?? 0n) < range.first) low = middle + 1;
    else high = middle;
  }
  const found = normalised[low];
  if (found === undefined || found.first > range.last) return null;
  return { first: found.first > range.first ? found.first : range.first, last: found.last < range.last ? found.last : range.last };
}

/** The same as a target set takes it. */
export function asExclusions(denied: readonly DeniedPairs[]): {
  readonly exclude: AddressRange[];
  readonly pairExclusions: PairExclusion[];
} {
  return {
    exclude: denied.flatMap(({ ranges, ports }) => (ports === null ? ranges : [])),
    pairExclusions: denied.flatMap(({ ranges, ports }) => (ports === null ? [] : [{ ranges, ports }])),
  };
}
