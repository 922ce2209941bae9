import { PortolanError } from "../../src/core/errors.ts";
import type { JobSpec } from "../../src/core/messages/job.ts";
import type { AcceptContext, ScannerLive } from "../../src/ledger/types.ts";
import type { RegistrySnapshot, SnapshotPlan } from "../../src/registry/types.ts";
import type { KeeperDeps } from "./deps.ts";
import type { Live } from "./live.ts";
import { planFromRegistry, seedOf } from "./planning.ts";
import type { Snapshots } from "./snapshot.ts";
import type { Writer } from "./writer.ts";

/** Makes jobs out of plans: those that are due by their interval, and those that are asked for. */
export type Schedule = {
  /** Starts what is due. A plan that cannot be planned is logged once for each version of the registry and tried again. */
  startDue(): Promise<void>;
  /**
   * Starts one job of a plan and commits its record; returns the job id, or null while a scanner of the plan has not
   * been heard of yet: ask again then. Throws `PortolanError`: `not-found`, `conflict` naming the running job, or what planning says.
   */
  start(planId: string, cause: JobSpec["cause"], finishes?: (job: string) => AcceptContext["finishes"]): Promise<string | null>;
};

/** A plan that could not be planned is tried again after this time, or when the registry changes. */
const RETRY_MS = 30_000;

type Services = { readonly writer: Writer; readonly live: Live; readonly snapshots: Snapshots };

/** Makes the schedule of one keeper. */
export function createSchedule(deps: KeeperDeps, { writer, live, snapshots }: Services): Schedule {
  const grace = createGrace(deps);
  const failed = new Map<string, { version: number; atMs: number }>();
  const heard = async (): Promise<ReadonlyMap<string, ScannerLive>> => {
    const stored = (await deps.ledger.scanners()).map((scanner) => [scanner.scanner, scanner] as const);
    return new Map([...stored, ...live.heartbeats()]);
  };
  const make = async (plan: SnapshotPlan, snapshot: RegistrySnapshot, cause: JobSpec["cause"]): Promise<JobSpec | null> => {
    const known = await heard();
    if (grace.holds(plan.members.filter(({ name }) => !known.has(name)).map(({ name }) => name))) return null;
    // The frontier is taken before anything of the job is probed: what comes in later is news to it.
    const frontier = await deps.ledger.frontier();
    const seed = seedOf(deps.randomBytes(8));
    return planFromRegistry({ plan, snapshot, cause, live: known, frontier, seed, nowMs: deps.nowMs(), settings: deps.settings });
  };
  const start: Schedule["start"] = async (planId, cause, finishes) => {
    // An exclusion or a plan that was written a moment ago has to count.
    await snapshots.refresh({ now: true });
    const snapshot = known(snapshots);
    const plan = ownPlan(snapshot, planId, deps.region);
    const run = (await deps.ledger.planRuns()).find((candidate) => candidate.planId === planId);
    if (run !== undefined && run.runningJob !== null) {
      throw new PortolanError(
        "conflict",
        `plan "${plan.name}" already has the running job ${run.runningJob}; wait for its end or cancel it first`,
      );
    }
    const spec = await make(plan, snapshot, cause);
    if (spec === null) return null;
    const item = writer.own({ kind: "job", content: spec });
    const answers = finishes?.(item.id);
    await writer.write([item], answers === undefined ? {} : { finishes: answers });
    deps.log.info(`job ${item.id} of plan "${plan.name}" begins`, { cause, members: spec.members.length });
    return item.id;
  };
  return {
    start,
    startDue: async () => {
      const snapshot = snapshots.current();
      if (snapshot === null) return;
      grace.notice(snapshot.scanners.map((scanner) => scanner.name));
      const runs = new Map((await deps.ledger.planRuns()).map((run) => [run.planId, run]));
      for (const plan of snapshot.plans) {
        const run = runs.get(plan.id);
        if (!isDue(plan, deps.region, run, deps.nowMs())) continue;
        const failure = failed.get(plan.id);
        if (failure !== undefined && failure.version === snapshot.version && deps.nowMs() - failure.atMs < RETRY_MS) continue;
        failed.delete(plan.id);
        try {
          await start(plan.id, "interval");
        } catch (error) {
          if (!(error instanceof PortolanError) || error.code === "unavailable") throw error;
          failed.set(plan.id, { version: snapshot.version, atMs: deps.nowMs() });
          if (failure?.version !== snapshot.version) deps.log.warning(`plan "${plan.name}" is due but cannot be started: ${error.message}`);
        }
      }
    },
  };
}

/** Whether a plan wants a job now: never two of one plan at a time, and a first one at once. */
export function isDue(
  plan: Pick<SnapshotPlan, "enabled" | "home" | "intervalS">,
  region: string,
  run: { readonly lastPlannedAtMs: number; readonly runningJob: string | null } | undefined,
  nowMs: number,
): boolean {
  if (!plan.enabled || plan.home !== region || plan.intervalS === null) return false;
  if (run === undefined) return true;
  return run.runningJob === null && nowMs - run.lastPlannedAtMs >= plan.intervalS * 1_000;
}

function known(snapshots: Snapshots): RegistrySnapshot {
  const snapshot = snapshots.current();
  if (snapshot === null)
    throw new PortolanError("unavailable", "the keeper could not read the registry yet; check that it runs and try again");
  return snapshot;
}

/** The plan with this id; throws `not-found`, or `conflict` when another region plans it. */
function ownPlan(snapshot: RegistrySnapshot, planId: string, region: string): SnapshotPlan {
  const plan = snapshot.plans.find((candidate) => candidate.id === planId);
  if (plan === undefined) throw new PortolanError("not-found", `there is no plan with the id "${planId}"; "portolan plan ls" lists them`);
  if (plan.home === region) return plan;
  throw new PortolanError("conflict", `plan "${plan.name}" is planned by region ${plan.home}, not by ${region}; send the request there`);
}

type Grace = {
  /** These scanners are registered: from the first time on their grace runs. */
  notice(names: readonly string[]): void;
  /** Whether to wait for one of these scanners, none of which was heard of yet. */
  holds(unheard: readonly string[]): boolean;
};

/** A scanner that starts together with its keeper is heard of a moment later: planning waits for that, but not for long. */
function createGrace(deps: KeeperDeps): Grace {
  const noticedAtMs = new Map<string, number>();
  const notice = (names: readonly string[]): void => {
    for (const name of names) if (!noticedAtMs.has(name)) noticedAtMs.set(name, deps.monotonicMs());
  };
  return {
    notice,
    holds: (unheard) => {
      notice(unheard);
      const nowMs = deps.monotonicMs();
      return unheard.some((name) => nowMs - (noticedAtMs.get(name) ?? nowMs) < deps.settings.engineGraceMs);
    },
  };
}
