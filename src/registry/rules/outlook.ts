import { PortolanError } from "../../core/errors.ts";
import type { Block, JobSpec } from "../../core/messages/job.ts";
import { planJob } from "../../core/plan.ts";
import { countPorts, parsePorts } from "../../core/port.ts";
import { countAddresses, parseRange } from "../../core/range.ts";
import type { Plan, RegistryState, SnapshotPlan } from "../types.ts";
import { currentExclusions, resolvePlan } from "./resolve.ts";

/** What a plan amounts to, as far as it is known before a job is planned. */
export type PlanSize = {
  readonly pairs: bigint;
  readonly scanners: number;
  /** At the plan's rate with all scanners. */ readonly expectedS: number;
};

/** Throws unless a job of this plan could be planned now. */
export function checkPlan(plan: SnapshotPlan, nowMs: number): PlanSize {
  const pairs = pairsOf(sampleJob(plan, nowMs));
  const probes = pairs * BigInt(1 + plan.retries);
  return { pairs, scanners: plan.members.length, expectedS: Number(probes / BigInt(plan.rateLimitPps * plan.members.length)) + 1 };
}

/** A job of the plan, planned by the very function that will plan the real ones; all scanners are taken to have both engines. Throws what that throws. */
export function sampleJob(plan: SnapshotPlan, nowMs: number): JobSpec {
  if (plan.includeRanges.length === 0) {
    throw new PortolanError(
      "invalid",
      `plan "${plan.name}" has no range to scan; give at least one range, or a range group that holds some`,
    );
  }
  return planJob({
    plan: {
      ...plan,
      include: plan.includeRanges,
      exclude: plan.excludeRanges,
      ports: plan.portRanges,
      deadlineS: Math.max(1, plan.deadlineS),
      waitS: 10,
      connectTimeoutMs: 3_000,
    },
    group: plan.group,
    home: plan.home,
    cause: "manual",
    members: plan.members.map((member) => ({ ...member, engines: ["masscan", "connect"] })),
    regions: [plan.home],
    masscanFamily: "1.3",
    frontier: {},
    seed: "1",
    nowMs,
  });
}

/** What a plan amounts to now, or why no job could be planned. */
export type PlanOutlook = { readonly size: PlanSize; readonly problem: null } | { readonly size: null; readonly problem: string };

const outlooks = new WeakMap<Plan, { readonly key: string; readonly outlook: PlanOutlook }>();

/** `checkPlan` for lists: a refusal is a value, and it is worked out once for each state and set of valid exclusions. */
export function planOutlook(state: RegistryState, plan: Plan, nowMs: number): PlanOutlook {
  const key = `${state.version} ${currentExclusions(state, nowMs).length}`;
  const known = outlooks.get(plan);
  if (known?.key === key) return known.outlook;
  const outlook = lookOut(state, plan, nowMs);
  outlooks.set(plan, { key, outlook });
  return outlook;
}

function lookOut(state: RegistryState, plan: Plan, nowMs: number): PlanOutlook {
  try {
    return { size: checkPlan(resolvePlan(state, plan, nowMs), nowMs), problem: null };
  } catch (error) {
    if (error instanceof PortolanError) return { size: null, problem: error.message };
    throw error;
  }
}

/** All pairs of a job. */
function pairsOf(spec: JobSpec): bigint {
  const pairs = (block: Block): bigint => countAddresses(block.ranges.map(parseRange)) * BigInt(countPorts(parsePorts(block.ports)));
  return spec.blocks.reduce((sum, block) => sum + pairs(block), 0n);
}
