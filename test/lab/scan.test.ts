import { expect } from "vitest";
import { tilesOf } from "../../src/core/tile.ts";
import { compareKeys, openKeys } from "../../src/local/lab/truth.ts";
import { labTest, SMALL } from "./lab-test.ts";
import { runBare } from "./masscan.ts";
import { runJudged } from "./runner.ts";
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
      rateLimitPps: 2_000,
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

labTest(
  "a service at an address that ends in zeros is found, and the run is complete: masscan may print 2001:db8:18:: as 2001:db8:18:",
  SMALL,
  async (lab) => {
    const [place] = lab.scanners;
    if (place === undefined) throw new Error("the lab has no scanner");
    await lab.open([{ address: "2001:db8:18::", port: 22 }]);
    const wish = { ports: "22", scanners: 1, pairsMax: null, rateLimitPps: 1_500, waitS: 3 };
    for (const include of [["2001:db8:18::"], ["2001:db8:18::/124"]]) {
      const spec = jobOf({ ...wish, include, seed: "7" });
      const [tile] = tilesOf(spec);
      if (tile === undefined) throw new Error("the job has no tile");
      const { found, outcome } = await runJudged(place, assignmentOf(spec, tile, 1));
      expect(outcome).toEqual({ kind: "complete" });
      expect(found).toContain("2001:db8:18::\t22");
    }
  },
);
