import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "vitest";
import { failures, type DemoResult } from "../../src/local/demo/result.ts";
import { runCommand } from "../../src/local/lab/command.ts";
import { compareKeys, pairKey } from "../../src/local/lab/truth.ts";
import { DEMO_MS_MAX, runDemo } from "./demo-run.ts";
import { testWithLabs } from "./lab-test.ts";

type Service = { readonly address: string; readonly port: number; readonly state: string; readonly reopened: boolean };
/** One phase's evidence, read without any of the demo's own code. */
type Phase = {
  readonly open: Set<string>;
  readonly registers: readonly (readonly Service[])[];
  readonly probes: ReadonlyMap<string, number>;
};

const REGIONS = ["eu", "us", "ap"];

async function readPhase(folder: string): Promise<Phase> {
  const lines = async (name: string): Promise<string[]> => (await readFile(join(folder, name), "utf8")).split("\n").filter(Boolean);
  const open = (await lines("truth.tsv")).filter((line) => line.endsWith("\topen")).map((line) => line.slice(0, -"\topen".length));
  const probes = new Map<string, number>();
  const listed = await readFile(join(folder, "probed.json"), "utf8");
  for (const [, address, port, packets] of listed.matchAll(/\{"concat": \["([^"]+)", 6, (\d+)\]\}, "counter": \{"packets": (\d+)/g)) {
    probes.set(`${address}\t${port}`, Number(packets));
  }
  const registers = await Promise.all(
    REGIONS.map(async (region) => (await lines(`services-${region}.ndjson`)).map((line) => JSON.parse(line) as Service)),
  );
  return { open: new Set(open), registers, probes };
}

/** In each region; they are to agree. */
function keysOf({ registers }: Phase, is: (service: Service) => boolean): Set<string> {
  const [first, ...others] = registers.map((services) => new Set(services.filter(is).map(pairKey)));
  if (first === undefined) throw new Error("no register");
  for (const other of others) expect(compareKeys(first, other)).toEqual(SAME);
  return first;
}

/** Half of them, and 99 %, did not take longer. */
async function readLags(folder: string): Promise<{ count: number; p50: number; p99: number }> {
  const [, ...rows] = (await readFile(join(folder, "lag.tsv"), "utf8")).split("\n").filter(Boolean);
  const lags = rows.map((row) => {
    const [, acceptedIn, acceptedAtMs, shownIn, shownAtMs] = row.split("\t");
    expect(shownIn).not.toBe(acceptedIn);
    return Number(shownAtMs) - Number(acceptedAtMs);
  });
  const sorted = lags.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.ceil(sorted.length * share) - 1] ?? NaN;
  return { count: sorted.length, p50: at(0.5), p99: at(0.99) };
}

const without = (all: ReadonlySet<string>, some: ReadonlySet<string>): Set<string> => new Set([...all].filter((key) => !some.has(key)));
const SAME = { missed: [], extra: [] };

async function checkPartial(folder: string, phase: Phase): Promise<number> {
  const rows = async (name: string): Promise<string[]> => (await readFile(join(folder, name), "utf8")).split("\n").filter(Boolean);
  const tiles = (await rows("tiles.ndjson")).map((line) => JSON.parse(line) as { tile: number; state: string });
  const covered = new Set(tiles.filter(({ state }) => state === "complete").map(({ tile }) => String(tile)));
  expect(tiles.length).toBeGreaterThanOrEqual(8);
  expect(covered.size).toBeGreaterThanOrEqual(2);
  expect(covered.size).toBeLessThan(tiles.length);
  const tileOf = new Map((await rows("tile-of-pair.tsv")).map((line) => [line.slice(0, line.lastIndexOf("\t")), line.split("\t").at(-1)]));
  const closed = new Set(
    phase.registers
      .flat()
      .filter(({ state }) => state === "closed")
      .map(pairKey),
  );
  return [...closed].filter((key) => phase.open.has(key) || !covered.has(tileOf.get(key) ?? "")).length;
}

testWithLabs(
  "the demo ends well in three regions, prints one JSON document, and its evidence says the same",
  async () => {
    const folder = await mkdtemp(join(tmpdir(), "portolan-demo-test-"));
    try {
      const { code, stdout, stderr, pid } = await runDemo(["--evidence", folder]);
      expect({ code, said: code === 0 ? "" : stderr }).toEqual({ code: 0, said: "" });
      const result = JSON.parse(stdout) as DemoResult;
      expect(failures(result)).toEqual([]);
      expect(result.regions).toMatchObject({ count: 3, equal: true, runtimes: ["workerd", "deno", "node"] });
      const states = JSON.parse(await readFile(join(folder, "states.json"), "utf8")) as Record<string, { hash: string; services: number }>;
      expect(Object.keys(states)).toEqual(REGIONS);
      expect(new Set(Object.values(states).map(({ hash }) => hash)).size).toBe(1);
      expect(Object.keys(result.scan.shardsByScanner).toSorted()).toEqual(["ap-1", "ap-2", "eu-1", "eu-2", "us-1", "us-2"]);

      const [scan, partial, close, reopen] = await Promise.all(
        ["scan", "partial", "close", "reopen"].map((name) => readPhase(join(folder, name))),
      );
      if (scan === undefined || partial === undefined || close === undefined || reopen === undefined) throw new Error("no evidence");
      expect(scan.open.size).toBe(result.scan.expected);
      expect(scan.open.size).toBeGreaterThanOrEqual(2_000);
      expect([...scan.open].filter((key) => key.includes(":")).length).toBeGreaterThanOrEqual(50);
      expect(
        compareKeys(
          scan.open,
          keysOf(scan, ({ state }) => state !== "closed"),
        ),
      ).toEqual(SAME);
      expect(scan.probes.size, "every pair of a /20 and a /120 with 20 ports").toBe((4_096 + 256) * 20);
      expect([...scan.probes.values()].filter((count) => count !== 1)).toEqual([]);
      const { count, ...lagMs } = await readLags(join(folder, "scan"));
      expect(lagMs).toEqual(result.regions.lagMs);
      expect(count, "each open pair was news to two regions").toBe(scan.open.size * 2);

      expect(await checkPartial(join(folder, "partial"), partial)).toBe(0);
      const closed = without(scan.open, close.open);
      expect(closed.size).toBe(result.close.expected);
      expect(
        compareKeys(
          closed,
          keysOf(close, ({ state }) => state === "closed"),
        ),
      ).toEqual(SAME);
      const opened = without(reopen.open, close.open);
      expect(opened.size).toBe(result.reopen.expected);
      expect(
        compareKeys(
          opened,
          keysOf(reopen, ({ state, reopened }) => state === "open" && reopened),
        ),
      ).toEqual(SAME);
      expect(await runCommand(["ip", "netns", "list"]), "no namespace of the demo is left").not.toContain(`d${pid.toString(36)}x`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
  DEMO_MS_MAX,
);
