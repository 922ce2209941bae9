import { ADDRESS_LAST, IPV4_FIRST, IPV4_LAST, formatAddress, isIpv4, parseAddress, quoted, type Address } from "./address.ts";
import { PortolanError } from "./errors.ts";

/** Inclusive run of addresses of one family: `first <= last`, both IPv4 or both IPv6. */
export type AddressRange = { readonly first: Address; readonly last: Address };

/**
 * Reads "192.0.2.0/24", "192.0.2.1-192.0.2.9" or a single address.
 * Throws `invalid` for host bits (naming the network), reversed ends and ranges that mix IPv4 and IPv6.
 */
export function parseRange(text: string): AddressRange {
  const slash = text.indexOf("/");
  if (slash >= 0) return parseCidr(text, slash);
  const dash = text.indexOf("-");
  if (dash < 0) {
    const address = parseAddress(text);
    return { first: address, last: address };
  }
  const first = parseAddress(text.slice(0, dash));
  const last = parseAddress(text.slice(dash + 1));
  if (isIpv4(first) !== isIpv4(last)) {
    throw new PortolanError(
      "invalid",
      `range ${quoted(text)} begins in one address family and ends in the other; write one range for each`,
    );
  }
  if (first > last) {
    throw new PortolanError(
      "invalid",
      `range ${quoted(text)} ends before it begins; write "${formatAddress(last)}-${formatAddress(first)}"`,
    );
  }
  return refuseMixed({ first, last }, text);
}

function parseCidr(text: string, slash: number): AddressRange {
  const base = parseAddress(text.slice(0, slash));
  const lengthText = text.slice(slash + 1);
  const spelledIpv4 = !text.slice(0, slash).includes(":");
  const bitsMax = spelledIpv4 ? 32 : 128;
  const length = /^(?:0|[1-9]\d{0,2})$/.test(lengthText) ? Number(lengthText) : Number.NaN;
  if (!(length <= bitsMax)) {
    throw new PortolanError(
      "invalid",
      `${quoted(text)} has a bad prefix length; write a whole number from 0 to ${bitsMax} after the slash`,
    );
  }
  const size = 1n << BigInt(bitsMax - length);
  const first = base - (base % size);
  if (first !== base) {
    const network = isIpv4(first) === isIpv4(base) ? formatRange({ first, last: first + size - 1n }) : `${formatAddress(first)}/${length}`;
    throw new PortolanError("invalid", `${quoted(text)} has bits set after its prefix; write the network ${network} or the single address`);
  }
  return refuseMixed({ first, last: first + size - 1n }, text);
}

/** A range like ::/0 would silently take in all of IPv4, which stands at ::ffff:0:0/96. */
function refuseMixed(range: AddressRange, text: string): AddressRange {
  if (splitFamilies(range).length === 1) return range;
  throw new PortolanError(
    "invalid",
    `${quoted(text)} holds IPv4 (::ffff:0:0/96) inside IPv6; write both apart, for example 2000::/3 and 0.0.0.0/0`,
  );
}

/** The pieces of a range below, in and above IPv4's place, in this order. */
function splitFamilies(range: AddressRange): AddressRange[] {
  const pieces = [
    { first: 0n, last: IPV4_FIRST - 1n },
    { first: IPV4_FIRST, last: IPV4_LAST },
    { first: IPV4_LAST + 1n, last: ADDRESS_LAST },
  ];
  return pieces.flatMap((piece) => intersection(range, piece) ?? []);
}

function intersection(a: AddressRange, b: AddressRange): AddressRange | null {
  const first = a.first > b.first ? a.first : b.first;
  const last = a.last < b.last ? a.last : b.last;
  return first <= last ? { first, last } : null;
}

/** Canonical text: CIDR when aligned, the address alone when single, else "first-last". `parseRange` reads it back. */
export function formatRange(range: AddressRange): string {
  const { first, last } = range;
  if (first === last) return formatAddress(first);
  const size = last - first + 1n;
  if ((size & (size - 1n)) === 0n && first % size === 0n) {
    const hostBits = size.toString(2).length - 1;
    return `${formatAddress(first)}/${(isIpv4(first) ? 32 : 128) - hostBits}`;
  }
  return `${formatAddress(first)}-${formatAddress(last)}`;
}

function byFirst(a: AddressRange, b: AddressRange): number {
  return a.first < b.first ? -1 : a.first > b.first ? 1 : 0;
}

/** The same addresses as sorted, disjoint ranges that do not touch, except where IPv4 meets IPv6. */
export function normaliseRanges(ranges: readonly AddressRange[]): AddressRange[] {
  const sorted = ranges.flatMap((range) =>
    isIpv4(range.first) === isIpv4(range.last) && !spansIpv4(range) ? range : splitFamilies(range),
  );
  sorted.sort(byFirst);
  const merged: { first: Address; last: Address }[] = [];
  let open: { first: Address; last: Address } | undefined;
  for (const range of sorted) {
    if (open !== undefined && range.first <= open.last + 1n && isIpv4(range.first) === isIpv4(open.last)) {
      if (range.last > open.last) open.last = range.last;
    } else {
      open = { first: range.first, last: range.last };
      merged.push(open);
    }
  }
  return merged;
}

function spansIpv4(range: AddressRange): boolean {
  return range.first < IPV4_FIRST && range.last > IPV4_LAST;
}

/** Addresses of `from` that are not in `minus`; normalised. */
export function subtractRanges(from: readonly AddressRange[], minus: readonly AddressRange[]): AddressRange[] {
  const holes = normaliseRanges(minus);
  const rest: AddressRange[] = [];
  let next = 0;
  for (const range of normaliseRanges(from)) {
    while ((holes[next]?.last ?? ADDRESS_LAST) < range.first) next += 1;
    let first = range.first;
    for (let i = next; first <= range.last; i += 1) {
      const hole = holes[i];
      if (hole === undefined || hole.first > range.last) break;
      if (hole.first > first) rest.push({ first, last: hole.first - 1n });
      first = hole.last + 1n;
    }
    if (first <= range.last) rest.push({ first, last: range.last });
  }
  return rest;
}

/** Addresses that are in both; normalised. */
export function intersectRanges(a: readonly AddressRange[], b: readonly AddressRange[]): AddressRange[] {
  const left = normaliseRanges(a);
  const right = normaliseRanges(b);
  const both: AddressRange[] = [];
  let i = 0;
  let j = 0;
  for (;;) {
    const one = left[i];
    const other = right[j];
    if (one === undefined || other === undefined) return both;
    const common = intersection(one, other);
    if (common !== null) both.push(common);
    if (one.last < other.last) i += 1;
    else j += 1;
  }
}

/** How many different addresses the ranges hold. */
export function countAddresses(ranges: readonly AddressRange[]): bigint {
  return normaliseRanges(ranges).reduce((sum, range) => sum + (range.last - range.first + 1n), 0n);
}

/** Whether `normalised` (sorted and disjoint, see `normaliseRanges`) holds the address; by binary search. */
export function containsAddress(normalised: readonly AddressRange[], address: Address): boolean {
  let low = 0;
  let high = normalised.length - 1;
  while (low <= high) {
    const middle = (low + high) >> 1;
    const range = normalised[middle];
    if (range === undefined) return false;
    if (address < range.first) high = middle - 1;
    else if (address > range.last) low = middle + 1;
    else return true;
  }
  return false;
}

/** Canonical text of each normalised range. */
export function rangesText(ranges: readonly AddressRange[]): string[] {
  return normaliseRanges(ranges).map(formatRange);
}
