import type { Block } from "./messages/job.ts";
import type { PortRange } from "./port.ts";
import type { AddressRange } from "./range.ts";

/** A tile is strided over its block in at most this many chunks of addresses … */
const CHUNKS_PER_TILE_MAX = 256n;
/** … and all tiles of a block in about this many: each chunk is a range that every ledger keeps. */
const CHUNKS_PER_BLOCK = 1_048_576n;
/** Still strided, however many tiles there are. */
const CHUNKS_PER_TILE_MIN = 8n;

/** Tile numbers, inclusive. */
export type TileRun = { readonly first: number; readonly last: number };

/** A block of a job with what its cut into tiles follows from. */
export type CutBlock = {
  readonly block: Block;
  readonly ranges: readonly AddressRange[];
  /** `starts[i]`: how many addresses of the block stand before `ranges[i]`; one more entry: all of them. */
  readonly starts: readonly bigint[];
  readonly ports: readonly PortRange[];
  readonly portCount: number;
  readonly firstTile: number;
  readonly tileCount: number;
};

/** Addresses of the block. */
export function addressCount(cut: CutBlock): bigint {
  return cut.starts.at(-1) ?? 0n;
}

/** The formulas of `tileOfBlock` for one block. A tile's chunk ends where the next tile's begins; after the last tile comes the next round. */
export function stridesOf(cut: CutBlock) {
  const addresses = addressCount(cut);
  const tiles = BigInt(cut.tileCount);
  const short = addresses / tiles;
  const longAll = addresses - tiles * short;
  const rounds = tiles === 1n ? 1n : smallest(short, chunksPerTile(tiles));
  const longBefore = (i: bigint): bigint => (i * addresses) / tiles - i * short;
  return {
    tiles,
    short,
    rounds,
    longBefore,
    chunkFrom: (i: bigint, round: bigint): bigint => {
      const shortFrom = (round * short) / rounds;
      const longFrom = (round * (short + 1n)) / rounds;
      const shortSize = ((round + 1n) * short) / rounds - shortFrom;
      const longSize = ((round + 1n) * (short + 1n)) / rounds - longFrom;
      const roundFrom = (tiles - longAll) * shortFrom + longAll * longFrom;
      return roundFrom + (i - longBefore(i)) * shortSize + longBefore(i) * longSize;
    },
  };
}

/** Which tiles hold addresses number `from` (inclusive) to `to` (exclusive) of the block: a run for each round that they touch. */
export function tilesOfSlice(cut: CutBlock, from: bigint, to: bigint): TileRun[] {
  const { tiles, rounds, chunkFrom } = stridesOf(cut);
  const runs: TileRun[] = [];
  for (let round = lastWhere(rounds, (at) => chunkFrom(0n, at) <= from); round < rounds && chunkFrom(0n, round) < to; round += 1n) {
    const first = lastWhere(tiles, (i) => chunkFrom(i, round) <= from);
    const last = lastWhere(tiles, (i) => chunkFrom(i, round) < to);
    if (first === 0n && last === tiles - 1n) return [{ first: cut.firstTile, last: cut.firstTile + cut.tileCount - 1 }];
    runs.push({ first: cut.firstTile + Number(first), last: cut.firstTile + Number(last) });
  }
  return runs;
}

/** The last of 0 … count − 1 for which it holds, when it holds for all before it; 0 when it holds for none. */
function lastWhere(count: bigint, holds: (at: bigint) => boolean): bigint {
  let low = 0n;
  let high = count - 1n;
  while (low < high) {
    const middle = (low + high + 1n) / 2n;
    if (holds(middle)) low = middle;
    else high = middle - 1n;
  }
  return low;
}

/** Where the block's own list has addresses of these ranges: number of the first (inclusive) and of the last (exclusive). */
export function slicesWithin(cut: CutBlock, ranges: readonly AddressRange[]): [bigint, bigint][] {
  const slices: [bigint, bigint][] = [];
  let next = 0;
  for (const [i, range] of cut.ranges.entries()) {
    const start = cut.starts[i] ?? 0n;
    while ((ranges[next]?.last ?? range.first) < range.first) next += 1;
    for (let at = next; at < ranges.length; at += 1) {
      const other = ranges[at];
      if (other === undefined || other.first > range.last) break;
      const first = other.first > range.first ? other.first : range.first;
      const last = other.last < range.last ? other.last : range.last;
      slices.push([start + (first - range.first), start + (last - range.first) + 1n]);
    }
  }
  return slices;
}

/** Tile numbers that are in both. */
export function commonRuns(a: readonly TileRun[], b: readonly TileRun[]): TileRun[] {
  return mergeRuns(
    a.flatMap((one) =>
      b.flatMap((other) => {
        const [first, last] = [Math.max(one.first, other.first), Math.min(one.last, other.last)];
        return first <= last ? [{ first, last }] : [];
      }),
    ),
  );
}

/** Sorted, and what overlaps or touches joined. */
export function mergeRuns(runs: readonly TileRun[]): TileRun[] {
  const merged: { first: number; last: number }[] = [];
  for (const { first, last } of runs.toSorted((a, b) => a.first - b.first)) {
    const before = merged.at(-1);
    if (before !== undefined && first <= before.last + 1) before.last = Math.max(before.last, last);
    else merged.push({ first, last });
  }
  return merged;
}

function chunksPerTile(tiles: bigint): bigint {
  const share = CHUNKS_PER_BLOCK / tiles;
  return share < CHUNKS_PER_TILE_MIN ? CHUNKS_PER_TILE_MIN : smallest(share, CHUNKS_PER_TILE_MAX);
}

function smallest(a: bigint, b: bigint): bigint {
  return a < b ? a : b;
}
