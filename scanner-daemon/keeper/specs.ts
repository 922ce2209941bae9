import { addressToHex, type Address } from "../../src/core/address.ts";
import { compareAddresses, sightingRowAt, type SightingRow, type SightingTable } from "../../src/core/columns.ts";
import { PortolanError } from "../../src/core/errors.ts";
import type { Assignment, AssignmentKey, JobSpec } from "../../src/core/messages/job.ts";
import { formatPorts, protocolNumber } from "../../src/core/port.ts";
import { rangesText } from "../../src/core/range.ts";
import { tileSeed } from "../../src/core/seed.ts";
import { tilingOf, type Tile, type Tiling } from "../../src/core/tile.ts";
import type { Ledger } from "../../src/ledger/types.ts";

/** A job with its tiles, cut once. */
export type JobFacts = {
  readonly id: string;
  readonly spec: JobSpec;
  readonly tiling: Tiling;
  /** Throws `not-found` for a tile that the job does not have. */
  tile(index: number): TileFacts;
};

/** One tile, prepared for looking at many sightings. */
export type TileFacts = {
  readonly tile: Tile;
  /** First row that does not lie in the tile, or null. */
  outside(sightings: SightingTable): SightingRow | null;
};

/** Job specs by id, kept while they are in use. */
export type Specs = {
  /** Null when this ledger has no such job. */
  get(job: string): Promise<JobFacts | null>;
};

// A tile of very many ranges takes over a megabyte, and the daemon has to stay small: scanners of a job are seldom more
// than a few tiles apart.
const JOBS_KEPT_MAX = 16;
const TILES_KEPT_MAX = 4;

/** Reads specs from the ledger: they never change, so what was read once stays right. */
export function createSpecs(ledger: Pick<Ledger, "jobSpec">): Specs {
  const kept = new Map<string, JobFacts>();
  return {
    get: async (job) => {
      const known = kept.get(job);
      if (known !== undefined) {
        refresh(kept, job, known, JOBS_KEPT_MAX);
        return known;
      }
      const spec = await ledger.jobSpec(job);
      if (spec === null) return null;
      const facts = jobFacts(job, spec);
      refresh(kept, job, facts, JOBS_KEPT_MAX);
      return facts;
    },
  };
}

/** Cuts a job into tiles. Throws `invalid` for a spec that is not canonical. */
export function jobFacts(id: string, spec: JobSpec): JobFacts {
  const tiling = tilingOf(spec);
  const tiles = new Map<number, TileFacts>();
  return {
    id,
    spec,
    tiling,
    tile: (index) => {
      const facts = tiles.get(index) ?? tileFacts(tiling.tileAt(index));
      refresh(tiles, index, facts, TILES_KEPT_MAX);
      return facts;
    },
  };
}

/** Puts an entry last and drops the first one when there are too many. */
function refresh<K, V>(kept: Map<K, V>, key: K, value: V, max: number): void {
  kept.delete(key);
  kept.set(key, value);
  const oldest = kept.keys().next();
  if (kept.size > max && oldest.done !== true) kept.delete(oldest.value);
}

function tileFacts(tile: Tile): TileFacts {
  // Keys of 16 bytes sort like the addresses, so the walk below makes no bigint per row.
  const ranges = tile.ranges.toSorted((a, b) => (a.first < b.first ? -1 : 1));
  const firsts = keysOf(ranges.map(({ first }) => first));
  const lasts = keysOf(ranges.map(({ last }) => last));
  const ports = new Map<number, Uint8Array>();
  for (const range of tile.ports) {
    const number = protocolNumber(range.protocol);
    const open = ports.get(number) ?? new Uint8Array(65_536);
    open.fill(1, range.first, range.last + 1);
    ports.set(number, open);
  }
  return {
    tile,
    outside: (sightings) => {
      let range = 0;
      for (let row = 0; row < sightings.count; row += 1) {
        while (range < ranges.length && compareAddresses(lasts, range, sightings.addresses, row) < 0) range += 1;
        const isInside = range < ranges.length && compareAddresses(sightings.addresses, row, firsts, range) >= 0;
        const isOpen = ports.get(sightings.protocols[row] ?? 0)?.[sightings.ports[row] ?? 0] === 1;
        if (!isInside || !isOpen) return sightingRowAt(sightings, row);
      }
      return null;
    },
  };
}

/** Addresses as keys of 16 bytes each, one after the other. */
function keysOf(addresses: readonly Address[]): Uint8Array {
  return Uint8Array.from(Buffer.from(addresses.map(addressToHex).join(""), "hex"));
}

/** Name of the member whose shard this is; null when the tile has no such shard. */
export function memberOf(tile: Tile, shard: number): string | null {
  return tile.members[shard - 1] ?? null;
}

/**
 * The unit of work that follows from the spec for one key: the same whenever and by whomever it is made. `to` is the member that
 * a reassignment gave the shard to; by default its own one has it. Throws `not-found` for a key or member that the job does not have.
 */
export function assignmentOf(job: JobFacts, key: AssignmentKey, to?: string): Assignment {
  const { spec } = job;
  const { tile } = job.tile(key.tile);
  const own = memberOf(tile, key.shard);
  const scanner = own === null ? null : (to ?? own);
  const member = spec.members.find((candidate) => candidate.scanner === scanner);
  if (scanner === null || member === undefined) {
    throw new PortolanError("not-found", `tile ${key.tile} of job ${job.id} has no shard ${key.shard}; it has 1 to ${tile.members.length}`);
  }
  return {
    version: 1,
    key,
    scanner,
    region: member.region,
    plan: spec.plan.name,
    shardCount: tile.members.length,
    engine: tile.engine,
    ranges: rangesText(tile.ranges),
    ports: formatPorts(tile.ports),
    pairs: tile.pairs,
    seed: tileSeed(spec.seed, key.tile),
    rateLimitPps: spec.rateLimitPps,
    retries: spec.retries,
    waitS: spec.waitS,
    connectTimeoutMs: spec.connectTimeoutMs,
    masscanFamily: spec.masscanFamily,
    canaries: [...spec.canaries],
    deadlineAtMs: spec.deadlineAtMs,
  };
}
