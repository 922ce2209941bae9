/** Services of a piece of coverage: how many are open before it counts, and how many of those it would newly miss. */
export type BrakeCount = { readonly open: number; readonly missed: number };

/** What the brake looks at before a tile-complete is written. */
export type BrakeInput = {
  readonly tile: BrakeCount;
  /** All tiles of the job so far together, this one included. */
  readonly jobSoFar: BrakeCount;
  /** Sightings in the complete report of each shard of the tile. */
  readonly shards: readonly { readonly shard: number; readonly found: number }[];
  /** What each shard would have found if all had found the same; see `evenShareOf`. */
  readonly evenShare: number;
};

/** More than this part of the open services … */
const MISSED_PERCENT_MAX = 30;
/** … and at least so many of them newly missed: a small network may well change. */
const MISSED_MIN = 20;
/** A shard's share has to be this large before finding little is telling. */
const EVEN_SHARE_MIN = 40;

/** Sightings per shard of a tile. */
export function evenShareOf(shards: BrakeInput["shards"]): number {
  return shards.length === 0 ? 0 : shards.reduce((sum, { found }) => sum + found, 0) / shards.length;
}

/**
 * Rule 8: why a tile has to be held, in words; null when it counts at once. It is held when it, or the job's tiles so far
 * together, would newly miss more than 30 % and at least 20 of the open services, or when one shard found under half of its
 * even share of at least 40.
 */
export function heldReason({ tile, jobSoFar, shards, evenShare }: BrakeInput): string | null {
  if (isTooMuch(tile)) return `the tile would newly miss ${tile.missed} of ${tile.open} open services`;
  if (isTooMuch(jobSoFar)) return `the job's tiles so far would newly miss ${jobSoFar.missed} of ${jobSoFar.open} open services`;
  const poor = evenShare < EVEN_SHARE_MIN ? undefined : shards.find(({ found }) => found * 2 < evenShare);
  if (poor === undefined) return null;
  return `shard ${poor.shard} found ${poor.found} services where an even share is ${Math.round(evenShare)}`;
}

function isTooMuch({ open, missed }: BrakeCount): boolean {
  return missed >= MISSED_MIN && missed * 100 > open * MISSED_PERCENT_MAX;
}
