import { intersectRanges, parseRange, type AddressRange } from "./range.ts";

/** A block of the IANA special-purpose registries. `needsLeave`: probed only where a range group says `allowSpecialPurpose`. */
export type SpecialBlock = { readonly range: AddressRange; readonly what: string; readonly needsLeave: boolean };

const block = (text: string, what: string, needsLeave = true): SpecialBlock => ({ range: parseRange(text), what, needsLeave });

/** Documentation blocks are nobody's: they get a warning and need no leave. */
export const SPECIAL_BLOCKS: readonly SpecialBlock[] = [
  block("0.0.0.0/8", "this network"),
  block("10.0.0.0/8", "private use"),
  block("100.64.0.0/10", "shared by carriers"),
  block("127.0.0.0/8", "loopback"),
  block("169.254.0.0/16", "link-local"),
  block("172.16.0.0/12", "private use"),
  block("192.0.0.0/24", "protocol assignments"),
  block("192.0.2.0/24", "documentation", false),
  block("192.88.99.0/24", "6to4 relays"),
  block("192.168.0.0/16", "private use"),
  block("198.18.0.0/15", "benchmarking"),
  block("198.51.100.0/24", "documentation", false),
  block("203.0.113.0/24", "documentation", false),
  block("224.0.0.0/4", "multicast"),
  block("240.0.0.0/4", "reserved"),
  block("::-::fffe:ffff:ffff", "unspecified, loopback, mapped"),
  block("64:ff9b::/96", "IPv4/IPv6 translation"),
  block("64:ff9b:1::/48", "IPv4/IPv6 translation"),
  block("100::/64", "discard only"),
  block("2001::/23", "protocol assignments"),
  block("2001:db8::/32", "documentation", false),
  block("2002::/16", "6to4"),
  block("3fff::/20", "documentation", false),
  block("5f00::/16", "segment routing"),
  block("fc00::/7", "unique local"),
  block("fe80::/10", "link-local"),
  block("ff00::/8", "multicast"),
];

/** All of them together. */
export const SPECIAL_RANGES: readonly AddressRange[] = SPECIAL_BLOCKS.map(({ range }) => range);

/** The special-purpose blocks that some of the addresses lie in, with those addresses. */
export function specialIn(ranges: readonly AddressRange[]): { readonly block: SpecialBlock; readonly ranges: readonly AddressRange[] }[] {
  return SPECIAL_BLOCKS.map((one) => ({ block: one, ranges: intersectRanges(ranges, [one.range]) })).filter((hit) => hit.ranges.length > 0);
}
