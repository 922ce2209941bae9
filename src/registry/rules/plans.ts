import type { InStatement } from "@libsql/client/web";
import { formatAddress, parseAddress } from "../../core/address.ts";
import { PortolanError } from "../../core/errors.ts";
import type { Canary } from "../../core/messages/job.ts";
import { formatPorts, parsePorts } from "../../core/port.ts";
import { ALL_SCANNERS, type Plan, type PlanEngine, type RegistryState } from "../types.ts";
import { type Change, LIMITS, checkLimit, checkName, checkTextSize, notFound, plansWithRangeGroup, unchanged } from "./change.ts";
import { type PlanSize, checkPlan } from "./outlook.ts";
import { addRangeGroup, deleteGroupStatements } from "./ranges.ts";
import { resolvePlan } from "./resolve.ts";

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
  readonly deadlineS: number | null;
  readonly closeAfter: number | null;
  readonly confirm: boolean | null;
  readonly home: string | null;
  readonly pairsMax: number | null;
  readonly canaries: readonly Canary[];
  readonly enabled: boolean | null;
};

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
  checkLimit("plans", state.plans.length + 1, LIMITS.plans);
  checkTextSize("plans", [...state.plans, plan]);
  return { value: plan, statements: [...own.statements, insertPlan(plan)] };
}

/** Deletes a plan and, when nobody else uses it, its own range group. */
export function deletePlan(state: RegistryState, name: string): Change<null> {
  const plan = state.plans.find((candidate) => candidate.name === name);
  if (plan === undefined) throw notFound("plan", name, "portolan plan ls");
  const own = plan.ownGroup;
  const isShared = own !== null && plansWithRangeGroup(state, own).some((user) => user.name !== name);
  const group = own === null || isShared ? [] : deleteGroupStatements(own);
  return { value: null, statements: [{ sql: "delete from plan where name = ?", args: [name] }, ...group] };
}

function deadline(input: PlanInput, size: PlanSize): number {
  if (size.expectedS > DEADLINE_MAX_S) {
    throw new PortolanError(
      "invalid",
      `plan "${input.name}" has ${size.pairs} address and port pairs: more than a year at this rate; scan fewer, raise the rate or add scanners`,
    );
  }
  if (input.deadlineS === null) return Math.min(DEADLINE_MAX_S, Math.max(DAY_S, input.intervalS ?? 0, 3 * size.expectedS));
  if (input.deadlineS < size.expectedS) {
    throw new PortolanError(
      "invalid",
      `a job of plan "${input.name}" takes at least ${size.expectedS} s (${size.pairs} pairs), longer than its deadline of ${input.deadlineS} s; raise the deadline or the rate`,
    );
  }
  return input.deadlineS;
}

function draftPlan(state: RegistryState, input: PlanInput, fresh: { id: string; nowMs: number }): Plan {
  if (input.confirm === true) {
    throw new PortolanError(
      "invalid",
      `plan "${input.name}" asks for confirm probes, which this version does not send; leave "confirm" out`,
    );
  }
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
    intervalS: input.intervalS,
    deadlineS: 0,
    closeAfter: input.closeAfter ?? 2,
    confirm: input.confirm ?? false,
    home: homeRegion(state, input),
    pairsMax: input.pairsMax,
    canaries: input.canaries.map((canary) => ({ address: formatAddress(parseAddress(canary.address)), port: canary.port })),
    ownGroup: ownName,
    createdAtMs: fresh.nowMs,
  };
}

function homeRegion(state: RegistryState, input: PlanInput): string {
  if (input.home !== null) {
    if (!state.regions.some((region) => region.name === input.home)) throw notFound("region", input.home, "portolan region ls");
    return input.home;
  }
  const first = state.regions.toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.name < b.name ? -1 : 1))[0];
  if (first === undefined)
    throw new PortolanError(
      "conflict",
      `there is no region yet that could plan the jobs of "${input.name}"; run "npm start" or add a region first`,
    );
  return first.name;
}

function ownGroup(state: RegistryState, input: PlanInput, nowMs: number): { state: RegistryState; statements: readonly InStatement[] } {
  if (input.ranges.length === 0) return { state, statements: [] };
  if (state.rangeGroups.some((group) => group.name === input.name)) {
    throw new PortolanError(
      "conflict",
      `range group "${input.name}" already exists; include that group instead of giving ranges, or choose another name for the plan`,
    );
  }
  const change = addRangeGroup(state, { name: input.name, ranges: input.ranges, nowMs });
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

function insertPlan(plan: Plan): InStatement {
  const sql = `insert into plan(name, id, revision, enabled, include_groups, exclude_groups, ports, rate_limit_pps, retries, group_name, engine,
    interval_s, deadline_s, close_after, confirm, home, pairs_max, canaries, own_group, created_at_ms)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
  const args = [plan.name, plan.id, plan.revision, plan.enabled ? 1 : 0, JSON.stringify(plan.include), JSON.stringify(plan.exclude)];
  const rest = [plan.ports, plan.rateLimitPps, plan.retries, plan.group, plan.engine, plan.intervalS, plan.deadlineS, plan.closeAfter];
  const last = [plan.confirm ? 1 : 0, plan.home, plan.pairsMax, JSON.stringify(plan.canaries), plan.ownGroup, plan.createdAtMs];
  return { sql, args: [...args, ...rest, ...last] };
}
