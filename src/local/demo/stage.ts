import { setTimeout as pause } from "node:timers/promises";
import { PortolanError } from "../../core/errors.ts";
import type { Playground } from "../lab/playground.ts";
import type { Api, DemoJob, DemoShard } from "./api.ts";
import type { Evidence } from "./evidence.ts";
import { bar, type Say } from "./say.ts";
import type { Scale } from "./scale.ts";
import type { Site } from "./sites.ts";

/** All that a phase works with. */
export type Stage = {
  readonly playground: Playground;
  readonly sites: readonly Site[];
  /** Home of all plans. */
  readonly home: Site;
  readonly scale: Scale;
  readonly evidence: Evidence;
  readonly say: Say;
  /** Random numbers of the demo's own seed. */
  readonly next: () => number;
};

const LOOK_EVERY_MS = 400;
const SCANNERS_MS_MAX = 60_000;
const JOB_MS_MAX = 300_000;

/** Waits until all scanners (of one region, where several share a registry) say that they can run this engine. Throws `unavailable` with what stands in the way. */
export async function awaitScanners(api: Api, engine: string, region?: string): Promise<void> {
  const deadlineMs = performance.now() + SCANNERS_MS_MAX;
  for (;;) {
    const scanners = (await api.scanners()).filter((scanner) => region === undefined || scanner.region === region);
    const waiting = scanners.find(({ live }) => live?.engines.includes(engine) !== true);
    if (scanners.length > 0 && waiting === undefined) return;
    if (performance.now() > deadlineMs) {
      throw new PortolanError(
        "unavailable",
        `scanner ${waiting?.name ?? ""} cannot run ${engine}: ${waiting?.live?.notReady ?? "nothing was heard of it"}`,
      );
    }
    await pause(LOOK_EVERY_MS);
  }
}

/** A job as it stands, with its shards. */
export type JobView = {
  readonly job: DemoJob;
  readonly shards: readonly DemoShard[];
  /** Of all shards together. */ readonly percent: number;
};

/** Looks at a job until `until` says so, telling how far it is. Throws `unavailable` when that takes over 5 minutes. */
export async function watchJob(stage: Stage, id: string, until: (view: JobView) => boolean): Promise<JobView> {
  const deadlineMs = performance.now() + JOB_MS_MAX;
  for (;;) {
    const [job, shards] = await Promise.all([stage.home.api.job(id), readShards(stage, id)]);
    const done = shards.reduce((sum, shard) => sum + (shard.state === "complete" ? 100 : (shard.percent ?? 0)), 0);
    const view = { job, shards, percent: shards.length === 0 ? 0 : done / shards.length };
    show(stage.say, view);
    if (until(view)) return view;
    if (performance.now() > deadlineMs) throw new PortolanError("unavailable", `job ${id} did not get there in time; ${describe(view)}`);
    await pause(LOOK_EVERY_MS);
  }
}

/** Live progress stays in the scanner's own region, and so do its reports for a moment: of each shard, what its own region says counts. */
export async function readShards({ sites, home }: Stage, id: string): Promise<DemoShard[]> {
  const ofRegion = async ({ api }: Site): Promise<DemoShard[]> => {
    try {
      return await api.shards(id);
    } catch (error) {
      // The job has not come there yet.
      if (error instanceof PortolanError && error.code === "not-found") return [];
      throw error;
    }
  };
  const others = sites.filter((site) => site !== home);
  const [known, ...told] = await Promise.all([home.api.shards(id), ...others.map(ofRegion)]);
  const own = new Map<string, DemoShard>();
  for (const [index, shards] of told.entries()) {
    for (const shard of shards) if (shard.region === others[index]?.name) own.set(keyOf(shard), shard);
  }
  return known.map((shard) => own.get(keyOf(shard)) ?? shard);
}

function keyOf({ tile, shard, attempt }: DemoShard): string {
  return `${tile} ${shard} ${attempt}`;
}

/** Starts a job of a plan and waits for its end. */
export async function runJob(stage: Stage, plan: string): Promise<JobView> {
  const id = await stage.home.api.startJob(plan);
  const view = await watchJob(stage, id, ({ job }) => job.state !== "running");
  if (view.job.state !== "complete")
    throw new PortolanError("unavailable", `job ${id} of plan "${plan}" ended incomplete: ${view.job.why ?? "no reason"}`);
  return view;
}

function show(say: Say, view: JobView): void {
  const { job, shards, percent } = view;
  const running = shards.filter((shard) => shard.state === "running");
  const parts = running.map((shard) => `${shard.scanner} ${shard.tile + 1}.${shard.shard} ${(shard.percent ?? 0).toFixed(0)} %`);
  const rate = Math.round(running.reduce((sum, { ratePps }) => sum + (ratePps ?? 0), 0));
  const text = `${bar(percent)} ${percent.toFixed(0).padStart(3)} %  tiles ${job.tiles.complete}/${job.tiles.total}  ${rate}/s  ${parts.join("  ")}`;
  say.live(text, `${job.id} ${job.tiles.complete} ${job.state}`);
}

function describe({ job, shards, percent }: JobView): string {
  const problems = shards.flatMap((shard) => (shard.problem === null ? [] : [`tile ${shard.tile} shard ${shard.shard}: ${shard.problem}`]));
  return `it is ${job.state}, ${percent.toFixed(0)} %, ${job.tiles.complete} of ${job.tiles.total} tiles; ${problems[0] ?? "no shard has a problem"}`;
}
