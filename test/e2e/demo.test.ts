import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { openApi } from "../../src/local/demo/api.ts";
import { type LagSample, percentileMs } from "../../src/local/demo/lag.ts";
import { failures, type DemoResult } from "../../src/local/demo/result.ts";
import { DEMO_MS_MAX, runDemo } from "../lab/demo-run.ts";

test("without a lab the demo shows the same against loopback listeners and says so", { timeout: DEMO_MS_MAX }, async () => {
  const { code, stdout, stderr } = await runDemo(["--loopback", "--small"]);
  expect({ code, said: code === 0 ? "" : stderr }).toEqual({ code: 0, said: "" });
  expect(stderr).toContain("connect engine against loopback listeners");
  const result = JSON.parse(stdout) as DemoResult;
  expect(failures(result)).toEqual([]);
  expect(result.scan.expected).toBeGreaterThanOrEqual(500);
});

test("an answer that another region gave in its stead counts as none", { timeout: 60_000 }, async () => {
  const regions = ["us", "us", "eu"];
  const server = createServer((_, response) => {
    response.setHeader("x-portolan-region", regions.shift() ?? "eu");
    response.end(JSON.stringify({ items: [], next_cursor: null }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    const { port } = server.address() as AddressInfo;
    expect(await openApi(`http://127.0.0.1:${port}`, "token", { region: "eu" }).services()).toEqual([]);
    expect(regions).toEqual([]);
  } finally {
    server.close();
  }
});

test("the percentile of lags is one that so many did not exceed", () => {
  const lags = (all: readonly number[]): LagSample[] =>
    all.map((lag) => ({ record: "", acceptedIn: "eu", acceptedAtMs: 1_000, shownIn: "us", shownAtMs: 1_000 + lag }));
  const hundred = lags(Array.from({ length: 100 }, (_, i) => 100 - i));
  expect([50, 99, 100].map((percent) => percentileMs(hundred, percent))).toEqual([50, 99, 100]);
  expect(percentileMs(lags([7]), 99)).toBe(7);
  expect(percentileMs([], 99)).toBe(0);
});

const SHARDS = { "eu-1": 8, "eu-2": 8, "us-1": 8, "us-2": 8, "ap-1": 8, "ap-2": 8 };

test("every claim of the result is checked", () => {
  const good: DemoResult = {
    scan: { expected: 9, found: 9, missed: 0, unexpected: 0, probedTwice: 0, tiles: 8, shardsByScanner: SHARDS },
    partial: { killedAtPercent: 40, sightings: 3, reportOutcome: "partial", closedWrongly: 0 },
    close: { expected: 2, closed: 2, closedWrongly: 0 },
    reopen: { expected: 1, reopened: 1 },
    regions: { count: 3, equal: true, lagMs: { p50: 20, p99: 90 }, runtimes: ["workerd", "deno", "node"] },
    seconds: 1,
  };
  expect(failures(good)).toEqual([]);
  const bad: readonly DemoResult[] = [
    ...(["found", "expected", "tiles"] as const).map((key) => ({ ...good, scan: { ...good.scan, [key]: 1 } })),
    ...(["missed", "unexpected", "probedTwice"] as const).map((key) => ({ ...good, scan: { ...good.scan, [key]: 1 } })),
    { ...good, scan: { ...good.scan, shardsByScanner: { "eu-1": 24, "us-1": 24 } } },
    ...[19, 81].map((killedAtPercent) => ({ ...good, partial: { ...good.partial, killedAtPercent } })),
    { ...good, partial: { ...good.partial, reportOutcome: "complete" } },
    { ...good, partial: { ...good.partial, closedWrongly: 1 } },
    { ...good, close: { ...good.close, closed: 1 } },
    { ...good, close: { ...good.close, closedWrongly: 1 } },
    { ...good, reopen: { expected: 1, reopened: 0 } },
    ...[
      { count: 2 },
      { equal: false },
      { runtimes: ["node", "node", "node"] },
      { lagMs: { p50: 0, p99: 0 } },
      { lagMs: { p50: 9, p99: 60_000 } },
    ].map((wrong) => ({ ...good, regions: { ...good.regions, ...wrong } })),
  ];
  for (const result of bad) expect(failures(result), JSON.stringify(result)).toHaveLength(1);
});
