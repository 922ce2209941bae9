import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { tileAt } from "../../src/core/tile.ts";
import { openApi, type Api } from "../../src/local/demo/api.ts";
import { awaitScanners } from "../../src/local/demo/stage.ts";
import { createLab, type Lab } from "../../src/local/lab/lab.ts";
import { labProblem, uniqueLabName } from "../../src/local/lab/probe.ts";
import { compareKeys, openKeys, pairKey } from "../../src/local/lab/truth.ts";
import { startRegion } from "../../src/local/region.ts";
import { runBare } from "../lab/masscan.ts";
import { assignmentOf, jobOf } from "../lab/specs.ts";
import type { BenchResult } from "./result.ts";

const SCANNERS = 2;
const RATE_PPS = 5_000;
const WAIT_S = 3;
/** Far beyond the size of either tile: each job has one. */
const PAIRS_MAX = 10_000_000;
/** masscan 1.3.2 sends at about half of its rate: 327,680 pairs take two scanners over 60 s. */
const LARGE = "198.18.0.0/18";
const SMALL = "198.18.0.0/28";
const JOB_MS_MAX = 300_000;
const LOOK_EVERY_MS = 50;

/** Seconds of the same shards by masscan alone: same ranges, ports, rate, wait; all scanners at once. */
async function bareSeconds(lab: Lab, range: string): Promise<number> {
  const spec = jobOf({
    include: [range],
    ports: lab.ports.join(),
    scanners: SCANNERS,
    pairsMax: PAIRS_MAX,
    rateLimitPps: RATE_PPS,
    seed: "7",
    waitS: WAIT_S,
  });
  const tile = tileAt(spec, 0);
  const startedMs = performance.now();
  const runs = await Promise.all(lab.scanners.map((place, i) => runBare(place, assignmentOf(spec, tile, i + 1), JOB_MS_MAX)));
  if (runs.some(({ exitCode }) => exitCode !== 0)) throw new Error("a bare masscan failed");
  return (performance.now() - startedMs) / 1_000;
}

/** Seconds from asking for a job until its tile-complete is recorded. */
async function jobSeconds(api: Api, plan: string): Promise<number> {
  const startedMs = performance.now();
  const id = await api.startJob(plan);
  for (;;) {
    const { state, tiles, why } = await api.job(id);
    if (state === "complete" && tiles.total === 1) return (performance.now() - startedMs) / 1_000;
    if (state !== "running" || performance.now() - startedMs > JOB_MS_MAX)
      throw new Error(`job ${id} is ${state} with ${tiles.total} tiles: ${why ?? ""}`);
    await pause(LOOK_EVERY_MS);
  }
}

async function measure(lab: Lab, api: Api): Promise<BenchResult> {
  for (const [name, range] of [
    ["large", LARGE],
    ["small", SMALL],
  ] as const) {
    const plan = {
      name,
      ranges: [range],
      ports: lab.ports.join(),
      rateLimitPps: RATE_PPS,
      pairsMax: PAIRS_MAX,
      engine: "masscan",
      confirm: false,
    };
    await api.post("/v1/plans", plan);
  }
  await awaitScanners(api, "masscan");
  // Small ones first, so that nothing pays for a cold start.
  const [smallBare, smallJob] = [await bareSeconds(lab, SMALL), await jobSeconds(api, "small")];
  const [largeBare, largeJob] = [await bareSeconds(lab, LARGE), await jobSeconds(api, "large")];
  const found = new Set((await api.services()).map(pairKey));
  const { missed, extra } = compareKeys(openKeys(lab.truth), found);
  return {
    bench: `scan: one tile of ${LARGE} × ${lab.ports.length} ports, ${SCANNERS} scanners at --rate ${RATE_PPS}, wait ${WAIT_S} s`,
    lines: [
      { what: "job against bare masscan, wall", value: largeJob / largeBare, unit: "×", budget: { atMost: 1.1 } },
      { what: "seconds of scanning by bare masscan", value: largeBare, unit: "s", budget: { atLeast: 60 } },
      { what: "seconds of the job", value: largeJob, unit: "s", budget: null },
      { what: "fixed seconds of a tile (320 pairs)", value: smallJob, unit: "s", budget: null },
      { what: "of these by masscan itself", value: smallBare, unit: "s", budget: null },
      { what: "open pairs missed or invented by the job", value: missed.length + extra.length, unit: "", budget: { atMost: 0 } },
    ],
    notes: [`truth: ${openKeys(lab.truth).size} open pairs`],
  };
}

/** A sharded job of one tile against bare masscan, at the same rate, in a lab. Throws where no lab can be had. */
export async function benchScan(): Promise<BenchResult> {
  const problem = await labProblem();
  if (problem !== null) throw new Error(`bench scan needs a lab of network namespaces: ${problem}`);
  const dir = await mkdtemp(join(tmpdir(), "portolan-bench-"));
  const sizes = { prefix4: 18, prefix6: 120, open4: 3_000, filtered4: 3_000, open6: 0 };
  const lab = await createLab({ name: uniqueLabName("b"), seed: 5, scanners: SCANNERS, ...sizes });
  try {
    const region = await startRegion({
      dir,
      region: "bench",
      scanners: lab.links.map((link, i) => ({
        name: `s${i + 1}`,
        addresses: [link.scannerIpv4],
        launcher: ["ip", "netns", "exec", link.namespace],
        adapter: { interface: link.scannerInterface, ipv4: link.scannerIpv4 },
        labMode: true,
      })),
      keeper: { waitS: WAIT_S },
    });
    try {
      return await measure(lab, openApi(region.apiUrl, region.adminToken));
    } finally {
      await region.stop();
    }
  } finally {
    await lab.destroy();
    await rm(dir, { recursive: true, force: true });
  }
}
