import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatAddress, isIpv4 } from "../../src/core/address.ts";
import { PortolanError } from "../../src/core/errors.ts";
import {
  containsAddress,
  countAddresses,
  formatRange,
  intersectRanges,
  normaliseRanges,
  parseRange,
  rangesText,
  subtractRanges,
} from "../../src/core/range.ts";
import { addressSet, addresses, common, nearAddresses, nearRanges, without } from "./builders.ts";

const rangeLists = fc.array(nearRanges, { maxLength: 12 });

test("canonical range text is a fixed point", () => {
  const wide = fc
    .tuple(addresses, addresses)
    .filter(([a, b]) => isIpv4(a) === isIpv4(b))
    .map(([a, b]) => (a < b ? { first: a, last: b } : { first: b, last: a }))
    .filter((range) => normaliseRanges([range]).length === 1);
  fc.assert(
    fc.property(fc.oneof(nearRanges, wide), (range) => {
      expect(parseRange(formatRange(range))).toEqual(range);
    }),
  );
});

test("every network of both families is written as CIDR and read back", () => {
  for (let length = 0; length <= 32; length += 1)
    expect(formatRange(parseRange(`0.0.0.0/${length}`))).toBe(length === 32 ? "0.0.0.0" : `0.0.0.0/${length}`);
  for (let length = 3; length <= 128; length += 1)
    expect(formatRange(parseRange(`2000::/${length}`))).toBe(length === 128 ? "2000::" : `2000::/${length}`);
});

test("range algebra equals sets of single addresses", () => {
  fc.assert(
    fc.property(rangeLists, rangeLists, nearAddresses, (a, b, probe) => {
      const [left, right] = [addressSet(a), addressSet(b)];
      expect(addressSet(normaliseRanges(a))).toEqual(left);
      expect(addressSet(subtractRanges(a, b))).toEqual(without(left, right));
      expect(addressSet(intersectRanges(a, b))).toEqual(common(left, right));
      expect(countAddresses(a)).toBe(BigInt(left.size));
      expect(containsAddress(normaliseRanges(a), probe)).toBe(left.has(probe));
    }),
    { numRuns: 500 },
  );
});

test("results are normalised: sorted, apart, of one family each, and a fixed point", () => {
  fc.assert(
    fc.property(rangeLists, rangeLists, (a, b) => {
      for (const ranges of [normaliseRanges(a), subtractRanges(a, b), intersectRanges(a, b)]) {
        expect(normaliseRanges(ranges)).toEqual(ranges);
        for (const [i, range] of ranges.entries()) {
          expect(isIpv4(range.first)).toBe(isIpv4(range.last));
          const before = ranges[i - 1];
          if (before !== undefined) expect(range.first > before.last + (isIpv4(before.last) === isIpv4(range.first) ? 1n : 0n)).toBe(true);
        }
      }
    }),
  );
});

test("IPv4 never merges with the IPv6 addresses beside it", () => {
  const ranges = [parseRange("::fffe:ffff:ff00/120"), parseRange("0.0.0.0/24"), parseRange("255.255.255.0/24"), parseRange("::1:0:0:0")];
  expect(rangesText(ranges)).toEqual(["::fffe:ffff:ff00/120", "0.0.0.0/24", "255.255.255.0/24", "::1:0:0:0"]);
});

test("the order and split of ranges make no difference", () => {
  fc.assert(
    fc.property(rangeLists, (ranges) => {
      expect(rangesText(ranges.toReversed())).toEqual(rangesText([...ranges, ...ranges]));
    }),
  );
});

test("wrong ranges are refused with the remedy", () => {
  expect(() => parseRange("192.0.2.1/24")).toThrow(/write the network 192\.0\.2\.0\/24/);
  expect(() => parseRange("2001:db8::1/64")).toThrow(/write the network 2001:db8::\/64/);
  expect(() => parseRange("192.0.2.0/33")).toThrow(/from 0 to 32/);
  expect(() => parseRange("2001:db8::/129")).toThrow(/from 0 to 128/);
  expect(() => parseRange("192.0.2.9-192.0.2.1")).toThrow(/write "192\.0\.2\.1-192\.0\.2\.9"/);
  expect(() => parseRange("192.0.2.9-2001:db8::1")).toThrow(/one range for each/);
  for (const text of ["::/0", "::ffff:0:0/95", "::-::1:0:0:0:0"]) expect(() => parseRange(text), text).toThrow(PortolanError);
  for (const text of [
    "",
    "/",
    "/24",
    "192.0.2.0/",
    "192.0.2.0/-1",
    "192.0.2.0/024",
    "192.0.2.0/24/24",
    "-",
    "192.0.2.1-",
    "-192.0.2.1",
    "1.2.3.4-5",
    "a",
    "192.0.2.0/2 4",
  ]) {
    expect(() => parseRange(text), text).toThrow(PortolanError);
  }
});

test("IPv4 networks spelled as IPv6 become IPv4", () => {
  expect(formatRange(parseRange("::ffff:192.0.2.0/120"))).toBe("192.0.2.0/24");
  expect(formatRange(parseRange("::ffff:0:0/96"))).toBe("0.0.0.0/0");
});

test("any text is a range or a PortolanError", () => {
  const texts = fc.array(fc.constantFrom("1", "0", ".", ":", "::", "/", "-", "24", "ffff", "192.0.2.0", "2001:db8::", " "), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        texts.map((list) => list.join("")),
      ),
      (text) => {
        try {
          const range = parseRange(text);
          expect(parseRange(formatRange(range))).toEqual(range);
          expect(formatAddress(range.first)).not.toBe("");
        } catch (error) {
          expect(error).toBeInstanceOf(PortolanError);
        }
      },
    ),
    { numRuns: 1_000 },
  );
});
