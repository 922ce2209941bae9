import * as fc from "fast-check";
import { expect, test } from "vitest";
import { addPaces, fastest, pacesOf } from "../../src/core/pace.ts";
import { addressSet, nearRanges } from "./builders.ts";
import { formatAddress, isIpv4 } from "../../src/core/address.ts";
import { normaliseRanges, parseRange, rangesText, subtractRanges } from "../../src/core/range.ts";
import { SPECIAL_BLOCKS, specialIn } from "../../src/core/special.ts";

const jobOf = (ranges: readonly string[], rateLimitPps: number, members = ["a"], ports = "1-1000") => ({
  blocks: [{ ranges: [...ranges], ports, engine: "masscan" as const, members: [...members] }],
  rateLimitPps,
  retries: 0,
});

const networkOf = (address: bigint): bigint => (isIpv4(address) ? (address >> 8n) << 8n : (address >> 64n) << 64n);

test("every network gets its share of the whole rate, however the ranges lie", () => {
  fc.assert(
    fc.property(fc.array(nearRanges, { minLength: 1, maxLength: 4 }), fc.integer({ min: 1, max: 3 }), (wanted, members) => {
      const special = SPECIAL_BLOCKS.map(({ range }) => range);
      const ranges = normaliseRanges(wanted);
      const all = [...addressSet(ranges)];
      const open = addressSet(subtractRanges(ranges, special));
      const model = new Map<bigint, number>();
      for (const address of all) {
        if (!open.has(address)) continue;
        model.set(networkOf(address), (model.get(networkOf(address)) ?? 0) + Math.min(1_000, (100 * members) / all.length));
      }
      const paces = pacesOf(
        jobOf(
          rangesText(ranges),
          100,
          Array.from({ length: members }, (_, n) => `s${n}`),
        ),
      );
      for (const [network, pps] of model) {
        expect(paces.find(({ first, last }) => first <= network && network <= last)?.pps).toBeCloseTo(pps, 6);
      }
      expect(paces.every((pace) => model.has(pace.first))).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test("plans add up where they meet, and the fastest network of one of them is found among millions", () => {
  const wide = pacesOf(jobOf(["8.0.0.0/8"], 65_536 * 10));
  const narrow = pacesOf(jobOf(["8.9.9.0/25", "9.9.9.0/24"], 300));
  const most = fastest(addPaces([wide, narrow]), wide);
  expect([formatAddress(most?.first ?? 0n), most?.pps]).toEqual(["8.9.9.0", 110]);
  const own = fastest(addPaces([wide, narrow]), narrow);
  expect([formatAddress(own?.first ?? 0n), own?.pps]).toEqual(["9.9.9.0", 200]);
  expect(fastest(addPaces([wide]), pacesOf(jobOf(["9.9.9.0/24"], 1)))).toBeNull();
  expect(pacesOf(jobOf(["10.0.0.0/8", "fd00::/64"], 1_000_000))).toEqual([]);
});

test("no address gets more packets in a second than it gets in all", () => {
  expect(pacesOf(jobOf(["8.8.8.8"], 10_000, ["a", "b"], "22,80"))).toMatchObject([{ pps: 2 }]);
});

test("a block is known as special to its ends, and not beyond", () => {
  for (const { range, what } of SPECIAL_BLOCKS) {
    for (const address of [range.first, range.last])
      expect(specialIn([{ first: address, last: address }]).map(({ block }) => block.what)).toContain(what);
  }
  for (const text of [
    "9.255.255.255",
    "11.0.0.0",
    "172.32.0.0",
    "192.0.3.0",
    "198.20.0.0",
    "223.255.255.255",
    "2001:db9::",
    "2606:4700::1",
  ]) {
    expect(specialIn([parseRange(text)]), text).toEqual([]);
  }
});
