import * as fc from "fast-check";
import { expect, test } from "vitest";
import { formatPorts, parsePorts } from "../../src/core/port.ts";
import { parseRange, rangesText } from "../../src/core/range.ts";
import { countPairs, targetSet, type TargetBlock, type TargetQuery } from "../../src/core/target.ts";
import { addressSet, nearRanges, portRanges, portSet, without } from "./builders.ts";

const rangeLists = fc.array(nearRanges, { maxLength: 6 });
const portLists = fc.array(portRanges, { minLength: 1, maxLength: 4 });
const pairExclusions = fc.array(fc.record({ ranges: fc.array(nearRanges, { minLength: 1, maxLength: 4 }), ports: portLists }), {
  maxLength: 5,
});
const queries: fc.Arbitrary<TargetQuery> = fc.record({ include: rangeLists, exclude: rangeLists, ports: portLists, pairExclusions });

/** For each address, its ports: built pair by pair from the definition. */
function naiveTargets({ include, exclude, ports, pairExclusions: exclusions }: TargetQuery): Map<bigint, Set<string>> {
  const out = addressSet(exclude);
  const cuts = exclusions.map((exclusion) => ({ addresses: addressSet(exclusion.ranges), ports: portSet(exclusion.ports) }));
  const targets = new Map<bigint, Set<string>>();
  for (const address of addressSet(include)) {
    if (out.has(address)) continue;
    let rest = portSet(ports);
    for (const cut of cuts) if (cut.addresses.has(address)) rest = without(rest, cut.ports);
    if (rest.size > 0) targets.set(address, rest);
  }
  return targets;
}

function blockTargets(blocks: readonly TargetBlock[]): Map<bigint, Set<string>> {
  const targets = new Map<bigint, Set<string>>();
  for (const block of blocks) {
    const ports = portSet(block.ports);
    for (const address of addressSet(block.ranges)) {
      expect(targets.has(address)).toBe(false);
      targets.set(address, ports);
    }
  }
  return targets;
}

test("blocks hold exactly the included pairs that no exclusion takes away, each address once", () => {
  fc.assert(
    fc.property(queries, (query) => {
      const blocks = targetSet(query);
      const naive = naiveTargets(query);
      expect(blockTargets(blocks)).toEqual(naive);
      expect(countPairs(blocks)).toBe(BigInt([...naive.values()].reduce((sum, ports) => sum + ports.size, 0)));
    }),
    { numRuns: 200 },
  );
});

test("addresses with equal remaining ports share one block, and no block is empty", () => {
  fc.assert(
    fc.property(queries, (query) => {
      const texts = targetSet(query).map(({ ports }) => formatPorts(ports));
      expect(new Set(texts).size).toBe(texts.length);
      for (const text of texts) expect(text).not.toBe("");
    }),
  );
});

test("the order of what is given makes no difference", () => {
  fc.assert(
    fc.property(queries, (query) => {
      const turned = {
        include: query.include.toReversed(),
        exclude: query.exclude.toReversed(),
        ports: query.ports.toReversed(),
        pairExclusions: query.pairExclusions.toReversed(),
      };
      expect(targetSet(turned)).toEqual(targetSet(query));
    }),
  );
});

test("one excluded port of one address makes a block of its own", () => {
  const blocks = targetSet({
    include: [parseRange("192.0.2.0/29"), parseRange("2001:db8::/126")],
    exclude: [parseRange("192.0.2.7"), parseRange("2001:db8::3")],
    ports: parsePorts("22,80,U:53"),
    pairExclusions: [{ ranges: [parseRange("192.0.2.1"), parseRange("192.0.2.3")], ports: parsePorts("22,443") }],
  });
  expect(blocks.map(({ ranges, ports }) => [rangesText(ranges), formatPorts(ports)])).toEqual([
    [["192.0.2.0", "192.0.2.2", "192.0.2.4-192.0.2.6", "2001:db8::-2001:db8::2"], "22,80,U:53"],
    [["192.0.2.1", "192.0.2.3"], "80,U:53"],
  ]);
});

test("an exclusion goes on where IPv4 meets IPv6", () => {
  const beside = ["::fffe:ffff:ffff", "0.0.0.0", "255.255.255.255", "::1:0:0:0"].map(parseRange);
  const query = { include: beside, exclude: [], ports: parsePorts("22,80"), pairExclusions: [{ ranges: beside, ports: parsePorts("22") }] };
  expect(targetSet(query).map(({ ranges, ports }) => [rangesText(ranges), formatPorts(ports)])).toEqual([[rangesText(beside), "80"]]);
});

test("many exclusions on many ranges stay quick", () => {
  const include = Array.from({ length: 20_000 }, (_, i) => ({
    first: 0xffff_0a00_0000n + BigInt(i * 4),
    last: 0xffff_0a00_0000n + BigInt(i * 4 + 1),
  }));
  const exclusions = Array.from({ length: 500 }, (_, i) => ({
    ranges: [{ first: 0xffff_0a00_0000n + BigInt(i * 100), last: 0xffff_0a00_0000n + BigInt(i * 100 + 60) }],
    ports: parsePorts(`${(i % 7) + 1}`),
  }));
  expect(targetSet({ include, exclude: [], ports: parsePorts("1-1024"), pairExclusions: exclusions })).toHaveLength(8);
});
