import { createLab } from "../lab/lab.ts";
import { createLoopback } from "../lab/loopback.ts";
import type { Playground } from "../lab/playground.ts";
import { labProblem, uniqueLabName } from "../lab/probe.ts";
import { choose, openKeys, pairOf, xorshift32 } from "../lab/truth.ts";
import { startRegion, type Region } from "../region.ts";
import { openApi } from "./api.ts";
import { closePhase, reopenPhase } from "./close-phase.ts";
import { makeEvidence } from "./evidence.ts";
import type { DemoOptions } from "./options.ts";
import { partialPhase } from "./partial-phase.ts";
import { openRecords } from "./records.ts";
import type { DemoResult } from "./result.ts";
import type { Say } from "./say.ts";
import { scanPhase } from "./scan-phase.ts";
import { awaitScanners, type Stage } from "./stage.ts";

const PREFIX4 = 20;
const CLOSED_COUNT = 200;
const REOPENED_COUNT = 50;
const CLOSE_AFTER = 2;
/** A shard has to last some seconds, so that it can be killed in its middle; masscan 1.3.2 sends at half of its rate. */
const SLOW_PPS = { masscan: 1_400, connect: 700 };

/** What is on after the last phase; `end` may be called at any time and more than once. */
export type Cleanup = { readonly add: (end: () => Promise<void>) => void; readonly end: () => Promise<void> };

/** The last thing that was added ends first; each is tried even when another fails. */
export function makeCleanup(): Cleanup {
  const ends: (() => Promise<void>)[] = [];
  return {
    add: (end) => void ends.push(end),
    end: async () => {
      const problems: unknown[] = [];
      for (let end = ends.pop(); end !== undefined; end = ends.pop()) await end().catch((error: unknown) => problems.push(error));
      if (problems.length > 0) throw problems[0];
    },
  };
}

/** A lab of namespaces, or loopback listeners with the reason on standard error. */
async function makePlayground(options: DemoOptions, say: Say): Promise<Playground> {
  const problem = options.loopback ? "--loopback was given" : await labProblem();
  if (problem === null) {
    const sizes = { prefix4: PREFIX4, prefix6: 120, open4: 2_100, filtered4: 2_100, open6: 60 };
    return createLab({ name: uniqueLabName("d"), seed: options.seed, scanners: 2, ...sizes });
  }
  say.line(`no lab of network namespaces (${problem}).`);
  say.line("So this shows the same with the connect engine against loopback listeners: no masscan, no filtered ports.");
  return createLoopback({ seed: options.seed, scanners: 2, prefix4: PREFIX4, open4: 2_050, open6: 10, portCount: 20 });
}

async function addPlans({ api, playground }: Stage): Promise<void> {
  const engine = playground.kind === "namespaces" ? "masscan" : "connect";
  await awaitScanners(api, engine);
  await api.post("/v1/range-groups", { name: "lab", ranges: playground.ranges });
  await api.post("/v1/groups", { name: "pair", members: [{ scanner: "s1" }, { scanner: "s2" }] });
  const common = { include: ["lab"], ports: playground.ports.join(), group: "pair", engine, confirm: false };
  // Eight tiles show sharding and tile-wise progress; the slow plan leaves time to kill a scanner; one large tile saves fixed seconds.
  await api.post("/v1/plans", { ...common, name: "lab-scan", rateLimitPps: 4_000, pairsMax: 11_000, closeAfter: CLOSE_AFTER });
  await api.post("/v1/plans", { ...common, name: "lab-slow", rateLimitPps: SLOW_PPS[engine], pairsMax: 11_000, closeAfter: 1 });
  await api.post("/v1/plans", { ...common, name: "lab-again", rateLimitPps: 8_000, pairsMax: 100_000, closeAfter: CLOSE_AFTER });
}

async function playPhases(stage: Stage): Promise<Omit<DemoResult, "seconds">> {
  const { playground, say, next } = stage;
  say.line("1. Two scanners share one job of eight tiles.");
  const scan = await scanPhase(stage, "lab-scan");
  const closed = choose([...openKeys(playground.truth)], CLOSED_COUNT, next).map(pairOf);
  await playground.close(closed);
  say.line(`2. ${CLOSED_COUNT} ports of the lab are closed now. A job whose scanner is killed must close none without coverage.`);
  const partial = await partialPhase(stage, "lab-slow", closed);
  say.line(`3. ${CLOSE_AFTER} complete jobs close exactly these ${CLOSED_COUNT}.`);
  const close = await closePhase(stage, { name: "lab-again", closeAfter: CLOSE_AFTER }, closed);
  const opened = choose(closed, REOPENED_COUNT, next);
  await playground.open(opened);
  say.line(`4. ${REOPENED_COUNT} of them open again.`);
  const reopen = await reopenPhase(stage, "lab-again", opened);
  return { scan, partial, close, reopen };
}

/** Builds everything, plays all phases and tells the result; what was built is left to `cleanup`. */
export async function playDemo(
  options: DemoOptions,
  tools: { readonly say: Say; readonly dir: string; readonly cleanup: Cleanup },
): Promise<{ readonly result: DemoResult; readonly region: Region }> {
  const { say, cleanup } = tools;
  const startedMs = performance.now();
  const playground = await makePlayground(options, say);
  cleanup.add(() => playground.destroy());
  const open = openKeys(playground.truth).size;
  say.line(
    `lab: ${playground.ranges.join(" and ")}, ${playground.ports.length} ports; ${open} pairs open, ${playground.truth.size - open} filtered, the rest closed`,
  );
  const region = await startRegion({
    dir: tools.dir,
    region: "demo",
    scanners: playground.scanners.map(({ launcher, adapter }, i) => ({
      name: `s${i + 1}`,
      addresses: adapter === null ? [`127.0.0.${i + 1}`] : [adapter.ipv4, adapter.ipv6],
      launcher: [...launcher],
      ...(adapter === null ? {} : { adapter, labMode: true }),
    })),
    keeper: { tickMs: 250, waitS: 3 },
  });
  cleanup.add(() => region.stop());
  say.line(
    `region "demo" runs: two scanners, a keeper, NATS, two databases, the API. Pages: ${region.apiUrl}/  jobs: ${region.apiUrl}/jobs`,
  );
  say.line(`sign in with ${region.adminToken}`);
  const records = openRecords(region.ledgerUrl);
  cleanup.add(async () => records.close());
  const stage: Stage = {
    playground,
    region,
    api: openApi(region.apiUrl, region.adminToken),
    records,
    evidence: makeEvidence(options.evidence),
    say,
    next: xorshift32(options.seed + 1),
  };
  await addPlans(stage);
  const phases = await playPhases(stage);
  const result = { ...phases, seconds: Math.round((performance.now() - startedMs) / 100) / 10 };
  await stage.evidence.file(".", "result.json", `${JSON.stringify(result, null, 2)}\n`);
  return { result, region };
}
