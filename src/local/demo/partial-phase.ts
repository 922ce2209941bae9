import { setTimeout as pause } from "node:timers/promises";
import { PortolanError } from "../../core/errors.ts";
import type { Report } from "../../core/messages/report.ts";
import { pairKey, pairOf, type LabPair } from "../lab/truth.ts";
import type { DemoShard } from "./api.ts";
import { ndjson } from "./evidence.ts";
import { tileFinder } from "./records.ts";
import { settledRegisters } from "./registers.ts";
import type { DemoResult } from "./result.ts";
import { readShards, watchJob, type JobView, type Stage } from "./stage.ts";

/** Not in the job's home, which has to hear of it. */
const VICTIM_REGION = "us";
const VICTIM = "us-2";
const TILES_COMPLETE_MIN = 2;
/** Progress is told about once a second, so the shard is further than it says: the upper bound leaves room. */
const PERCENT_MIN = 22;
const PERCENT_MAX = 65;
const REPORT_MS_MAX = 60_000;
const LOOK_EVERY_MS = 200;

function victimShard({ job, shards, percent }: JobView): DemoShard | undefined {
  if (job.tiles.complete < TILES_COMPLETE_MIN || percent < 20 || percent > 80) return undefined;
  return shards.find(
    (shard) =>
      shard.scanner === VICTIM && shard.state === "running" && (shard.percent ?? 0) >= PERCENT_MIN && (shard.percent ?? 100) <= PERCENT_MAX,
  );
}

async function awaitReport(stage: Stage, key: { readonly job: string; readonly tile: number; readonly shard: number }): Promise<Report> {
  const deadlineMs = performance.now() + REPORT_MS_MAX;
  for (;;) {
    const [report] = await stage.home.records.reports(key);
    if (report !== undefined) return report;
    if (performance.now() > deadlineMs)
      throw new PortolanError(
        "unavailable",
        `scanner ${VICTIM} sent no report about its killed shard in time, or it did not come to region ${stage.home.name}`,
      );
    await pause(LOOK_EVERY_MS);
  }
}

/**
 * Some ports of the lab are closed; a scanner is killed by force in the middle of a shard and the job is cancelled. Its plan
 * closes after one miss, so tiles with coverage do close theirs: those without must close nothing, in no region.
 */
export async function partialPhase(stage: Stage, plan: string, closed: readonly LabPair[]): Promise<DemoResult["partial"]> {
  const { playground, home, say } = stage;
  const child = stage.sites.find(({ name }) => name === VICTIM_REGION)?.region.child(`scanner-${VICTIM}`);
  if (child === undefined) throw new PortolanError("internal", `no region ${VICTIM_REGION}`);
  await playground.startSeen();
  const job = await home.api.startJob(plan);
  let victim: DemoShard | undefined;
  await watchJob(stage, job, (view) => {
    victim = victimShard(view);
    if (view.job.state !== "running") throw new PortolanError("unavailable", `job ${job} ended before its scanner could be killed`);
    return victim !== undefined;
  });
  if (victim === undefined) throw new PortolanError("internal", "no shard to kill");
  const { tile, shard } = victim;
  await child.kill9({ stayDown: true });
  const last = (await readShards(stage, job)).find((one) => one.tile === tile && one.shard === shard);
  const killedAtPercent = Math.round(Math.max(last?.percent ?? 0, victim.percent ?? 0));
  say.line(`killed scanner ${VICTIM} with SIGKILL at ${killedAtPercent} % of tile ${tile + 1} shard ${shard}`);
  await home.api.cancelJob(job, "a scanner was killed");
  await watchJob(stage, job, (view) => view.job.state !== "running");
  await child.start();
  const report = await awaitReport(stage, { job, tile, shard });
  say.line(
    `restarted, it reported its shard as ${report.outcome.kind} with ${report.sightings} sightings; region ${home.name} has the report`,
  );
  const closedWrongly = await countWrong(stage, job, closed);
  await stage.evidence.file("partial", "killed-shard-report.json", `${JSON.stringify(report, null, 2)}\n`);
  return { killedAtPercent, sightings: report.sightings, reportOutcome: report.outcome.kind, closedWrongly };
}

/** Services shown closed in any region that are open, or whose tile has no coverage. */
async function countWrong(stage: Stage, job: string, closed: readonly LabPair[]): Promise<number> {
  const { home, sites, evidence, playground, say } = stage;
  const spec = await home.records.jobSpec(job);
  const tileOf = tileFinder(spec);
  const tiles = await home.api.tiles(job);
  const covered = new Set(tiles.filter(({ state }) => state === "complete").map(({ tile }) => tile));
  const isCovered = (pair: LabPair): boolean => covered.has(tileOf(pair) ?? -1);
  const due = closed.filter(isCovered).map(pairKey);
  const registers = await settledRegisters(sites, (now) => due.every((key) => now.closed.has(key)));
  const closable = new Set(due);
  const wrong = [...registers.anywhere((one) => one.closed)].filter((key) => !closable.has(key));
  const closedEverywhere = registers.everywhere((one) => one.closed);
  const closedCovered = due.filter((key) => closedEverywhere.has(key)).length;
  say.line(
    `${covered.size} of ${tiles.length} tiles have coverage: of the ${closed.length} closed ports they hold ${due.length}, and ${closedCovered} of these ` +
      `are shown closed in all regions; wrongly closed in any: ${wrong.length}`,
  );
  await evidence.phase("partial", { playground, registers });
  await evidence.file("partial", "job.json", `${JSON.stringify(spec, null, 2)}\n`);
  await evidence.file("partial", "tiles.ndjson", ndjson(tiles));
  const tileLines = [...playground.truth.keys(), ...closed.map(pairKey)].map((key) => `${key}\t${tileOf(pairOf(key)) ?? ""}\n`);
  await evidence.file("partial", "tile-of-pair.tsv", tileLines.toSorted().join(""));
  return wrong.length;
}
