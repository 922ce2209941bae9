import { expect } from "vitest";
import { tileAt } from "../../src/core/tile.ts";
import { compareKeys, openKeys } from "../../src/local/lab/truth.ts";
import { labTest, SMALL } from "./lab-test.ts";
import { runBare } from "./masscan.ts";
import { assignmentOf, jobOf } from "./specs.ts";

labTest(
  "lost probes are missed without a retry and hardly with one, at the same rate; nothing is invented",
  { ...SMALL, prefix4: 24, open4: 2_000, filtered4: 500, open6: 0 },
  async (lab) => {
    const [place] = lab.scanners;
    if (place === undefined) throw new Error("a lab without scanners");
    const truth = openKeys(lab.truth);
    const missedAt = async (lossPercent: number, retries: number): Promise<number> => {
      await lab.loss(lossPercent);
      const spec = jobOf({ include: lab.ranges, ports: lab.ports.join(), scanners: 1, pairsMax: null, rateLimitPps: 4_000, seed: "11" });
      const run = await runBare(place, { ...assignmentOf(spec, tileAt(spec, 0), 1), retries });
      expect(run.exitCode).toBe(0);
      const { missed, extra } = compareKeys(truth, run.found);
      expect(extra).toEqual([]);
      return missed.length;
    };
    // 2,000 probes of open pairs: about 100 and 20 lost (five standard deviations: 51 and 2), with one retry about 5 and 0.
    const [five, one] = [await missedAt(5, 0), await missedAt(1, 0)];
    expect(five).toBeGreaterThan(50);
    expect(five).toBeLessThan(150);
    expect(one).toBeGreaterThan(1);
    expect(one).toBeLessThan(45);
    expect(await missedAt(5, 1)).toBeLessThan(20);
    expect(await missedAt(1, 1)).toBeLessThan(6);
  },
  90_000,
);
