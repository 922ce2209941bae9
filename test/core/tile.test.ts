import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PortolanError } from "../../src/core/errors.ts";
import type { Block } from "../../src/core/messages/job.ts";
import { planJob } from "../../src/core/plan.ts";
import { countPorts, formatPorts, intersectPorts, parsePorts } from "../../src/core/port.ts";
import {
  containsAddress,
  countAddresses,
  intersectRanges,
  normaliseRanges,
  parseRange,
  rangesText,
  subtractRanges,
  type AddressRange,
} from "../../src/core/range.ts";
import { targetSet } from "../../src/core/target.ts";
import { tileAt, tileCount, tilesOf, tilingOf, type TilingSpec } from "../../src/core/tile.ts";
import { addressSet, common, nearRanges, planInput, portRanges, portSet } from "./builders.ts";

function specOf(pairsMax: number, ...blocks: { readonly ranges: readonly string[]; readonly ports: string }[]): TilingSpec {
  return {
    blocks: blocks.map(({ ranges, ports }): Block => ({ ranges: [...ranges], ports, engine: "masscan", members: ["alpha", "beta"] })),
    tiling: { version: 1, pairsMax },
  };
}

const rangeLists = fc.array(nearRanges, { maxLength: 6 });
const portLists = fc.array(portRanges, { minLength: 1, maxLength: 4 });
const queries = fc.record({
  include: rangeLists,
  exclude: rangeLists,
  ports: portLists,
  pairExclusions: fc.array(fc.record({ ranges: fc.array(nearRanges, { minLength: 1, maxLength: 3 }), ports: portLists }), { maxLength: 4 }),
});

test("tiles partition the target set exactly and hold no excluded pair", () => {
  fc.assert(
    fc.property(queries, fc.integer({ min: 1, max: 400 }), (query, pairsMax) => {
      const blocks = targetSet(query).map(({ ranges, ports }) => ({ ranges: rangesText(ranges), ports: formatPorts(ports) }));
      const spec = specOf(pairsMax, ...blocks);
      const excluded = addressSet(query.exclude);
      const cuts = query.pairExclusions.map(({ ranges, ports }) => ({ addresses: addressSet(ranges), ports: portSet(ports) }));
      const seen = new Map<bigint, Set<string>>();
      for (const tile of tilesOf(spec)) {
        const ports = portSet(tile.ports);
        const addresses = addressSet(tile.ranges);
        expect(tile.pairs).toBe(addresses.size * ports.size);
        expect(tile.pairs <= pairsMax || addresses.size === 1).toBe(true);
        for (const address of addresses) {
          expect(seen.has(address)).toBe(false);
          expect(excluded.has(address)).toBe(false);
          for (const cut of cuts) if (cut.addresses.has(address)) expect(common(ports, cut.ports).size).toBe(0);
          seen.set(address, ports);
        }
      }
      const wanted = targetSet(query);
      expect(seen.size).toBe(Number(countAddresses(wanted.flatMap(({ ranges }) => ranges))));
      for (const { ranges, ports } of wanted) for (const address of addressSet(ranges)) expect(seen.get(address)).toEqual(portSet(ports));
    }),
    { numRuns: 200 },
  );
});

/** Sizes from one address to a /8 and a /64, in up to 40 separate ranges. */
const wideBlocks = fc
  .array(fc.tuple(fc.nat(60), fc.bigInt({ min: 0n, max: 1n << 24n }), fc.boolean()), { minLength: 1, maxLength: 40 })
  .map((list) => {
    const ranges = list.map(([slot, size, ipv6]): AddressRange => {
      const first = ipv6 ? (0x2001_0db8n << 96n) + (BigInt(slot) << 65n) : 0xffff_0a00_0000n + (BigInt(slot) << 20n);
      return { first, last: first + (ipv6 ? size << 12n : size % (1n << 20n)) };
    });
    return rangesText(ranges);
  });

test("tiles of large blocks are disjoint, whole, even and bounded", () => {
  fc.assert(
    fc.property(
      wideBlocks,
      fc.constantFrom("80", "1-1024", "1-65535", "0-65535,U:0-65535"),
      fc.integer({ min: 1, max: 30 }),
      (ranges, ports, wanted) => {
        const portCount = countPorts(parsePorts(ports));
        const block = ranges.map(parseRange);
        const addresses = countAddresses(block);
        const pairs = addresses * BigInt(portCount);
        const pairsMax = Number(pairs / BigInt(wanted)) + 1;
        const spec = specOf(Math.min(pairsMax, Number.MAX_SAFE_INTEGER), { ranges, ports });
        const tiles = tilesOf(spec);
        expect(BigInt(tiles.length) <= addresses).toBe(true);
        // Addresses are not cut: a little more than pairs / pairsMax tiles may be needed, and never more than there are addresses.
        const needed = pairs / BigInt(spec.tiling.pairsMax);
        expect(tiles.length).toBeGreaterThanOrEqual(Number(needed < addresses ? needed : addresses));
        const counts = tiles.map((tile) => countAddresses(tile.ranges));
        expect(counts.reduce((sum, count) => sum + count, 0n)).toBe(addresses);
        expect(normaliseRanges(tiles.flatMap((tile) => tile.ranges))).toEqual(normaliseRanges(block));
        const [least, most] = [counts.reduce((a, b) => (a < b ? a : b)), counts.reduce((a, b) => (a > b ? a : b))];
        expect(most - least <= 1n).toBe(true);
        for (const tile of tiles) {
          expect(tile.pairs <= spec.tiling.pairsMax || countAddresses(tile.ranges) === 1n).toBe(true);
          expect(tile.ranges).toEqual(normaliseRanges(tile.ranges));
          expect(tile.ranges.length).toBeLessThanOrEqual(ranges.length + 256);
        }
      },
    ),
    { numRuns: 100 },
  );
});

test("a /8 with all ports makes tiles within their bound that cover it once", () => {
  const spec = specOf(12_000_000, { ranges: ["10.0.0.0/8"], ports: "1-65535" });
  const tiling = tilingOf(spec);
  expect(tiling.pairs).toBe(65_535n << 24n);
  expect(tiling.count).toBe(Math.ceil(2 ** 24 / Math.floor(12_000_000 / 65_535)));
  let total = 0;
  for (let i = 0; i < tiling.count; i += 997) {
    const tile = tiling.tileAt(i);
    expect(tile.pairs).toBeLessThanOrEqual(12_000_000);
    // Every chunk is a row in every ledger: many tiles share about a million of them.
    expect(tile.ranges.length).toBeGreaterThan(8);
    expect(tile.ranges.length * tiling.count).toBeLessThan(1_100_000);
    total += 1;
  }
  expect(total).toBeGreaterThan(90);
  const [one, next] = [tiling.tileAt(4_321), tiling.tileAt(4_322)];
  expect(subtractRanges(one.ranges, next.ranges)).toEqual(one.ranges);
});

test("a huge IPv6 network is cut without walking it", () => {
  const spec = specOf(Number.MAX_SAFE_INTEGER, { ranges: ["2001:db8::/64"], ports: "443" });
  const tiling = tilingOf(spec);
  expect(tiling.pairs).toBe(1n << 64n);
  expect(tiling.count).toBe(2049);
  const counts = [0, 1, 1_024, 2_048].map((index) => countAddresses(tiling.tileAt(index).ranges));
  for (const count of counts) expect(count - (1n << 64n) / 2049n <= 1n).toBe(true);
  expect(() => tilingOf(specOf(1, { ranges: ["2001:db8::/64"], ports: "443" }))).toThrow(/more tiles than can be numbered/);
});

test("a tile is spread over its whole block", () => {
  const spec = specOf(65_536, { ranges: ["10.0.0.0/14"], ports: "80" });
  const tiles = tilesOf(spec);
  expect(tiles).toHaveLength(4);
  for (const tile of tiles) {
    for (const network of ["10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"]) {
      const outside = subtractRanges(tile.ranges, [parseRange(network)]);
      expect(Number(countAddresses(tile.ranges) - countAddresses(outside))).toBe(16_384);
    }
  }
});

test("the cut of tiling version 1 never changes", () => {
  const spec = specOf(6, { ranges: ["192.0.2.0/29", "2001:db8::/126"], ports: "22,80" }, { ranges: ["198.51.100.1"], ports: "1-9" });
  expect(tilesOf(spec).map((tile) => [rangesText(tile.ranges).join(" "), tile.pairs])).toEqual([
    ["192.0.2.0 192.0.2.4 2001:db8::", 6],
    ["192.0.2.1 192.0.2.5 2001:db8::1", 6],
    ["192.0.2.2 192.0.2.6 2001:db8::2", 6],
    ["192.0.2.3 192.0.2.7 2001:db8::3", 6],
    ["198.51.100.1", 9],
  ]);
});

test("a tile knows its engine and its members, and the counts agree", () => {
  const spec = planJob(planInput({ plan: { pairsMax: 10_000, include: [parseRange("192.0.2.0/24"), parseRange("127.0.0.1")] } }));
  const tiles = tilesOf(spec);
  expect(tileCount(spec)).toBe(tiles.length);
  expect(tiles.map(({ index }) => index)).toEqual(tiles.map((_, i) => i));
  for (const tile of tiles) {
    expect(tile).toEqual(tileAt(spec, tile.index));
    expect(tile.members).toEqual(["alpha", "beta"]);
    expect(tile.engine).toBe(containsAddress(tile.ranges, parseRange("127.0.0.1").first) ? "connect" : "masscan");
  }
});

test("a tile number outside the job is refused", () => {
  const spec = specOf(100, { ranges: ["192.0.2.0/29"], ports: "80" });
  for (const index of [-1, 1, 0.5, Number.NaN]) expect(() => tileAt(spec, index)).toThrow(PortolanError);
  expect(() => tileAt(spec, 1)).toThrow(/its tiles are 0 to 0/);
});

test("a spec that is not canonical or names an address twice is refused", () => {
  const refused = [
    specOf(9, { ranges: ["192.0.2.8", "192.0.2.0"], ports: "80" }),
    specOf(9, { ranges: ["192.0.2.0", "192.0.2.1"], ports: "80" }),
    specOf(9, { ranges: ["192.0.2.0-192.0.2.1"], ports: "80" }),
    specOf(9, { ranges: ["192.0.2.0/24", "192.0.2.5"], ports: "80" }),
    specOf(9, { ranges: ["192.0.2.0/31"], ports: "80,22" }),
    specOf(9, { ranges: ["192.0.2.0/31"], ports: "80" }, { ranges: ["192.0.2.1"], ports: "22" }),
    specOf(9, { ranges: ["--config"], ports: "80" }),
  ];
  for (const spec of refused) expect(() => tilingOf(spec)).toThrow(PortolanError);
});

test("which tiles hold some pairs is what looking at every tile says", () => {
  const runsOf = (numbers: readonly number[]): { first: number; last: number }[] => {
    const runs: { first: number; last: number }[] = [];
    for (const n of numbers) {
      const before = runs.at(-1);
      if (before !== undefined && n === before.last + 1) before.last = n;
      else runs.push({ first: n, last: n });
    }
    return runs;
  };
  const first = parseRange("192.0.2.0").first;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 90 })), { maxLength: 4 }),
      fc.constantFrom(null, "22", "80-81", "9"),
      (pairsMax, wanted, portsText) => {
        const spec = specOf(
          pairsMax,
          { ranges: ["192.0.2.0/25", "192.0.2.192-192.0.2.205"], ports: "22,80" },
          { ranges: ["192.0.2.160/30"], ports: "22" },
        );
        const ranges = normaliseRanges(wanted.map(([from, size]) => ({ first: first + BigInt(from), last: first + BigInt(from + size) })));
        const ports = portsText === null ? null : parsePorts(portsText);
        const holds = tilesOf(spec).filter(
          (tile) => intersectRanges(tile.ranges, ranges).length > 0 && (ports === null || intersectPorts(tile.ports, ports).length > 0),
        );
        expect(tilingOf(spec).tilesWith({ ranges, ports })).toEqual(runsOf(holds.map(({ index }) => index)));
      },
    ),
    { numRuns: 500 },
  );
});

test("the tiles of one network are found among two thousand huge ones", () => {
  const tiling = tilingOf(specOf(2 ** 53 - 1, { ranges: ["2001:db8::/64"], ports: "443" }));
  const runs = tiling.tilesWith({ ranges: [parseRange("2001:db8::42")], ports: null });
  expect(runs).toHaveLength(1);
  const [run] = runs;
  expect(run?.first).toBe(run?.last);
  expect(containsAddress(tiling.tileAt(run?.first ?? -1).ranges, parseRange("2001:db8::42").first)).toBe(true);
});
