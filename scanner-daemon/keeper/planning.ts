import { parseAddress } from "../../src/core/address.ts";
import { asExclusions, type DeniedPairs, isDenied } from "../../src/core/denied.ts";
import { PortolanError } from "../../src/core/errors.ts";
import type { Engine, Frontier } from "../../src/core/messages/common.ts";
import type { JobSpec } from "../../src/core/messages/job.ts";
import { TESTED_FAMILIES, versionFamily } from "../../src/core/masscan/echo.ts";
import { planJob, type PlanMember } from "../../src/core/plan.ts";
import type { ScannerLive } from "../../src/ledger/types.ts";
import type { RegistrySnapshot, SnapshotPlan } from "../../src/registry/types.ts";
import type { KeeperSettings } from "./deps.ts";

/** What a scanner can run: from its heartbeat or, in another region, from what its own keeper says of it. */
export type Ability = { readonly engines: readonly Engine[] } & Pick<ScannerLive, "masscanVersion">;

/** What planning one job takes; nothing is looked up. */
export type PlanningInput = {
  readonly plan: SnapshotPlan;
  readonly snapshot: RegistrySnapshot;
  readonly cause: JobSpec["cause"];
  /** The region that plans: the first home, or one that takes over. */
  readonly region: string;
  /** What scanners said about themselves, by name. */
  readonly live: ReadonlyMap<string, Ability>;
  readonly frontier: Frontier;
  readonly seed: string;
  /** What nobody may probe, whatever the registry says. */
  readonly denied?: readonly DeniedPairs[];
  readonly nowMs: number;
  readonly settings: KeeperSettings;
};

/** The job spec that a plan of the registry makes now. Throws `PortolanError` with the remedy for what cannot be scanned. */
export function planFromRegistry(input: PlanningInput): JobSpec {
  const { plan, snapshot, live, settings } = input;
  const denied = asExclusions(input.denied ?? []);
  const members = plan.members.map(({ name, region, publicKey, pinned, mayProbe, mayNotProbe }): PlanMember => ({
    name,
    region,
    publicKey,
    pinned,
    engines: enginesOf(live.get(name)),
    ...(mayProbe === undefined ? {} : { mayProbe }),
    ...(mayNotProbe === undefined ? {} : { mayNotProbe }),
  }));
  return planJob({
    plan: {
      id: plan.id,
      name: plan.name,
      revision: plan.revision,
      include: plan.includeRanges,
      exclude: [...plan.excludeRanges, ...denied.exclude],
      pairExclusions: [...plan.pairExclusions, ...denied.pairExclusions],
      ports: plan.portRanges,
      rateLimitPps: plan.rateLimitPps,
      retries: plan.retries,
      engine: plan.engine,
      closeAfter: plan.closeAfter,
      confirm: plan.confirm,
      deadlineS: plan.deadlineS,
      pairsMax: plan.pairsMax,
      canaries: askableCanaries(plan, input.denied ?? []),
      waitS: settings.waitS,
      connectTimeoutMs: settings.connectTimeoutMs,
    },
    group: plan.group,
    home: input.region,
    cause: input.cause,
    members,
    regions: [...new Set(snapshot.scanners.filter((scanner) => scanner.enabled).map((scanner) => scanner.region))],
    masscanFamily: familyOf(plan, live),
    frontier: input.frontier,
    seed: input.seed,
    nowMs: input.nowMs,
  });
}

/** Without those that are denied: an emergency must not end a plan. With none left nobody could tell who is blind. */
function askableCanaries(plan: SnapshotPlan, denied: readonly DeniedPairs[]): SnapshotPlan["canaries"] {
  const left = plan.canaries.filter(({ address, port }) => !isDenied(denied, { address: parseAddress(address), protocol: "tcp", port }));
  if (left.length > 0 || plan.canaries.length === 0) return left;
  throw new PortolanError("conflict", `every canary of plan "${plan.name}" is denied; give it another one, or lift the deny`);
}

/** A scanner that was never heard of is taken to have both engines: were it not so, its shards would say why they failed. */
function enginesOf(live: Ability | undefined): readonly Engine[] {
  return live?.engines ?? ["masscan", "connect"];
}

/** masscan's mapping differs between families, so the scanners of one job need the same one. */
function familyOf(plan: SnapshotPlan, live: ReadonlyMap<string, Ability>): string {
  const families = new Map<string, string>();
  for (const { name } of plan.members) {
    const version = live.get(name)?.masscanVersion;
    if (version !== null && version !== undefined) families.set(versionFamily(version), name);
  }
  const [first, second] = families;
  if (first !== undefined && second !== undefined && plan.engine !== "connect") {
    throw new PortolanError(
      "conflict",
      `scanners ${first[1]} (masscan ${first[0]}) and ${second[1]} (masscan ${second[0]}) cannot share the shards of plan "${plan.name}"; install the same masscan on both`,
    );
  }
  return first?.[0] ?? TESTED_FAMILIES[0] ?? "1.3";
}

/** Decimal seed from 1 to 2^64 − 1 out of eight random bytes. */
export function seedOf(bytes: Uint8Array): string {
  let value = 0n;
  for (const byte of bytes.subarray(0, 8)) value = (value << 8n) | BigInt(byte);
  return String(value === 0n ? 1n : value);
}
