import { formatAddress } from "../../src/core/address.ts";
import type { Assignment, JobSpec } from "../../src/core/messages/job.ts";
import { planJob, type PlanDetails } from "../../src/core/plan.ts";
import { formatPorts, parsePorts } from "../../src/core/port.ts";
import { parseRange, rangesText } from "../../src/core/range.ts";
import type { Tile } from "../../src/core/tile.ts";

/** A public key of the right shape; nothing here is signed. */
const PUBLIC_KEY = `U${"A".repeat(55)}`;

/** What a test varies in its job. */
export type JobWish = {
  readonly include: readonly string[];
  readonly exclude?: readonly string[];
  readonly pairExclusions?: readonly { readonly ranges: readonly string[]; readonly ports: string }[];
  readonly ports: string;
  readonly scanners: number;
  readonly pairsMax: number | null;
  readonly rateLimitPps: number;
  readonly seed: string;
  readonly waitS?: number;
};

/** A job spec made by the project's own planner. */
export function jobOf(wish: JobWish): JobSpec {
  const plan: PlanDetails = {
    id: "lab",
    name: "lab",
    revision: 0,
    include: wish.include.map(parseRange),
    exclude: (wish.exclude ?? []).map(parseRange),
    pairExclusions: (wish.pairExclusions ?? []).map(({ ranges, ports }) => ({ ranges: ranges.map(parseRange), ports: parsePorts(ports) })),
    ports: parsePorts(wish.ports),
    rateLimitPps: wish.rateLimitPps,
    retries: 0,
    engine: "masscan",
    closeAfter: 2,
    confirm: false,
    deadlineS: 3_600,
    pairsMax: wish.pairsMax,
    canaries: [],
    waitS: wish.waitS ?? 1,
    connectTimeoutMs: 1_000,
  };
  const members = Array.from({ length: wish.scanners }, (_, i) => ({
    name: `s${i + 1}`,
    region: "lab",
    publicKey: PUBLIC_KEY,
    pinned: null,
    engines: ["masscan", "connect"] as const,
  }));
  return planJob({
    plan,
    group: "lab",
    home: "lab",
    cause: "manual",
    members,
    regions: ["lab"],
    masscanFamily: "1.3",
    frontier: {},
    seed: wish.seed,
    nowMs: 1_750_000_000_000,
  });
}

/** The assignment of one shard (from 1) of a tile. */
export function assignmentOf(spec: JobSpec, tile: Tile, shard: number): Assignment {
  return {
    version: 1,
    key: { job: "0".repeat(64), tile: tile.index, shard, attempt: 1 },
    scanner: `s${shard}`,
    region: "lab",
    plan: spec.plan.name,
    shardCount: tile.members.length,
    engine: tile.engine,
    ranges: rangesText(tile.ranges),
    ports: formatPorts(tile.ports),
    pairs: tile.pairs,
    seed: spec.seed,
    rateLimitPps: spec.rateLimitPps,
    retries: spec.retries,
    waitS: spec.waitS,
    connectTimeoutMs: spec.connectTimeoutMs,
    masscanFamily: spec.masscanFamily,
    canaries: [],
    deadlineAtMs: spec.deadlineAtMs,
  };
}

/** Every pair of a tile as `protocol TAB address TAB port`: small tiles only. */
export function pairsOf(tile: Tile): string[] {
  const pairs: string[] = [];
  for (const range of tile.ranges) {
    for (let address = range.first; address <= range.last; address += 1n) {
      for (const { protocol, first, last } of tile.ports) {
        for (let port = first; port <= last; port += 1) pairs.push(`${protocol}\t${formatAddress(address)}\t${port}`);
      }
    }
  }
  return pairs;
}
