import { expect } from "vitest";
import { tilesOf } from "../../src/core/tile.ts";
import { compareKeys, openKeys } from "../../src/local/lab/truth.ts";
import { labTest, SMALL } from "./lab-test.ts";
import { runBare } from "./masscan.ts";
import { assignmentOf, jobOf } from "./specs.ts";

labTest(
  "a whole scan of two scanners finds exactly what is open, over IPv4 and IPv6",
  { ...SMALL, scanners: 2, prefix4: 22, prefix6: 122, open4: 800, filtered4: 800, open6: 60 },
  async (lab) => {
    const spec = jobOf({
      include: lab.ranges,
      ports: lab.ports.join(),
      scanners: 2,
      pairsMax: null,
      rateLimitPps: 5_000,
      seed: "7",
      waitS: 3,
    });
    const found = new Set<string>();
    for (const tile of tilesOf(spec)) {
      const runs = await Promise.all(lab.scanners.map((place, i) => runBare(place, assignmentOf(spec, tile, i + 1))));
      for (const run of runs) {
        expect(run).toMatchObject({ exitCode: 0, errorLines: [], refusedLines: 0 });
        for (const key of run.found) found.add(key);
      }
    }
    const truth = openKeys(lab.truth);
    expect(truth.size).toBe(860);
    expect(compareKeys(truth, found)).toEqual({ missed: [], extra: [] });
  },
);
