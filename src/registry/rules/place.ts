import { formatAddress } from "../../core/address.ts";
import { PortolanError } from "../../core/errors.ts";
import { addPaces, fastest, NETWORK_RATE_MAX_PPS, pacesOf, type Pace } from "../../core/pace.ts";
import { intersectPorts } from "../../core/port.ts";
import { formatRange, intersectRanges, type AddressRange } from "../../core/range.ts";
import { specialIn } from "../../core/special.ts";
import type { Plan, RegistryState } from "../types.ts";
import { nameList } from "./change.ts";
import { sampleJob } from "./outlook.ts";
import { allRangeGroups, rangesOfGroup, resolvePlan } from "./resolve.ts";

/** The network that gets most, with all enabled plans that scan it. */
export type Crowd = {
  readonly network: AddressRange;
  readonly pps: number;
  readonly plans: readonly { readonly name: string; readonly pps: number }[];
};

/** Throws unless the plan may be saved beside the others: no special-purpose block without leave, no network above the limit. */
export function checkPlace(state: RegistryState, plan: Plan, nowMs: number): void {
  const problem = placeProblem(state, plan, nowMs);
  if (problem !== null) throw new PortolanError("invalid", problem);
}

/** Why the plan must not be saved; null when it may. Throws when no job of it could be planned. */
export function placeProblem(state: RegistryState, plan: Plan, nowMs: number): string | null {
  const special = specialWithoutLeave(state, plan);
  if (special !== null) return special;
  const crowd = plan.enabled ? crowdOf(state, plan, nowMs) : null;
  if (crowd === null || crowd.pps <= NETWORK_RATE_MAX_PPS) return null;
  const others = crowd.plans.filter(({ name }) => name !== plan.name);
  const together = others.length === 0 ? "" : ` together with plan ${nameList(others)}`;
  return (
    `plan "${plan.name}"${together} would send ${Math.round(crowd.pps)} packets per second to ${formatRange(crowd.network)} ` +
    `(at most ${NETWORK_RATE_MAX_PPS} for one network); lower the rate, or let fewer scanners share the plan`
  );
}

/** Included groups that hold special-purpose addresses and do not say that they may be scanned. What is excluded does not matter. */
function specialWithoutLeave(state: RegistryState, plan: Plan): string | null {
  for (const group of allRangeGroups(state)) {
    // Scanners are where they are.
    if (!plan.include.includes(group.name) || group.builtIn || group.allowSpecialPurpose === true) continue;
    const hit = specialIn(rangesOfGroup(group)).find(({ block }) => block.needsLeave);
    const [first] = hit?.ranges ?? [];
    if (hit === undefined || first === undefined) continue;
    return (
      `range group "${group.name}" of plan "${plan.name}" holds ${formatRange(first)} (${hit.block.what}); ` +
      `make the group anew with allowSpecialPurpose ("portolan range add --allow-special-purpose") if that is meant, or take the range out`
    );
  }
  return null;
}

const paces = new WeakMap<Plan, { readonly state: RegistryState; readonly paces: readonly Pace[] }>();

/** Those of another plan; none when no job of it could be planned anyway. */
function pacesOfOther(state: RegistryState, plan: Plan, nowMs: number): readonly Pace[] {
  const known = paces.get(plan);
  if (known?.state === state) return known.paces;
  let found: readonly Pace[] = [];
  try {
    found = pacesOf(sampleJob(resolvePlan(state, plan, nowMs), nowMs));
  } catch (error) {
    if (!(error instanceof PortolanError)) throw error;
  }
  paces.set(plan, { state, paces: found });
  return found;
}

/** Adds up what all enabled plans send to the networks of this one; null when it scans special-purpose blocks only. Throws when it cannot be planned. */
export function crowdOf(state: RegistryState, plan: Plan, nowMs: number): Crowd | null {
  const own = pacesOf(sampleJob(resolvePlan(state, plan, nowMs), nowMs));
  if (own.length === 0) return null;
  const others = state.plans
    .filter((other) => other.enabled && other.name !== plan.name)
    .map((other) => ({ name: other.name, paces: pacesOfOther(state, other, nowMs) }));
  const all = [{ name: plan.name, paces: own }, ...others];
  const most = fastest(addPaces(all.map((one) => one.paces)), own);
  if (most === null) return null;
  const plans = all.flatMap(({ name, paces: theirs }) => {
    const here = theirs.find(({ first, last }) => first <= most.first && most.first <= last);
    return here === undefined ? [] : [{ name, pps: here.pps }];
  });
  return { network: { first: most.first, last: most.last }, pps: most.pps, plans };
}

/** Enabled plans that scan some of the same pairs under another closing policy: the weakest decides there. */
export function plansOfOtherPolicy(
  state: RegistryState,
  plan: Plan,
  nowMs: number,
): { readonly name: string; readonly first: string; readonly policy: string }[] {
  const own = resolvePlan(state, plan, nowMs);
  return state.plans.flatMap((other) => {
    if (other.name === plan.name || !other.enabled) return [];
    if (other.closeAfter === plan.closeAfter && other.confirm === plan.confirm) return [];
    const theirs = resolvePlan(state, other, nowMs);
    const [common] = intersectRanges(own.includeRanges, theirs.includeRanges);
    if (common === undefined || intersectPorts(own.portRanges, theirs.portRanges).length === 0) return [];
    return [{ name: other.name, first: formatAddress(common.first), policy: policyText(other) }];
  });
}

/** In words. */
export function policyText({ closeAfter, confirm }: Pick<Plan, "closeAfter" | "confirm">): string {
  return `closes after ${closeAfter} ${closeAfter === 1 ? "miss" : "misses"} ${confirm ? "and a confirm" : "without a confirm"}`;
}
