import { eq } from "drizzle-orm";
import { formatAddress, parseAddress } from "../../core/address.ts";
import { longestPauseS } from "../cron.ts";
import { PortolanError } from "../../core/errors.ts";
import type { Canary } from "../../core/messages/job.ts";
import { formatPorts, parsePorts } from "../../core/port.ts";
import { type Query, build } from "../query.ts";
import { plan as table } from "../schema.ts";
import { ALL_SCANNERS, type Plan, type PlanEngine, type RegistryState } from "../types.ts";
import { type Change, LIMITS, checkLimit, checkName, checkTextSize, notFound, plansWithRangeGroup, unchanged } from "./change.ts";
import { type PlanSize, checkPlan } from "./outlook.ts";
import { homeRegions, movedHome, takeover } from "./homes.ts";
import { checkPlace } from "./place.ts";
import { addRangeGroup, deleteGroupStatements } from "./ranges.ts";
import { resolvePlan } from "./resolve.ts";
import { movedRhythm, rhythmOf } from "./rhythm.ts";

/** A plan as a person asks for it; null means the default. `ranges` makes a range group of its own, named after the plan. */
export type PlanInput = {
  readonly name: string;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly ranges: readonly string[];
  readonly ports: string;
  readonly rateLimitPps: number | null;
  readonly retries: number | null;
  readonly group: string | null;
  readonly engine: PlanEngine | null;
  readonly intervalS: number | null;
  /** Cron pattern of five fields instead of an interval. */
  readonly cron?: string | null;
  /** IANA name in which the pattern is read; default UTC. */
  readonly timeZone?: string | null;
  readonly deadlineS: number | null;
  readonly closeAfter: number | null;
  readonly confirm: boolean | null;
  /** The region that plans; default: the first active one. */
  readonly home: string | null;
  /** All regions that may plan, in order; null: `home` alone. Its first is the home. */
  readonly homes?: readonly string[] | null;
  readonly takeoverAfterS?: number | null;
  readonly pairsMax: number | null;
  readonly canaries: readonly Canary[];
  readonly enabled: boolean | null;
};

/** What a person changes of a plan; what is left out stays. A plan keeps its name, and its own ranges are changed in its range group. */
export type PlanChanges = Partial<Omit<PlanInput, "name" | "ranges">>;

const DEFAULT_RATE_PPS = 1_000;
const DAY_S = 86_400;
const DEADLINE_MAX_S = 365 * DAY_S;

/** Creates a plan, with its own range group when `ranges` are given. Repeating it with the same content changes nothing. */
export function addPlan(state: RegistryState, input: PlanInput, fresh: { id: string; nowMs: number }): Change<Plan> {
  checkName("plan", input.name);
  const existing = state.plans.find((plan) => plan.name === input.name);
  const own = ownGroup(existing === undefined ? state : withoutOwnGroup(state, existing), input, fresh.nowMs);
  const draft = draftPlan(own.state, input, fresh);
  const resolved = resolvePlan(own.state, draft, fresh.nowMs);
  const size = checkPlan(resolved, fresh.nowMs);
  const plan: Plan = { ...draft, deadlineS: deadline(input, size) };
  if (existing !== undefined) return repeat(state, existing, { plan, state: own.state });
  checkPlace(own.state, plan, fresh.nowMs);
  checkLimit("plans", state.plans.length + 1, LIMITS.plans);
  checkTextSize("plans", [...state.plans, plan]);
  return { value: plan, statements: [...own.statements, build.insert(table).values(plan)] };
}

/** The plan that `addPlan` would make of this input, and the state with its own range group, before anything is checked. Throws for what is no plan at all. */
export function draftOf(
  state: RegistryState,
  input: PlanInput,
  fresh: { id: string; nowMs: number },
): { plan: Plan; state: RegistryState } {
  checkName("plan", input.name);
  const existing = state.plans.find((plan) => plan.name === input.name);
  const own = ownGroup(existing === undefined ? state : withoutOwnGroup(state, existing), input, fresh.nowMs);
  return { plan: { ...draftPlan(own.state, input, fresh), deadlineS: input.deadlineS ?? 0 }, state: own.state };
}

/**
 * Changes some settings; each edit that changes anything counts up the revision. A plan that cannot be planned can still be disabled, and
 * its closing rules changed. Jobs that run keep the settings they began with. Throws `not-found` and what `addPlan` throws.
 */
export function changePlan(state: RegistryState, input: { name: string; changes: PlanChanges; nowMs: number }): Change<Plan> {
  const existing = state.plans.find((plan) => plan.name === input.name);
  if (existing === undefined) throw notFound("plan", input.name, "portolan plan ls");
  const wish: PlanInput = {
    ...existing,
    ranges: [],
    ...input.changes,
    ...movedHome(existing, input.changes),
    ...movedRhythm(existing, input.changes),
  };
  const fresh = { id: existing.id, nowMs: existing.createdAtMs };
  const settings = draftPlan(state, wish, fresh);
  // A range group that the plan no longer scans is no longer its own: deleting the plan must not take it along.
  const ownGroup = settings.include.find((group) => group === existing.ownGroup) ?? null;
  const draft: Plan = { ...settings, deadlineS: existing.deadlineS, ownGroup };
  const isSame = sameProbes(existing, draft) && wish.deadlineS === existing.deadlineS;
  const needsCheck = !isSame || (draft.enabled && !existing.enabled);
  const size = needsCheck ? checkPlan(resolvePlan(state, draft, input.nowMs), input.nowMs) : null;
  const plan: Plan = { ...draft, deadlineS: size === null ? existing.deadlineS : deadline(wish, size), revision: existing.revision };
  if (JSON.stringify(plan) === JSON.stringify(existing)) return unchanged(existing);
  if (needsCheck) checkPlace(state, plan, input.nowMs);
  const value: Plan = { ...plan, revision: existing.revision + 1 };
  checkTextSize(
    "plans",
    state.plans.map((candidate) => (candidate === existing ? value : candidate)),
  );
  return { value, statements: [build.update(table).set(value).where(eq(table.name, value.name))] };
}

/** Deletes a plan and, when nobody else uses it, its own range group. */
export function deletePlan(state: RegistryState, name: string): Change<null> {
  const plan = state.plans.find((candidate) => candidate.name === name);
  if (plan === undefined) throw notFound("plan", name, "portolan plan ls");
  const own = plan.ownGroup;
  const isShared = own !== null && plansWithRangeGroup(state, own).some((user) => user.name !== name);
  const group = own === null || isShared ? [] : deleteGroupStatements(own);
  return { value: null, statements: [build.delete(table).where(eq(table.name, name)), ...group] };
}

/** Whether two versions of a plan probe the same: they may differ in being enabled and in how their misses count. */
function sameProbes(a: Plan, b: Plan): boolean {
  const essence = (plan: Plan): string => JSON.stringify({ ...plan, enabled: true, closeAfter: 0, confirm: true, revision: 0 });
  return essence(a) === essence(b);
}

function deadline(input: PlanInput, size: PlanSize): number {
  if (size.expectedS > DEADLINE_MAX_S) {
    throw new PortolanError(
      "invalid",
      `plan "${input.name}" has ${size.pairs} address and port pairs: more than a year at this rate; scan fewer, raise the rate or add scanners`,
    );
  }
  if (input.deadlineS === null) return Math.min(DEADLINE_MAX_S, Math.max(DAY_S, longestPauseS(rhythmOf(input)) ?? 0, 3 * size.expectedS));
  if (input.deadlineS < size.expectedS) {
    throw new PortolanError(
      "invalid",
      `a job of plan "${input.name}" takes at least ${size.expectedS} s (${size.pairs} pairs), longer than its deadline of ${input.deadlineS} s; raise the deadline or the rate`,
    );
  }
  return input.deadlineS;
}

function draftPlan(state: RegistryState, input: PlanInput, fresh: { id: string; nowMs: number }): Plan {
  const closeAfter = input.closeAfter ?? 2;
  if (!Number.isInteger(closeAfter) || closeAfter < 1 || closeAfter > 10)
    throw new PortolanError("invalid", `plan "${input.name}" has closeAfter ${closeAfter}; use a whole number from 1 to 10`);
  const ownName = input.ranges.length > 0 ? input.name : null;
  const include = [...new Set(ownName === null ? input.include : [...input.include, ownName])];
  const exclude = [...new Set(input.exclude)];
  if (include.length === 0)
    throw new PortolanError("invalid", `plan "${input.name}" has no range to scan; give ranges, or include a range group`);
  if (include.length + exclude.length > LIMITS.groupsPerPlan) {
    throw new PortolanError(
      "invalid",
      `plan "${input.name}" names over ${LIMITS.groupsPerPlan} range groups; put their ranges into fewer groups`,
    );
  }
  return {
    id: fresh.id,
    name: input.name,
    revision: 0,
    enabled: input.enabled ?? true,
    include,
    exclude,
    ports: formatPorts(parsePorts(input.ports)),
    rateLimitPps: input.rateLimitPps ?? DEFAULT_RATE_PPS,
    retries: input.retries ?? 0,
    group: input.group ?? ALL_SCANNERS,
    engine: input.engine ?? "auto",
    ...rhythmOf(input),
    deadlineS: 0,
    closeAfter,
    confirm: input.confirm ?? true,
    ...homeRegions(state, input),
    takeoverAfterS: takeover(input),
    pairsMax: input.pairsMax,
    canaries: input.canaries.map((canary) => ({ address: formatAddress(parseAddress(canary.address)), port: canary.port })),
    ownGroup: ownName,
    createdAtMs: fresh.nowMs,
  };
}

function ownGroup(state: RegistryState, input: PlanInput, nowMs: number): { state: RegistryState; statements: readonly Query[] } {
  if (input.ranges.length === 0) return { state, statements: [] };
  if (state.rangeGroups.some((group) => group.name === input.name)) {
    throw new PortolanError(
      "conflict",
      `range group "${input.name}" already exists; include that group instead of giving ranges, or choose another name for the plan`,
    );
  }
  // What a person writes into the plan itself is meant, private networks too.
  const change = addRangeGroup(state, { name: input.name, ranges: input.ranges, allowSpecialPurpose: true, nowMs });
  return { state: { ...state, rangeGroups: [...state.rangeGroups, change.value] }, statements: change.statements };
}

function withoutOwnGroup(state: RegistryState, plan: Plan): RegistryState {
  return { ...state, rangeGroups: state.rangeGroups.filter((group) => group.name !== plan.ownGroup) };
}

/** A repeated request: the same plan, or a conflict. */
function repeat(state: RegistryState, existing: Plan, wanted: { plan: Plan; state: RegistryState }): Change<Plan> {
  const essence = (from: RegistryState, plan: Plan): string =>
    JSON.stringify({
      ...plan,
      id: "",
      revision: 0,
      createdAtMs: 0,
      deadlineS: 0,
      own: from.rangeGroups.find((group) => group.name === plan.ownGroup)?.ranges.map((entry) => entry.canonical),
    });
  if (essence(state, existing) === essence(wanted.state, wanted.plan)) return unchanged(existing);
  throw new PortolanError("conflict", `plan "${existing.name}" already exists with other settings; delete it first or choose another name`);
}
