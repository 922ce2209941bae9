import { describe, expect } from "vitest";
import { tilesOf } from "../../src/core/tile.ts";
import { labTest, SMALL } from "./lab-test.ts";
import { runBare } from "./masscan.ts";
import { assignmentOf, jobOf, pairsOf } from "./specs.ts";

/** More than 10,000 pairs of both families and, over IPv4, of both protocols, with excluded addresses and (address, port) pairs. */
const wish = {
  include: ["198.18.0.0/22", "2001:db8:18::/119"],
  exclude: ["198.18.1.16/28", "198.18.3.7", "2001:db8:18::40/123"],
  pairExclusions: [
    { ranges: ["198.18.2.0/25", "2001:db8:18::80/122"], ports: "443,U:53" },
    { ranges: ["198.18.0.200-198.18.0.231"], ports: "22,80,443,993,3306,5900,8080" },
    // Masscan's UDP frames over IPv6 are broken, so the planner refuses them.
    { ranges: ["2001:db8:18::/64"], ports: "U:53,U:161" },
  ],
  ports: "22,80,443,993,3306,5900,8080,U:53,U:161",
  rateLimitPps: 3_000,
};

/** What `expected` and the lab's own counters disagree about; short, however much it is. */
function differences(expected: readonly string[], packets: ReadonlyMap<string, number>): Record<string, unknown> {
  const wanted = new Set(expected);
  const short = (keys: readonly string[]): { count: number; first: readonly string[] } => ({ count: keys.length, first: keys.slice(0, 5) });
  return {
    unprobed: short(expected.filter((pair) => !packets.has(pair))),
    repeated: short([...packets].filter(([, count]) => count !== 1).map(([pair]) => pair)),
    foreign: short([...packets.keys()].filter((pair) => !wanted.has(pair))),
  };
}

const NOTHING = { count: 0, first: [] };

describe.each([
  { scanners: 2, seed: "9223372036854775809", pairsMax: 6_000 },
  { scanners: 3, seed: "18446744073709551615", pairsMax: 20_000 },
])("$scanners scanners, seed $seed", ({ scanners, seed, pairsMax }) => {
  labTest(
    "the shards of a tile probe every pair of it exactly once, and nothing else",
    { ...SMALL, scanners },
    async (lab) => {
      const spec = jobOf({ ...wish, scanners, seed, pairsMax });
      const tiles = tilesOf(spec);
      const all = new Set<string>();
      for (const tile of tiles) {
        await lab.startSeen();
        const runs = await Promise.all(lab.scanners.map((place, i) => runBare(place, assignmentOf(spec, tile, i + 1))));
        for (const run of runs) expect(run).toMatchObject({ exitCode: 0, errorLines: [] });
        const expected = pairsOf(tile);
        expect(expected).toHaveLength(tile.pairs);
        const { packets } = await lab.readSeen();
        expect(differences(expected, packets)).toEqual({ unprobed: NOTHING, repeated: NOTHING, foreign: NOTHING });
        for (const pair of expected) all.add(pair);
      }
      expect(all.size, "no pair lies in two tiles").toBe(tiles.reduce((sum, tile) => sum + tile.pairs, 0));
      expect(all.size).toBeGreaterThan(10_000);
      for (const excluded of ["tcp\t198.18.1.20\t80", "tcp\t198.18.2.5\t443", "tcp\t2001:db8:18::81\t443", "tcp\t198.18.0.210\t22"]) {
        expect(all.has(excluded), excluded).toBe(false);
      }
      for (const included of ["udp\t198.18.3.255\t161", "udp\t198.18.0.210\t53", "tcp\t2001:db8:18::1ff\t22"]) {
        expect(all.has(included), included).toBe(true);
      }
    },
    120_000,
  );
});

labTest("masscan's UDP probes over IPv6 do not arrive, so the planner refuses them", SMALL, async (lab) => {
  const udp = { ...wish, include: ["2001:db8:18::/124"], exclude: [], pairExclusions: [], scanners: 1, seed: "7", pairsMax: null };
  expect(() => jobOf({ ...udp, ports: "22,U:53,U:161" })).toThrow("UDP ports over IPv6 (2001:db8:18::/124)");
  const spec = jobOf({ ...udp, ports: "22,23,25" });
  const [tile] = tilesOf(spec);
  const [place] = lab.scanners;
  if (tile === undefined || place === undefined) throw new Error("no tile");
  await lab.startSeen();
  const run = await runBare(place, { ...assignmentOf(spec, tile, 1), ports: "22,U:53,U:161" });
  expect(run.exitCode, "to masscan it looks like a whole scan").toBe(0);
  const arrived = [...(await lab.readSeen()).packets.keys()];
  expect(arrived.filter((pair) => pair.startsWith("tcp"))).toHaveLength(16);
  expect(arrived.filter((pair) => pair.startsWith("udp")).length).toBeLessThan(32);
});
