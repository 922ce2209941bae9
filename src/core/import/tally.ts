import type { Sighting } from "../columns.ts";

/** Longest line, record or gap between two tags that is looked at, in characters. */
export const IMPORT_CHARS_MAX = 128 * 1024;

const EXAMPLES_MAX = 20;
const REASONS_MAX = 50;

/** Something of an import that could not be used. `line` counts from 1. */
export type Refusal = { readonly line: number; readonly reason: string };

/** What became of an import. */
export type ImportCounts = {
  /** Entries that were read: open and closed ports, banners, refused ones. */
  readonly read: number;
  /** Open ports. */
  readonly sightings: number;
  /** Ports that are said not to be open: without coverage that means nothing. */
  readonly notOpen: number;
  readonly banners: number;
  readonly refused: number;
  /** How often each reason was given. */
  readonly reasons: Readonly<Record<string, number>>;
  /** The first 20 refusals. */
  readonly examples: readonly Refusal[];
};

/** Where parsers put what they find. */
export type ImportSink = {
  sighting(sighting: Sighting): void;
  notOpen(): void;
  banner(): void;
  refuse(line: number, reason: string): void;
};

/** Counts what passes on its way to `onSighting`. */
export function createTally(onSighting: (sighting: Sighting) => void): ImportSink & { counts(): ImportCounts } {
  let sightings = 0;
  let notOpen = 0;
  let banners = 0;
  let refused = 0;
  const reasons = new Map<string, number>();
  const examples: Refusal[] = [];
  return {
    sighting: (sighting) => {
      sightings += 1;
      onSighting(sighting);
    },
    notOpen: () => {
      notOpen += 1;
    },
    banner: () => {
      banners += 1;
    },
    refuse: (line, reason) => {
      refused += 1;
      const name = reasons.has(reason) || reasons.size < REASONS_MAX ? reason : "other reasons";
      reasons.set(name, (reasons.get(name) ?? 0) + 1);
      if (examples.length < EXAMPLES_MAX) examples.push({ line, reason });
    },
    counts: () => ({
      read: sightings + notOpen + banners + refused,
      sightings,
      notOpen,
      banners,
      refused,
      reasons: Object.fromEntries(reasons),
      examples: [...examples],
    }),
  };
}
