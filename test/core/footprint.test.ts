import fc from "fast-check";
import { expect, test } from "vitest";
import { footprintOf } from "../../src/core/footprint.ts";
import { formatRange, normaliseRanges, parseRange } from "../../src/core/range.ts";

const BASE = parseRange("192.0.2.0/24").first;
const range = fc.tuple(fc.nat(1_500), fc.nat(300)).map(([at, length]) => ({ first: BASE + BigInt(at), last: BASE + BigInt(at + length) }));

test("hosts and networks are counted as one by one, and the network that gets most probes is found", () => {
  fc.assert(
    fc.property(fc.array(range, { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 5 }), fc.nat(2), (given, ports, retries) => {
      const ranges = normaliseRanges(given);
      const blocks = [{ ranges: ranges.map(formatRange), ports: `1-${ports}`, engine: "connect" as const, members: ["s1"] }];
      const perNetwork = new Map<bigint, number>();
      let hosts = 0;
      for (const { first, last } of ranges) {
        for (let address = first; address <= last; address++) {
          hosts++;
          perNetwork.set(address >> 8n, (perNetwork.get(address >> 8n) ?? 0) + ports * (retries + 1));
        }
      }
      const print = footprintOf({ blocks, retries });
      expect([print.hosts, print.networks]).toEqual([BigInt(hosts), BigInt(perNetwork.size)]);
      expect(print.probes).toBe(BigInt(hosts * ports * (retries + 1)));
      expect(print.perHostMax).toBe(ports * (retries + 1));
      expect(print.perNetworkMax).toBe(BigInt(Math.max(...perNetwork.values())));
    }),
  );
});

test("IPv6 is counted in networks of 64 bits", () => {
  const blocks = [{ ranges: ["2001:db8::/112", "2001:db8:0:1::5"], ports: "80", engine: "connect" as const, members: ["s1"] }];
  expect(footprintOf({ blocks, retries: 0 })).toMatchObject({ networks: 2n, hosts: 65_537n, perHostMax: 1, perNetworkMax: 65_536n });
});
