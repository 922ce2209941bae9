import { asExclusions, deniedText, type DeniedPairs } from "../../core/denied.ts";
import { PortolanError } from "../../core/errors.ts";
import { footprintOf } from "../../core/footprint.ts";
import type { JobSpec } from "../../core/messages/job.ts";
import { NETWORK_RATE_MAX_PPS } from "../../core/pace.ts";
import { countPorts, intersectPorts, parsePorts, type PortRange } from "../../core/port.ts";
import { countAddresses, formatRange, intersectRanges, parseRange, subtractRanges, type AddressRange } from "../../core/range.ts";
import { specialIn } from "../../core/special.ts";
import { countPairs, targetSet } from "../../core/target.ts";
import { tilingOf } from "../../core/tile.ts";
import type { Plan, RegistryState, SnapshotPlan } from "../types.ts";
import { sampleJob } from "./outlook.ts";
import { crowdOf, placeProblem, plansOfOtherPolicy, policyText } from "./place.ts";
import { allRangeGroups, currentExclusions, rangesOfGroup, resolvePlan } from "./resolve.ts";

/** What one exclusion takes out of a plan, by itself: what two of them take out both count. */
export type Cut = {
  readonly kind: "exclusion" | "range-group" | "deny";
  /** Id of an exclusion, name of a range group, text of a deny. */
  readonly key: string;
  readonly reason: string;
  readonly ports: string | null;
  readonly addresses: bigint;
  readonly pairs: bigint;
};

export type ScannerShare = {
  readonly scanner: string;
  readonly region: string;
  readonly shards: number;
  readonly pairs: bigint;
  readonly probes: bigint;
  /** Probing at the plan's rate, and masscan's fixed seconds for each shard. */
  readonly expectedS: number;
};

export type PlanWarning = {
  readonly code:
    | "no-canaries"
    | "weak-policy"
    | "policies-differ"
    | "special-purpose"
    | "documentation"
    | "slower-than-interval"
    | "denied";
  readonly detail: string;
};

/** What saving and running a plan would mean. Sizes are null when no job could be planned. */
export type PlanPreview = {
  readonly problems: readonly string[];
  readonly warnings: readonly PlanWarning[];
  readonly addresses: bigint;
  readonly pairs: bigint;
  readonly probes: bigint;
  readonly job: {
    readonly tiles: number;
    readonly shards: number;
    readonly networks: bigint;
    readonly perHostMax: number;
    readonly expectedS: number;
    readonly engines: readonly string[];
    readonly scanners: readonly ScannerShare[];
  } | null;
  /** Null: special-purpose blocks only, which have no limit. */
  readonly fastestNetwork: {
    readonly network: string;
    readonly pps: number;
    readonly limitPps: number;
    readonly plans: readonly { readonly name: string; readonly pps: number }[];
  } | null;
  readonly cuts: readonly Cut[];
  /** What no scanner of the group may probe, at most 20 ranges. */
  readonly unprobeable: { readonly ranges: readonly string[]; readonly addresses: bigint };
};

/** masscan waits for late answers, and takes about three seconds to begin and to end. */
const FIXED_S = 13;
const RANGES_SHOWN_MAX = 20;

/** Looks at a plan as it would be in this state; `denied`: what nobody may probe now. Nothing is written. */
export function previewPlan(
  state: RegistryState,
  plan: Plan,
  { nowMs, denied }: { readonly nowMs: number; readonly denied: readonly DeniedPairs[] },
): PlanPreview {
  const resolved = withDenied(resolvePlan(state, plan, nowMs), denied);
  const targets = targetSet({
    include: resolved.includeRanges,
    exclude: resolved.excludeRanges,
    ports: resolved.portRanges,
    pairExclusions: resolved.pairExclusions,
  });
  const pairs = countPairs(targets);
  const problems: string[] = [];
  const attempt = <T>(act: () => T): T | null => {
    try {
      return act();
    } catch (error) {
      if (!(error instanceof PortolanError)) throw error;
      problems.push(error.message);
      return null;
    }
  };
  const spec = attempt(() => sampleJob(resolved, nowMs));
  const place = spec === null ? null : attempt(() => placeProblem(state, plan, nowMs));
  if (place !== null) problems.push(place);
  const crowd = spec === null ? null : attempt(() => crowdOf(state, plan, nowMs));
  const job = spec === null ? null : jobOf(spec);
  if (job !== null && plan.deadlineS > 0 && plan.deadlineS < job.expectedS) {
    problems.push(
      `a job of plan "${plan.name}" takes about ${job.expectedS} s, longer than its deadline of ${plan.deadlineS} s; raise the deadline or the rate`,
    );
  }
  return {
    problems,
    warnings: warningsOf(state, plan, { nowMs, resolved, denied, job }),
    addresses: targets.reduce((sum, { ranges }) => sum + countAddresses(ranges), 0n),
    pairs,
    probes: pairs * BigInt(1 + plan.retries),
    job,
    fastestNetwork:
      crowd === null
        ? null
        : {
            network: formatRange(crowd.network),
            pps: rounded(crowd.pps),
            limitPps: NETWORK_RATE_MAX_PPS,
            plans: crowd.plans.map(({ name, pps }) => ({ name, pps: rounded(pps) })),
          },
    cuts: cutsOf(state, plan, { nowMs, resolved, denied }),
    unprobeable: unprobeableOf(resolved),
  };
}

function rounded(pps: number): number {
  return Math.round(pps * 1_000) / 1_000;
}

/** As the keeper plans it: what is denied counts as excluded, and such canaries are not asked. */
function withDenied(plan: SnapshotPlan, denied: readonly DeniedPairs[]): SnapshotPlan {
  const { exclude, pairExclusions } = asExclusions(denied);
  return {
    ...plan,
    excludeRanges: [...plan.excludeRanges, ...exclude],
    pairExclusions: [...plan.pairExclusions, ...pairExclusions.map(({ ranges, ports }) => ({ ranges: [...ranges], ports: [...ports] }))],
  };
}

function jobOf(spec: JobSpec): NonNullable<PlanPreview["job"]> {
  const tiling = tilingOf(spec);
  const own = new Map(spec.members.map(({ scanner }) => [scanner, { shards: 0, pairs: 0n, fixedS: 0 }]));
  let shards = 0;
  for (const block of spec.blocks) {
    // Tiles of a block are alike.
    const { count, pairs } = tilingOf({ blocks: [block], tiling: spec.tiling });
    shards += count * block.members.length;
    for (const [place, name] of block.members.entries()) {
      const share = own.get(name);
      if (share === undefined) continue;
      share.shards += count;
      share.pairs += pairs / BigInt(block.members.length) + (BigInt(place) < pairs % BigInt(block.members.length) ? 1n : 0n);
      if (block.engine === "masscan") share.fixedS += count * FIXED_S;
    }
  }
  const scanners = spec.members.map(({ scanner, region }): ScannerShare => {
    const { shards: count = 0, pairs = 0n, fixedS = 0 } = own.get(scanner) ?? {};
    const probes = pairs * BigInt(1 + spec.retries);
    return { scanner, region, shards: count, pairs, probes, expectedS: Math.ceil(Number(probes) / spec.rateLimitPps + fixedS) };
  });
  const { networks, perHostMax } = footprintOf(spec);
  const engines = [...new Set(spec.blocks.map(({ engine }) => engine))].toSorted();
  return {
    tiles: tiling.count,
    shards,
    networks,
    perHostMax,
    expectedS: Math.max(...scanners.map((one) => one.expectedS)),
    engines,
    scanners,
  };
}

type Looked = { readonly nowMs: number; readonly resolved: SnapshotPlan; readonly denied: readonly DeniedPairs[] };

function cutsOf(state: RegistryState, plan: Plan, { nowMs, resolved, denied }: Looked): Cut[] {
  const cut = (
    what: Pick<Cut, "kind" | "key" | "reason" | "ports">,
    ranges: readonly AddressRange[],
    ports: readonly PortRange[] | null,
  ): Cut[] => {
    const addresses = countAddresses(intersectRanges(resolved.includeRanges, ranges));
    const common = ports === null ? resolved.portRanges : intersectPorts(resolved.portRanges, ports);
    const pairs = addresses * BigInt(countPorts(common));
    return pairs === 0n ? [] : [{ ...what, addresses, pairs }];
  };
  const groups = allRangeGroups(state).filter(({ name }) => plan.exclude.includes(name));
  return [
    ...groups.flatMap((group) => cut({ kind: "range-group", key: group.name, reason: "", ports: null }, rangesOfGroup(group), null)),
    ...currentExclusions(state, nowMs).flatMap(({ id, ranges, ports, reason }) =>
      cut({ kind: "exclusion", key: id, reason, ports }, ranges.map(parseRange), ports === null ? null : parsePorts(ports)),
    ),
    ...denied.flatMap((pairs, n) => {
      const text = deniedText(denied)[n];
      const first = text?.ranges[0] ?? "";
      const key = pairs.ranges.length > 1 ? `${first} and ${pairs.ranges.length - 1} more` : first;
      return cut({ kind: "deny", key, reason: "denied", ports: text?.ports ?? null }, pairs.ranges, pairs.ports);
    }),
  ];
}

function unprobeableOf({ includeRanges, excludeRanges, members }: SnapshotPlan): PlanPreview["unprobeable"] {
  let rest: readonly AddressRange[] = subtractRanges(includeRanges, excludeRanges);
  for (const { mayProbe, mayNotProbe } of members) {
    const reach = mayProbe === undefined ? rest : intersectRanges(rest, mayProbe);
    rest = subtractRanges(rest, mayNotProbe === undefined ? reach : subtractRanges(reach, mayNotProbe));
  }
  return { ranges: rest.slice(0, RANGES_SHOWN_MAX).map(formatRange), addresses: countAddresses(rest) };
}

function warningsOf(state: RegistryState, plan: Plan, { nowMs, resolved, denied, job }: Looked & Pick<PlanPreview, "job">): PlanWarning[] {
  const warnings: PlanWarning[] = [];
  const warn = (code: PlanWarning["code"], detail: string): void => void warnings.push({ code, detail });
  if (plan.canaries.length === 0) {
    warn("no-canaries", "no canaries: a scanner that is cut off looks like a quiet network; name some ports that are known to be open");
  }
  if (plan.closeAfter === 1 && !plan.confirm) warn("weak-policy", `${policyText(plan)}: one lost packet is enough to close a port`);
  for (const other of plansOfOtherPolicy(state, plan, nowMs)) {
    warn(
      "policies-differ",
      `this plan ${policyText(plan)}; plan "${other.name}", which scans some of the same (${other.first} …), ${other.policy}: the weakest decides`,
    );
  }
  for (const { block, ranges } of specialIn(subtractRanges(resolved.includeRanges, resolved.excludeRanges))) {
    const [first] = ranges;
    const what = `${first === undefined ? "" : formatRange(first)} is a special-purpose block (${block.what})`;
    if (block.needsLeave) warn("special-purpose", `${what}; no limit of packets per network holds there`);
    else warn("documentation", `${what}: it is nobody's network`);
  }
  if (job !== null && plan.intervalS !== null && job.expectedS > plan.intervalS) {
    warn(
      "slower-than-interval",
      `a job takes about ${job.expectedS} s, longer than the plan's interval of ${plan.intervalS} s: jobs will start late`,
    );
  }
  const hit = denied.some(({ ranges }) => intersectRanges(resolved.includeRanges, ranges).length > 0);
  if (hit) warn("denied", 'some of its addresses are denied at the moment ("portolan deny ls")');
  return warnings;
}
