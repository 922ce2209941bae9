import { canariesOf } from "./canary.ts";
import { chooseEngine, isLoopbackRange, LOOPBACK_RANGES, refuseUdpOverIpv6, type EngineWish } from "./engine.ts";
import { cutByMembers, type ProbeBounds } from "./eligible.ts";
import { PortolanError } from "./errors.ts";
import type { Engine, Frontier } from "./messages/common.ts";
import { jobSpecSchema, type Block, type Canary, type JobSpec, type Member } from "./messages/job.ts";
import { countPorts, formatPorts, type PortRange } from "./port.ts";
import { countAddresses, formatRange, intersectRanges, normaliseRanges, subtractRanges, type AddressRange } from "./range.ts";
import { shardPlaces } from "./shard.ts";
import { countPairs, targetSet, type PairExclusion, type TargetBlock } from "./target.ts";
import { tileCount } from "./tile.ts";

/** The parts of a plan that decide what one of its jobs probes, with groups and exclusions resolved. */
export type PlanDetails = {
  readonly id: string;
  readonly name: string;
  readonly revision: number;
  readonly include: readonly AddressRange[];
  /** Excluded addresses: exclude groups of the plan and exclusions without ports. */
  readonly exclude: readonly AddressRange[];
  /** Exclusions of address and port. */
  readonly pairExclusions: readonly PairExclusion[];
  readonly ports: readonly PortRange[];
  /** Probes per second of each scanner. */
  readonly rateLimitPps: number;
  readonly retries: number;
  readonly engine: EngineWish;
  readonly closeAfter: number;
  readonly confirm: boolean;
  /** Seconds after planning at which what is not complete is given up. */
  readonly deadlineS: number;
  /** Upper bound of pairs in one tile; null: what the members probe in ten minutes. */
  readonly pairsMax: number | null;
  readonly canaries: readonly Canary[];
  readonly waitS: number;
  readonly connectTimeoutMs: number;
};

/** A scanner of the plan's group, with the engines that it can run and what it may probe. */
export type PlanMember = ProbeBounds & {
  readonly name: string;
  readonly region: string;
  readonly publicKey: string;
  readonly pinned: number | null;
  readonly engines: readonly Engine[];
};

/** All that a job follows from: time, seed and frontier come in, nothing is looked up. */
export type PlanInput = {
  readonly plan: PlanDetails;
  readonly group: string;
  readonly home: string;
  readonly cause: JobSpec["cause"];
  readonly members: readonly PlanMember[];
  /** Regions with an enrolled scanner; those of the members are added. */
  readonly regions: readonly string[];
  readonly masscanFamily: string;
  readonly frontier: Frontier;
  /** Decimal, 1 to 2^64 − 1, fresh for each job. */
  readonly seed: string;
  readonly nowMs: number;
};

/** Tiles of one job at most: each is a row, and at ten minutes each they are years of scanning. */
const TILES_MAX = 200_000;
/** Ranges of one job at most: its spec crosses regions as one record. */
export const JOB_RANGES_MAX = 131_072;
/** Keeps an assignment's text under NATS' message limit; a tile has at most this many ranges and 256 more. */
const BLOCK_RANGES_MAX = 7_936;
const TILE_S = 600;
/** masscan refuses the whole of IPv4 in one run, so no tile may come near it. */
const TILE_PAIRS_MAX = 2 ** 31;
const RATE_MAX_PPS = 10_000_000;

/**
 * The job spec that a plan makes now: a pure function of its input.
 * Throws `invalid` or `too-large`, naming what is wrong and the remedy, for whatever cannot be scanned as asked.
 */
export function planJob(input: PlanInput): JobSpec {
  const { plan } = input;
  refuseBadNumbers(plan);
  const members = placedMembers(input);
  const targets = targetsOf(plan);
  const blocks = blocksOf(targets, input, members);
  // Of the tile that the fewest scanners share: no shard takes longer than ten minutes.
  const wholeRate = plan.rateLimitPps * blocks.reduce((fewest, block) => Math.min(fewest, block.members.length), members.length);
  const spec = {
    version: 1,
    plan: { id: plan.id, name: plan.name, revision: plan.revision },
    group: input.group,
    home: input.home,
    cause: input.cause,
    blocks,
    tiling: { version: 1, pairsMax: Math.min(plan.pairsMax ?? wholeRate * TILE_S, TILE_PAIRS_MAX) },
    seed: input.seed,
    rateLimitPps: plan.rateLimitPps,
    retries: plan.retries,
    waitS: plan.waitS,
    connectTimeoutMs: plan.connectTimeoutMs,
    members,
    masscanFamily: input.masscanFamily,
    canaries: canariesOf(plan, input.members),
    policy: { closeAfter: plan.closeAfter, confirm: plan.confirm },
    regions: [...new Set([...input.regions, ...members.map(({ region }) => region)])].sort(),
    frontier: input.frontier,
    plannedAtMs: input.nowMs,
    deadlineAtMs: input.nowMs + plan.deadlineS * 1_000,
  };
  const parsed = jobSpecSchema.safeParse(spec);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new PortolanError(
      "invalid",
      `plan "${plan.name}": ${issue?.path.join(".") ?? "job spec"}: ${issue?.message ?? "is not valid"}; correct the plan`,
    );
  }
  refuseTooMuch(parsed.data, countPairs(targets), wholeRate);
  return parsed.data;
}

function refuseBadNumbers(plan: PlanDetails): void {
  const check = (what: string, value: number, min: number, max: number): void => {
    if (Number.isInteger(value) && value >= min && value <= max) return;
    throw new PortolanError("invalid", `plan "${plan.name}" has ${what} ${value}; use a whole number from ${min} to ${max}`);
  };
  check("rate (probes per second)", plan.rateLimitPps, 1, RATE_MAX_PPS);
  check("retries", plan.retries, 0, 10);
  check("closeAfter", plan.closeAfter, 1, 10);
  check("a deadline in seconds of", plan.deadlineS, 1, 10 * 366 * 86_400);
  check("a wait in seconds of", plan.waitS, 1, 60);
  check("a connect time-out in milliseconds of", plan.connectTimeoutMs, 50, 30_000);
  if (plan.pairsMax !== null) check("a tile bound (pairsMax) of", plan.pairsMax, 1, Number.MAX_SAFE_INTEGER);
}

function placedMembers({ plan, group, members }: PlanInput): Member[] {
  if (members.length === 0) {
    throw new PortolanError(
      "invalid",
      `scanner group "${group}" of plan "${plan.name}" has no scanner; register one or give the plan another group`,
    );
  }
  const byName = new Map(members.map((member) => [member.name, member]));
  return shardPlaces(members).map(({ name, place }) => ({
    scanner: name,
    region: byName.get(name)?.region ?? "",
    publicKey: byName.get(name)?.publicKey ?? "",
    place,
  }));
}

function targetsOf(plan: PlanDetails): TargetBlock[] {
  const include = normaliseRanges(plan.include);
  if (include.length === 0) throw new PortolanError("invalid", `plan "${plan.name}" includes no addresses; add ranges to its range groups`);
  if (plan.ports.length === 0)
    throw new PortolanError("invalid", `plan "${plan.name}" has no ports; give it some, for example "22,80,443"`);
  const targets = targetSet({ ...plan, include });
  if (targets.length === 0) {
    const cause = subtractRanges(include, plan.exclude).length === 0 ? "all of its addresses are" : "everything it includes is";
    throw new PortolanError("invalid", `plan "${plan.name}" has nothing to scan: ${cause} excluded; add ranges or remove an exclusion`);
  }
  return targets;
}

/** Engine and members for each set of addresses; loopback apart, since masscan cannot probe it. */
function blocksOf(targets: readonly TargetBlock[], { plan, group, members }: PlanInput, placed: readonly Member[]): Block[] {
  const byName = new Map(members.map((member) => [member.name, member]));
  const inOrder = placed.flatMap(({ scanner }) => byName.get(scanner) ?? []);
  const blocks: Block[] = [];
  for (const { ranges, ports } of targets) {
    const parts = [intersectRanges(ranges, LOOPBACK_RANGES), subtractRanges(ranges, LOOPBACK_RANGES)].filter((part) => part.length > 0);
    refuseUdpOverIpv6(plan.name, ranges, ports);
    const pieces = parts.flatMap((part) => cutByMembers(part, inOrder, { plan: plan.name, group }));
    for (const { ranges: piece, members: names } of pieces) {
      const pairs = countAddresses(piece) * BigInt(countPorts(ports));
      const loopback = piece.every(isLoopbackRange);
      const eligible = inOrder.filter(({ name }) => names.includes(name));
      const engine = chooseEngine({ planName: plan.name, wish: plan.engine, pairs, ports, loopback, members: eligible });
      for (const slice of slicesOf(piece))
        blocks.push({ ranges: slice.map(formatRange), ports: formatPorts(ports), engine, members: [...names] });
    }
  }
  return blocks;
}

/** Deals very many ranges out to several blocks, so that no assignment's text grows too long. */
function slicesOf(ranges: readonly AddressRange[]): AddressRange[][] {
  if (ranges.length > JOB_RANGES_MAX) throw tooManyRanges(ranges.length);
  const count = Math.ceil(ranges.length / BLOCK_RANGES_MAX);
  const slices: AddressRange[][] = Array.from({ length: count }, () => []);
  for (const [i, range] of ranges.entries()) slices[i % count]?.push(range);
  return slices;
}

function refuseTooMuch(spec: JobSpec, pairs: bigint, wholeRate: number): void {
  const ranges = spec.blocks.reduce((sum, block) => sum + block.ranges.length, 0);
  if (ranges > JOB_RANGES_MAX) throw tooManyRanges(ranges);
  const pairsMax = BigInt(spec.tiling.pairsMax);
  const fewest = (pairs + pairsMax - 1n) / pairsMax;
  // A huge IPv6 network makes more tiles than a number can count: its estimate is enough to refuse it.
  const tiles = fewest > TILES_MAX ? fewest : BigInt(tileCount(spec));
  if (tiles <= TILES_MAX) return;
  const days = pairs / BigInt(wholeRate) / 86_400n;
  throw new PortolanError(
    "too-large",
    `plan "${spec.plan.name}" makes ${tiles} tiles (at most ${TILES_MAX}) and would take ${days} days; ` +
      `scan smaller ranges or fewer ports, or raise its rate, its scanners or pairsMax (${spec.tiling.pairsMax})`,
  );
}

function tooManyRanges(count: number): PortolanError {
  return new PortolanError(
    "too-large",
    `the job has ${count} separate ranges (at most ${JOB_RANGES_MAX}); merge neighbouring ranges and exclusions or split the plan`,
  );
}
