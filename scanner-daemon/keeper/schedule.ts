import { PortolanError } from "../../src/core/errors.ts";
import type { JobSpec } from "../../src/core/messages/job.ts";
import { type AddressRange, intersectRanges } from "../../src/core/range.ts";
import type { AcceptContext } from "../../src/ledger/types.ts";
import type { RegistrySnapshot, SnapshotPlan } from "../../src/registry/types.ts";
import type { KeeperDeps } from "./deps.ts";
import { isDue, isSilent, type News, whoIsInTurn } from "./due.ts";
import type { Forbidden } from "./forbidden.ts";
import type { Live } from "./live.ts";
import { type Ability, planFromRegistry, seedOf } from "./planning.ts";
import type { Snapshots } from "./snapshot.ts";
import type { Writer } from "./writer.ts";

/**
 * Makes jobs out of plans that this region is home of, or takes over (see `isDue`): those that are due by their interval, and those that
 * are asked for.
 */
export type Schedule = {
  /** Starts what is due. A plan that cannot be planned is logged once for each version of the registry and tried again. */
  startDue(): Promise<void>;
  /**
   * Starts one job of a plan and commits its record; returns the job id, or null while a scanner of the plan has not
   * been heard of yet: ask again then. Throws `PortolanError`: `not-found`, `conflict` naming the running job or the region whose turn it
   * is, or what planning says.
   */
  start(planId: string, cause: JobSpec["cause"], finishes?: (job: string) => AcceptContext["finishes"]): Promise<string | null>;
  /** Starts a follow-up of a plan, unless that is disabled: of these addresses only, or (null) of all it has. Otherwise as `start`. */
  startRest(planId: string, within: readonly AddressRange[] | null): Promise<string | null>;
};

/** A plan that could not be planned is tried again after this time, or when the registry changes. */
const RETRY_MS = 30_000;

type Services = {
  readonly writer: Writer;
  readonly live: Live;
  readonly snapshots: Snapshots;
  readonly forbidden: Pick<Forbidden, "refresh" | "denied">;
};

/** Makes the schedule of one keeper. */
export function createSchedule(deps: KeeperDeps, { writer, live, snapshots, forbidden }: Services): Schedule {
  const grace = createGrace(deps);
  const failed = new Map<string, { version: number; atMs: number }>();
  const news = createNews(deps);
  const heard = async (): Promise<ReadonlyMap<string, Ability>> => {
    const [abilities, stored] = await Promise.all([deps.ledger.scannerAbilities(), deps.ledger.scanners()]);
    // Of our own scanners their heartbeats say it sooner than the record that tells the others.
    return new Map<string, Ability>([...byName(abilities), ...byName(stored), ...live.heartbeats()]);
  };
  const make = async (plan: SnapshotPlan, snapshot: RegistrySnapshot, cause: JobSpec["cause"]): Promise<JobSpec | null> => {
    const known = await heard();
    if (grace.holds(plan.members.filter(({ name }) => !known.has(name)).map(({ name }) => name))) return null;
    // The frontier is taken before anything of the job is probed: what comes in later is news to it.
    const frontier = await deps.ledger.frontier();
    const seed = seedOf(deps.randomBytes(8));
    const { region, settings } = deps;
    // A deny that was committed a moment ago has to count.
    await forbidden.refresh();
    const { pairs: denied } = forbidden.denied();
    return planFromRegistry({ plan, snapshot, cause, region, live: known, frontier, seed, denied, nowMs: deps.nowMs(), settings });
  };
  const begin = createStart(deps, { writer, snapshots, news, make });
  const start: Schedule["start"] = (planId, cause, finishes) => begin(planId, cause, finishes === undefined ? {} : { finishes });
  return {
    start,
    startRest: (planId, within) => begin(planId, "follow-up", { isRest: true, ...(within === null ? {} : { within }) }),
    startDue: async () => {
      const snapshot = snapshots.current();
      if (snapshot === null) return;
      grace.notice(snapshot.scanners.map((scanner) => scanner.name));
      const lately = await news();
      const runs = new Map((await deps.ledger.planRuns()).map((run) => [run.planId, run]));
      for (const plan of snapshot.plans) {
        const run = runs.get(plan.id);
        if (!isDue(plan, { region: deps.region, run, news: lately })) continue;
        const failure = failed.get(plan.id);
        if (failure !== undefined && failure.version === snapshot.version && deps.nowMs() - failure.atMs < RETRY_MS) continue;
        failed.delete(plan.id);
        try {
          await start(plan.id, plan.intervalS === null ? "cron" : "interval");
        } catch (error) {
          if (!(error instanceof PortolanError) || error.code === "unavailable") throw error;
          failed.set(plan.id, { version: snapshot.version, atMs: deps.nowMs() });
          if (failure?.version !== snapshot.version) deps.log.warning(`plan "${plan.name}" is due but cannot be started: ${error.message}`);
        }
      }
    },
  };
}

type Starting = Pick<Services, "writer" | "snapshots"> & {
  readonly news: () => Promise<News>;
  readonly make: (plan: SnapshotPlan, snapshot: RegistrySnapshot, cause: JobSpec["cause"]) => Promise<JobSpec | null>;
};

type Extras = {
  readonly finishes?: (job: string) => AcceptContext["finishes"];
  readonly isRest?: boolean;
  readonly within?: readonly AddressRange[];
};

function createStart(
  deps: KeeperDeps,
  { writer, snapshots, news, make }: Starting,
): (planId: string, cause: JobSpec["cause"], extras: Extras) => Promise<string | null> {
  return async (planId, cause, { finishes, isRest = false, within }) => {
    // An exclusion or a plan that was written a moment ago has to count.
    await snapshots.refresh({ now: true });
    const snapshot = known(snapshots);
    const lately = await news();
    const plan = ownPlan(snapshot, planId, deps.region, lately);
    const run = (await deps.ledger.planRuns()).find((candidate) => candidate.planId === planId);
    const running = run?.running.find(({ home }) => home === deps.region || !isSilent(plan, home, lately));
    if (running !== undefined) {
      throw new PortolanError(
        "conflict",
        `plan "${plan.name}" already has the running job ${running.job}; wait for its end or cancel it first`,
      );
    }
    if (isRest && !plan.enabled) throw new PortolanError("conflict", `plan "${plan.name}" is disabled`);
    const rest = within === undefined ? plan : { ...plan, includeRanges: intersectRanges(plan.includeRanges, within) };
    const spec = await make(rest, snapshot, cause);
    if (spec === null) return null;
    const item = writer.own({ kind: "job", content: spec });
    const answers = finishes?.(item.id);
    await writer.write([item], answers === undefined ? {} : { finishes: answers });
    deps.log.info(`job ${item.id} of plan "${plan.name}" begins`, { cause, members: spec.members.length });
    return item.id;
  };
}

function byName<T extends Ability & { readonly scanner: string }>(scanners: readonly T[]): [string, T][] {
  return scanners.map((scanner) => [scanner.scanner, scanner]);
}

/** Longer pauses between two looks mean that this keeper was asleep, or another had the lease. */
const AWAKE_MS = 60_000;

/** When something last came from each region. Nobody is silent for longer than this keeper has been awake to hear it. */
function createNews(deps: KeeperDeps): () => Promise<News> {
  let awakeSinceMs = deps.nowMs();
  let lookedAtMs = deps.monotonicMs();
  return async () => {
    if (deps.monotonicMs() - lookedAtMs > AWAKE_MS) awakeSinceMs = deps.nowMs();
    lookedAtMs = deps.monotonicMs();
    const lastMs = new Map((await deps.ledger.regionNews()).map(({ region, lastStampMs }) => [region, lastStampMs]));
    return { nowMs: deps.nowMs(), lastMs: (region) => Math.max(awakeSinceMs, lastMs.get(region) ?? 0) };
  };
}

function known(snapshots: Snapshots): RegistrySnapshot {
  const snapshot = snapshots.current();
  if (snapshot === null)
    throw new PortolanError("unavailable", "the keeper could not read the registry yet; check that it runs and try again");
  return snapshot;
}

/** The plan with this id; throws `not-found`, or `conflict` when another region plans it. */
function ownPlan(snapshot: RegistrySnapshot, planId: string, region: string, news: News): SnapshotPlan {
  const plan = snapshot.plans.find((candidate) => candidate.id === planId);
  if (plan === undefined) throw new PortolanError("not-found", `there is no plan with the id "${planId}"; "portolan plan ls" lists them`);
  const turn = whoIsInTurn(plan, region, news);
  if (turn === region) return plan;
  throw new PortolanError("conflict", `plan "${plan.name}" is planned by region ${turn}, not by ${region}; send the request there`);
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
