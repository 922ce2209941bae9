import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cutByMembers, type BoundMember } from "../../src/core/eligible.ts";
import { containsAddress, countAddresses, normaliseRanges, parseRange, type AddressRange } from "../../src/core/range.ts";

const WHO = { plan: "office", group: "edge" };
const ranges = (...texts: string[]): AddressRange[] => normaliseRanges(texts.map(parseRange));

describe("what scanners may probe", () => {
  test("cuts a network into pieces of equal members, in their order", () => {
    const pieces = cutByMembers(
      ranges("192.0.2.0/24"),
      [{ name: "b", mayNotProbe: ranges("192.0.2.0/25") }, { name: "a" }, { name: "c", mayProbe: ranges("192.0.2.192/26") }],
      WHO,
    );
    expect(new Map(pieces.map((piece) => [piece.members.join(), countAddresses(piece.ranges)]))).toEqual(
      new Map([
        ["b,a,c", 64n],
        ["b,a", 64n],
        ["a", 128n],
      ]),
    );
  });

  test("an address that nobody may probe is refused by name", () => {
    const nobody: BoundMember[] = [{ name: "a", mayProbe: ranges("192.0.2.0/25") }];
    expect(() => cutByMembers(ranges("192.0.2.0/24"), nobody, WHO)).toThrow(
      /no scanner of group "edge" may probe 192\.0\.2\.128\/25.*"office"/,
    );
  });

  test("every address lies in exactly one piece, with exactly the members that may probe it", () => {
    const block = fc.tuple(fc.nat(63), fc.nat(63)).map(([a, b]): AddressRange => {
      const base = parseRange("192.0.2.0").first;
      return { first: base + BigInt(Math.min(a, b)), last: base + BigInt(Math.max(a, b)) };
    });
    const bounds = fc.record(
      { mayProbe: fc.array(block, { maxLength: 3 }), mayNotProbe: fc.array(block, { maxLength: 3 }) },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.array(bounds, { minLength: 1, maxLength: 4 }), (given) => {
        const members: BoundMember[] = [{ name: "anything" }, ...given.map((bound, index) => ({ ...bound, name: `m${index}` }))];
        const pieces = cutByMembers(ranges("192.0.2.0/26"), members, WHO);
        expect(pieces.reduce((sum, piece) => sum + countAddresses(piece.ranges), 0n)).toBe(64n);
        for (let offset = 0n; offset < 64n; offset++) {
          const at = parseRange("192.0.2.0").first + offset;
          const holding = pieces.filter((piece) => containsAddress(piece.ranges, at));
          const wanted = members.filter(({ mayProbe, mayNotProbe }) => {
            const isInside = mayProbe === undefined || containsAddress(normaliseRanges(mayProbe), at);
            return isInside && !containsAddress(normaliseRanges(mayNotProbe ?? []), at);
          });
          expect(holding.map((piece) => piece.members)).toEqual([wanted.map(({ name }) => name)]);
        }
      }),
      { numRuns: 150 },
    );
  });
});
