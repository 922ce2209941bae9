import { PortolanError } from "../../core/errors.ts";
import { createLab } from "../lab/lab.ts";
import { createLoopback } from "../lab/loopback.ts";
import type { Playground } from "../lab/playground.ts";
import { labProblem, uniqueLabName } from "../lab/probe.ts";
import { choose, openKeys, pairOf, xorshift32 } from "../lab/truth.ts";
import type { Cleanup } from "./cleanup.ts";
import { closePhase, reopenPhase } from "./close-phase.ts";
import { equalPhase, openPages } from "./equal-phase.ts";
import { makeEvidence } from "./evidence.ts";
import type { DemoOptions } from "./options.ts";
import { partialPhase } from "./partial-phase.ts";
import type { DemoResult } from "./result.ts";
import type { Say } from "./say.ts";
import { FULL, type Scale, SMALL } from "./scale.ts";
import { scanPhase } from "./scan-phase.ts";
import { scannerNames, SCANNERS, type Site, startSites } from "./sites.ts";
import { awaitScanners, type Stage } from "./stage.ts";

const CLOSE_AFTER = 2;
const PAIRS_ONE_TILE = 100_000;

/** A lab of namespaces, or loopback listeners with the reason on standard error. */
async function makePlayground(options: DemoOptions, scale: Scale, say: Say): Promise<Playground> {
  const problem = options.loopback ? "--loopback was given" : await labProblem();
  const { prefix4, prefix6, open4, open6 } = scale;
  if (problem === null) {
    const sizes = { prefix4, prefix6, open4, filtered4: open4, open6 };
    return createLab({ name: uniqueLabName("d"), seed: options.seed, scanners: SCANNERS, ...sizes });
  }
  say.line(`no lab of network namespaces (${problem}).`);
  say.line("So this shows the same with the connect engine against loopback listeners: no masscan, no filtered ports.");
  return createLoopback({ seed: options.seed, scanners: SCANNERS, prefix4, open4: open4 - 50, open6: 10, portCount: 20 });
}

async function addPlans({ home, sites, playground, scale }: Stage): Promise<void> {
  const engine = playground.kind === "namespaces" ? "masscan" : "connect";
  for (const { api, name } of sites) await awaitScanners(api, engine, name);
  const members = sites.flatMap(({ name }) => scannerNames(name)).map((scanner) => ({ scanner }));
  await home.api.post("/v1/range-groups", { name: "lab", ranges: playground.ranges, allowSpecialPurpose: true });
  await home.api.post("/v1/groups", { name: "world", members });
  const common = { include: ["lab"], ports: playground.ports.join(), group: "world", engine, confirm: false, home: home.name };
  const each = (pps: number): number => Math.max(1, Math.round(pps / members.length));
  // Eight tiles show sharding and tile-wise progress; the slow plan leaves time to kill a scanner; one large tile saves fixed seconds.
  const [few, all] = [{ pairsMax: scale.tilePairs }, { pairsMax: PAIRS_ONE_TILE }];
  await home.api.post("/v1/plans", { ...common, ...few, name: "lab-scan", rateLimitPps: each(scale.scanPps), closeAfter: CLOSE_AFTER });
  await home.api.post("/v1/plans", { ...common, ...few, name: "lab-slow", rateLimitPps: each(scale.slowPps[engine]), closeAfter: 1 });
  await home.api.post("/v1/plans", { ...common, ...all, name: "lab-again", rateLimitPps: each(scale.againPps), closeAfter: CLOSE_AFTER });
}

async function playPhases(stage: Stage): Promise<Omit<DemoResult, "seconds">> {
  const { playground, say, next, scale, sites, home } = stage;
  say.line(`1. ${SCANNERS} scanners in ${sites.length} regions share one job of eight tiles, planned in ${home.name}.`);
  const { scan, lags } = await scanPhase(stage, "lab-scan");
  const closed = choose([...openKeys(playground.truth)], scale.closed, next).map(pairOf);
  await playground.close(closed);
  say.line(
    `2. ${scale.closed} ports of the lab are closed now. A job whose scanner is killed must close none without coverage, in no region.`,
  );
  const partial = await partialPhase(stage, "lab-slow", closed);
  say.line(`3. ${CLOSE_AFTER} complete jobs close exactly these ${scale.closed}, in all regions.`);
  const close = await closePhase(stage, { name: "lab-again", closeAfter: CLOSE_AFTER }, closed);
  const opened = choose(closed, scale.reopened, next);
  await playground.open(opened);
  say.line(`4. ${scale.reopened} of them open again.`);
  const reopen = await reopenPhase(stage, "lab-again", opened);
  say.line("5. All regions come to the same answer.");
  const regions = await equalPhase(stage, lags);
  await openPages(stage);
  return { scan, partial, close, reopen, regions };
}

/** Builds everything, plays all phases and tells the result; what was built is left to `cleanup`. */
export async function playDemo(
  options: DemoOptions,
  tools: { readonly say: Say; readonly dir: string; readonly cleanup: Cleanup },
): Promise<{ readonly result: DemoResult; readonly sites: readonly Site[] }> {
  const { say, cleanup } = tools;
  const startedMs = performance.now();
  const scale = options.small ? SMALL : FULL;
  // Who is interrupted in the middle of a start waits for its end, so that nothing is left.
  const making = makePlayground(options, scale, say);
  cleanup.add(async () => (await making.catch(() => null))?.destroy());
  const playground = await making;
  const open = openKeys(playground.truth).size;
  say.line(
    `lab: ${playground.ranges.join(" and ")}, ${playground.ports.length} ports; ${open} pairs open, ${playground.truth.size - open} filtered, the rest closed`,
  );
  const starting = startSites(tools.dir, playground);
  cleanup.add(async () => (await starting.catch(() => null))?.regions.stop());
  const { regions, sites } = await starting;
  if (cleanup.hasBegun()) throw new PortolanError("conflict", "the demo was interrupted");
  const [home] = sites;
  cleanup.add(async () => sites.forEach(({ records }) => records.close()));
  for (const { name, runtime, region } of sites) {
    say.line(`region ${name} runs: two scanners, a keeper, NATS, two databases, the API on ${runtime}. Pages: ${region.apiUrl}/`);
  }
  say.line(`sign in with ${regions.adminToken}`);
  const evidence = makeEvidence(options.evidence);
  const stage: Stage = { playground, sites, home, scale, evidence, say, next: xorshift32(options.seed + 1) };
  await addPlans(stage);
  const phases = await playPhases(stage);
  const result = { ...phases, seconds: Math.round((performance.now() - startedMs) / 100) / 10 };
  await evidence.file(".", "result.json", `${JSON.stringify(result, null, 2)}\n`);
  return { result, sites };
}
