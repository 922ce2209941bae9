import { expect, test } from "vitest";
import { failures, type DemoResult } from "../../src/local/demo/result.ts";
import { DEMO_MS_MAX, runDemo } from "../lab/demo-run.ts";

test("without a lab the demo shows the same against loopback listeners and says so", { timeout: DEMO_MS_MAX }, async () => {
  const { code, stdout, stderr } = await runDemo(["--loopback"]);
  expect({ code, said: code === 0 ? "" : stderr }).toEqual({ code: 0, said: "" });
  expect(stderr).toContain("connect engine against loopback listeners");
  const result = JSON.parse(stdout) as DemoResult;
  expect(failures(result)).toEqual([]);
  expect(result.scan.expected).toBeGreaterThanOrEqual(2_000);
});

test("every claim of the result is checked", () => {
  const good: DemoResult = {
    scan: { expected: 9, found: 9, missed: 0, unexpected: 0, probedTwice: 0, tiles: 8, shardsByScanner: { s1: 8, s2: 8 } },
    partial: { killedAtPercent: 40, sightings: 3, reportOutcome: "partial", closedWrongly: 0 },
    close: { expected: 2, closed: 2, closedWrongly: 0 },
    reopen: { expected: 1, reopened: 1 },
    seconds: 1,
  };
  expect(failures(good)).toEqual([]);
  const bad: readonly DemoResult[] = [
    ...(["found", "expected", "tiles"] as const).map((key) => ({ ...good, scan: { ...good.scan, [key]: 1 } })),
    ...(["missed", "unexpected", "probedTwice"] as const).map((key) => ({ ...good, scan: { ...good.scan, [key]: 1 } })),
    { ...good, scan: { ...good.scan, shardsByScanner: { s1: 16 } } },
    ...[19, 81].map((killedAtPercent) => ({ ...good, partial: { ...good.partial, killedAtPercent } })),
    { ...good, partial: { ...good.partial, reportOutcome: "complete" } },
    { ...good, partial: { ...good.partial, closedWrongly: 1 } },
    { ...good, close: { ...good.close, closed: 1 } },
    { ...good, close: { ...good.close, closedWrongly: 1 } },
    { ...good, reopen: { expected: 1, reopened: 0 } },
  ];
  for (const result of bad) expect(failures(result), JSON.stringify(result)).toHaveLength(1);
});
