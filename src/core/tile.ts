import type { Address } from "./address.ts";
import { PortolanError } from "./errors.ts";
import type { Engine } from "./messages/common.ts";
import type { Block, JobSpec } from "./messages/job.ts";
import { addressCount, mergeRuns, slicesWithin, stridesOf, tilesOfSlice, type CutBlock, type TileRun } from "./tile-stride.ts";
import { countPorts, formatPorts, intersectPorts, parsePorts, type PortRange } from "./port.ts";
import { formatRange, normaliseRanges, parseRange, type AddressRange } from "./range.ts";

/** One piece of a job's target set; `pairs` counts the (address, port) pairs of all its shards. */
export type Tile = {
  readonly index: number;
  readonly engine: Engine;
  /** Names of the eligible scanners in the order of their places: shard k/n goes to the k-th (counted from 1). */
  readonly members: readonly string[];
  readonly ranges: readonly AddressRange[];
  readonly ports: readonly PortRange[];
  readonly pairs: number;
};

/** A job's tiles, ready to be cut one by one without reading the spec again. */
export type Tiling = {
  readonly count: number;
  /** Pairs of all tiles together. */
  readonly pairs: bigint;
  /** Throws `not-found` unless 0 ≤ index < count. */
  tileAt(index: number): Tile;
  /** Inclusive runs of the tiles, in order, that hold at least one of these pairs: `ranges` normalised, `ports` null for all of them. */
  tilesWith(pairs: { readonly ranges: readonly AddressRange[]; readonly ports: readonly PortRange[] | null }): TileRun[];
};

/** What a tile's cut depends on. */
export type TilingSpec = Pick<JobSpec, "blocks" | "tiling">;

/**
 * The tiles of a spec (tiling version 1): a pure function, equal in every region.
 *
 * A block of A addresses with p ports makes T = ceil(A / floor(pairsMax / p)) tiles of floor(A/T) or ceil(A/T) addresses:
 * no tile has more than `pairsMax` pairs unless one address alone has. The block's sorted address list is cut in up to
 * 256 rounds (fewer when there are over 4,096 tiles), and every tile takes one chunk of each round, so that no network gets
 * the whole rate.
 * Throws `invalid` for a spec whose text is not canonical or whose blocks share an address.
 */
export function tilingOf(spec: TilingSpec): Tiling {
  const blocks: CutBlock[] = [];
  let count = 0;
  let pairs = 0n;
  for (const block of spec.blocks) {
    const cut = cutBlock(block, spec.tiling.pairsMax, count);
    blocks.push(cut);
    count += cut.tileCount;
    pairs += addressCount(cut) * BigInt(cut.portCount);
    if (!Number.isSafeInteger(count)) throw tooManyTiles();
  }
  refuseSharedAddresses(blocks);
  return {
    count,
    pairs,
    tileAt(index) {
      const cut = blocks.findLast(({ firstTile }) => firstTile <= index);
      if (!Number.isInteger(index) || index >= count || cut === undefined) {
        throw new PortolanError("not-found", `the job has no tile ${index}; its tiles are 0 to ${count - 1}`);
      }
      return tileOfBlock(cut, index);
    },
    tilesWith: ({ ranges, ports }) =>
      mergeRuns(
        blocks
          .filter((cut) => ports === null || intersectPorts(cut.ports, ports).length > 0)
          .flatMap((cut) => slicesWithin(cut, ranges).flatMap(([from, to]) => tilesOfSlice(cut, from, to))),
      ),
  };
}

/** How many tiles the job has. */
export function tileCount(spec: TilingSpec): number {
  return tilingOf(spec).count;
}

/** One tile; reads the whole spec, so keep `tilingOf(spec)` when you need several. */
export function tileAt(spec: TilingSpec, index: number): Tile {
  return tilingOf(spec).tileAt(index);
}

/** All tiles in order: for small jobs and tests. */
export function tilesOf(spec: TilingSpec): Tile[] {
  const tiling = tilingOf(spec);
  return Array.from({ length: tiling.count }, (_, index) => tiling.tileAt(index));
}

function cutBlock(block: Block, pairsMax: number, firstTile: number): CutBlock {
  const ranges = block.ranges.map(parseRange);
  const ports = parsePorts(block.ports);
  if (formatPorts(ports) !== block.ports) throw notCanonical(block.ports.slice(0, 60));
  const starts: bigint[] = [0n];
  let total = 0n;
  if (normaliseRanges(ranges).length !== ranges.length) throw notCanonical(block.ranges[0] ?? "");
  for (const [i, range] of ranges.entries()) {
    const before = ranges[i - 1];
    if (formatRange(range) !== block.ranges[i] || (before !== undefined && range.first <= before.last))
      throw notCanonical(block.ranges[i] ?? "");
    total += range.last - range.first + 1n;
    starts.push(total);
  }
  const portCount = countPorts(ports);
  const addressesMax = BigInt(Math.max(1, Math.floor(pairsMax / portCount)));
  const tileCount = Number((total + addressesMax - 1n) / addressesMax);
  if (!Number.isSafeInteger(tileCount)) throw tooManyTiles();
  return { block, ranges, starts, ports, portCount, firstTile, tileCount };
}

function refuseSharedAddresses(blocks: readonly CutBlock[]): void {
  const all = blocks.flatMap(({ ranges }) => ranges).sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  for (const [i, range] of all.entries()) {
    const next = all[i + 1];
    if (next !== undefined && next.first <= range.last) {
      throw new PortolanError("invalid", `two blocks of the job spec hold ${formatRange(next)}; plan the job again`);
    }
  }
}

/**
 * Tile i of T has n(i) = floor((i+1)·A/T) − floor(i·A/T) addresses: q or q + 1. Its chunk of round r of C holds
 * floor((r+1)·n/C) − floor(r·n/C) of them. A round lays the chunks of tiles 0 … T−1 one after another, so the
 * beginning of a chunk follows from how many of the tiles before it are long: no sum over tiles is needed.
 */
function tileOfBlock(cut: CutBlock, index: number): Tile {
  const { block, ports, portCount } = cut;
  const strides = stridesOf(cut);
  const i = BigInt(index - cut.firstTile);
  const isLong = strides.longBefore(i + 1n) - strides.longBefore(i);
  const ranges: AddressRange[] = [];
  for (let round = 0n; round < strides.rounds; round += 1n)
    pushSlice(ranges, cut, strides.chunkFrom(i, round), strides.chunkFrom(i + 1n, round));
  return { index, engine: block.engine, members: block.members, ranges, ports, pairs: Number(strides.short + isLong) * portCount };
}

/** Appends addresses number `from` (inclusive) to `to` (exclusive) of the block's list. */
function pushSlice(out: AddressRange[], cut: CutBlock, from: bigint, to: bigint): void {
  let low = 0;
  let high = cut.ranges.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((cut.starts[middle] ?? 0n) <= from) low = middle;
    else high = middle - 1;
  }
  for (let i = low; i < cut.ranges.length; i += 1) {
    const range = cut.ranges[i];
    const start = cut.starts[i] ?? 0n;
    if (range === undefined || start >= to) return;
    const first: Address = from > start ? range.first + (from - start) : range.first;
    const end = range.first + (to - start) - 1n;
    out.push({ first, last: end < range.last ? end : range.last });
  }
}

function notCanonical(text: string): PortolanError {
  return new PortolanError("invalid", `job spec has "${text}", which is not in canonical text or order; plan the job again`);
}

function tooManyTiles(): PortolanError {
  return new PortolanError(
    "too-large",
    "the target set makes more tiles than can be numbered; scan smaller ranges or raise the plan's rate",
  );
}
