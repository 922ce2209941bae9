import { dueAfterMs } from "../../src/registry/cron.ts";
import type { PlanRun } from "../../src/ledger/types.ts";
import type { SnapshotPlan } from "../../src/registry/types.ts";

/** When something last came from a region's log (milliseconds of the Unix epoch), and what time it is. */
export type News = { readonly nowMs: number; readonly lastMs: (region: string) => number };

type Homes = Pick<SnapshotPlan, "homes" | "takeoverAfterS">;
type Moment = { readonly region: string; readonly run: Omit<PlanRun, "planId"> | undefined; readonly news: News };

/** Whether nothing came from a region for as long as this plan waits. */
export function isSilent({ takeoverAfterS }: Pick<Homes, "takeoverAfterS">, region: string, { nowMs, lastMs }: News): boolean {
  return nowMs - lastMs(region) >= takeoverAfterS * 1_000;
}

/** The region that plans on request as `region` sees it: the first of the plan's homes that is not silent, or is `region` itself. */
export function whoIsInTurn(plan: Homes, region: string, news: News): string {
  return plan.homes.find((home) => home === region || !isSilent(plan, home, news)) ?? plan.homes[0] ?? "";
}

type Rhythm = Pick<SnapshotPlan, "enabled" | "intervalS" | "createdAtMs"> & Partial<Pick<SnapshotPlan, "cron" | "timeZone">>;

/**
 * Whether this region makes a job of the plan now. The first home does when the interval has passed since any region last planned it, or the
 * time of its cron pattern has come; a first job by interval is made at once. Each further home waits `takeoverAfterS` longer than the one before it, and acts only while all before it are
 * silent: a home that is quiet because nothing was due has then planned already, and its job is here.
 *
 * A job of this region that runs always keeps it from making another; a job of another region does until that region is silent. So one
 * region never runs two jobs of a plan, and two regions that do not hear each other may run one each: two jobs at one time are one look.
 */
export function isDue(plan: Homes & Rhythm, { region, run, news }: Moment): boolean {
  const place = plan.homes.indexOf(region);
  if (!plan.enabled || place < 0) return false;
  if (!plan.homes.slice(0, place).every((home) => isSilent(plan, home, news))) return false;
  if (run?.running.some(({ home }) => home === region || !isSilent(plan, home, news)) === true) return false;
  const { intervalS, cron = null, timeZone = "UTC" } = plan;
  if (run === undefined && place === 0 && intervalS !== null) return true;
  const isFirst = run === undefined && intervalS !== null;
  const dueAtMs = isFirst ? plan.createdAtMs : dueAfterMs({ intervalS, cron, timeZone }, run?.lastPlannedAtMs ?? plan.createdAtMs);
  if (dueAtMs === null) return false;
  return news.nowMs >= dueAtMs + place * plan.takeoverAfterS * 1_000;
}
