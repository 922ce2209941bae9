import { formatAddress, parseAddress, quoted } from "../address.ts";
import { PortolanError } from "../errors.ts";
import { groupNameSchema, nameSchema } from "../messages/common.ts";
import type { Protocol } from "../port.ts";
import { formatRange, normaliseRanges, parseRange, type AddressRange } from "../range.ts";
import { FILTER_PROTOCOLS, type PortChoice } from "./terms.ts";

const PORT_LAST = 65_535;
const UNITS_S = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 } as const;
/** Ten years. */
const AGE_S_MAX = 315_360_000;

/** `22`, `80-90`, `tcp/443`, `udp/53-60`; null for anything else. */
export function portChoice(text: string): PortChoice | null {
  const match = /^(?:(tcp|udp|sctp)\/)?(\d{1,5})(?:-(\d{1,5}))?$/.exec(text);
  if (match === null) return null;
  const [, name, from, to] = match;
  const [first, last] = [Number(from), Number(to ?? from)];
  if (last > PORT_LAST) throw invalid(text, `goes above ${PORT_LAST}, the highest port; lower it`);
  if (first > last) throw invalid(text, "ends before it begins; write the lower port first");
  return { protocol: FILTER_PROTOCOLS.find((protocol) => protocol === name) ?? null, first, last };
}

/** Sorted, without repeats. */
export function sortPorts(ports: readonly PortChoice[]): PortChoice[] {
  const texts = new Map(ports.map((port) => [formatPortChoice(port), port]));
  return [...texts.values()].toSorted((a, b) => rank(a.protocol) - rank(b.protocol) || a.first - b.first || a.last - b.last);
}

function rank(protocol: Protocol | null): number {
  return protocol === null ? -1 : FILTER_PROTOCOLS.indexOf(protocol);
}

export function formatPortChoice({ protocol, first, last }: PortChoice): string {
  return `${protocol === null ? "" : `${protocol}/`}${first === last ? first : `${first}-${last}`}`;
}

/** One address; throws `invalid`. */
export function oneAddress(text: string): AddressRange {
  const address = parseAddress(text);
  return { first: address, last: address };
}

/** Canonical `ip:` or `net:` term of ranges: merged and in order. */
export function rangeTexts(ranges: readonly AddressRange[]): string {
  const merged = normaliseRanges(ranges);
  const single = merged.every(({ first, last }) => first === last);
  return `${single ? "ip" : "net"}:${merged.map((range) => (single ? formatAddress(range.first) : formatRange(range))).join()}`;
}

/** Whether a bare word looks like addresses; then it has to be right. */
export function looksLikeAddress(text: string): boolean {
  return /^[0-9a-f:.]*[:.][0-9a-f:.]*([/-].*)?$/i.test(text);
}

export function ranges(text: string): AddressRange {
  return parseRange(text);
}

/** A name of a region or scanner. */
export function name(text: string): string {
  if (nameSchema.safeParse(text).success) return text;
  throw invalid(text, "cannot be a name: names hold a-z, 0-9, - and _");
}

/** A name of a range group. */
export function groupName(text: string): string {
  if (groupNameSchema.safeParse(text).success) return text;
  throw invalid(text, "cannot be the name of a range group: names hold letters, digits, dots, - and _");
}

/** `<24h` or `>7d`. */
export function age(text: string): { readonly younger: boolean; readonly ageS: number } {
  const match = /^([<>])(\d{1,9})([smhdw])$/.exec(text);
  const [, sign, count, unit] = match ?? [];
  if (sign === undefined || unit === undefined) {
    throw invalid(text, 'is no age; write "<24h" for less than 24 hours ago, or ">7d" for more than 7 days ago (units s, m, h, d, w)');
  }
  const ageS = Number(count) * UNITS_S[unit as keyof typeof UNITS_S];
  if (ageS > AGE_S_MAX) throw invalid(text, "is more than ten years; write a shorter age");
  return { younger: sign === "<", ageS };
}

/** The shortest spelling with one unit. */
export function formatAge(ageS: number): string {
  for (const unit of ["w", "d", "h", "m"] as const) {
    if (ageS > 0 && ageS % UNITS_S[unit] === 0) return `${ageS / UNITS_S[unit]}${unit}`;
  }
  return `${ageS}s`;
}

/** A `PortolanError("invalid")` about one word of a filter. */
export function invalid(text: string, why: string): PortolanError {
  return new PortolanError("invalid", `${quoted(text)} in the filter ${why}`);
}
