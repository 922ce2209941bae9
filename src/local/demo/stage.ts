import { setTimeout as pause } from "node:timers/promises";
import { PortolanError } from "../../core/errors.ts";
import type { Playground } from "../lab/playground.ts";
import { pairKey } from "../lab/truth.ts";
import type { Region } from "../region.ts";
import type { Api, DemoJob, DemoService, DemoShard } from "./api.ts";
import type { Evidence } from "./evidence.ts";
import type { Records } from "./records.ts";
import { bar, type Say } from "./say.ts";

/** All that a phase works with. */
export type Stage = {
  readonly playground: Playground;
  readonly region: Region;
  readonly api: Api;
  readonly records: Records;
  readonly evidence: Evidence;
  readonly say: Say;
  /** Random numbers of the demo's own seed. */
  readonly next: () => number;
};

const LOOK_EVERY_MS = 250;
const SCANNERS_MS_MAX = 30_000;
const JOB_MS_MAX = 240_000;
const SETTLE_MS_MAX = 20_000;

/** Waits until all scanners say that they can run this engine. Throws `unavailable` with what stands in the way. */
export async function awaitScanners(api: Api, engine: string): Promise<void> {
  const deadlineMs = performance.now() + SCANNERS_MS_MAX;
  for (;;) {
    const scanners = await api.scanners();
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

/** Looks at a job until `until` says so, telling how far it is. Throws `unavailable` when that takes over 4 minutes. */
export async function watchJob(stage: Stage, id: string, until: (view: JobView) => boolean): Promise<JobView> {
  const deadlineMs = performance.now() + JOB_MS_MAX;
  for (;;) {
    const [job, shards] = await Promise.all([stage.api.job(id), stage.api.shards(id)]);
    const done = shards.reduce((sum, shard) => sum + (shard.state === "complete" ? 100 : (shard.percent ?? 0)), 0);
    const view = { job, shards, percent: shards.length === 0 ? 0 : done / shards.length };
    show(stage.say, view);
    if (until(view)) return view;
    if (performance.now() > deadlineMs) throw new PortolanError("unavailable", `job ${id} did not get there in time; ${describe(view)}`);
    await pause(LOOK_EVERY_MS);
  }
}

/** Starts a job of a plan and waits for its end. */
export async function runJob(stage: Stage, plan: string): Promise<JobView> {
  const id = await stage.api.startJob(plan);
  const view = await watchJob(stage, id, ({ job }) => job.state !== "running");
  if (view.job.state !== "complete")
    throw new PortolanError("unavailable", `job ${id} of plan "${plan}" ended incomplete: ${view.job.why ?? "no reason"}`);
  return view;
}

function show(say: Say, view: JobView): void {
  const { job, shards, percent } = view;
  const running = shards.filter((shard) => shard.state === "running");
  const parts = running.map((shard) => {
    const rate = shard.ratePps === null ? "" : ` ${Math.round(shard.ratePps)}/s`;
    return `${shard.scanner} ${shard.tile + 1}.${shard.shard} ${(shard.percent ?? 0).toFixed(0)} %${rate}`;
  });
  const text = `${bar(percent)} ${percent.toFixed(0).padStart(3)} %  tiles ${job.tiles.complete}/${job.tiles.total}  ${parts.join("  ")}`;
  say.live(text, `${job.id} ${job.tiles.complete} ${job.state}`);
}

function describe({ job, shards, percent }: JobView): string {
  const problems = shards.flatMap((shard) => (shard.problem === null ? [] : [`tile ${shard.tile} shard ${shard.shard}: ${shard.problem}`]));
  return `it is ${job.state}, ${percent.toFixed(0)} %, ${job.tiles.complete} of ${job.tiles.total} tiles; ${problems[0] ?? "no shard has a problem"}`;
}

/** Services that the register shows closed, and those that it shows open or missing, as keys. */
export type Register = {
  readonly active: ReadonlySet<string>;
  readonly closed: ReadonlySet<string>;
  readonly services: readonly DemoService[];
};

/** The full export, sorted out. */
async function readRegister(stage: Stage): Promise<Register> {
  const services = await stage.api.services();
  const keys = (states: readonly string[]): Set<string> => new Set(services.filter(({ state }) => states.includes(state)).map(pairKey));
  return { active: keys(["open", "missing"]), closed: keys(["closed"]), services };
}

/** Closing is deferred work: reads the register until `settled` says so, or what it is after 20 s. */
export async function settledRegister(stage: Stage, settled: (register: Register) => boolean): Promise<Register> {
  const deadlineMs = performance.now() + SETTLE_MS_MAX;
  for (;;) {
    const register = await readRegister(stage);
    if (settled(register) || performance.now() > deadlineMs) return register;
    await pause(LOOK_EVERY_MS);
  }
}
