import type { PeerItem } from "../../src/ledger/types.ts";
import type { Random } from "./random.ts";

/** A delivery: any order, grouped, with repeats. */
export function deliveryOf(
  random: Random,
  items: readonly PeerItem[],
  kind: "as accepted" | "shuffled" | "reversed" | "log by log",
): PeerItem[][] {
  const withRepeats = items.flatMap((item) => (random.chance(0.1) ? Array.from({ length: 1 + random.below(3) }, () => item) : [item]));
  const ordered =
    kind === "shuffled" || kind === "reversed"
      ? kind === "reversed"
        ? withRepeats.toReversed()
        : shuffled(random, withRepeats)
      : kind === "log by log"
        ? withRepeats.toSorted((a, b) => (a.acceptance.log < b.acceptance.log ? 1 : a.acceptance.log > b.acceptance.log ? -1 : 0))
        : [...withRepeats, ...shuffled(random, items).slice(0, 3)];
  const groups: PeerItem[][] = [];
  for (let at = 0; at < ordered.length;) {
    const size = 1 + random.below(6);
    groups.push(ordered.slice(at, at + size));
    at += size;
  }
  return groups;
}

function shuffled<T>(random: Random, list: readonly T[]): T[] {
  return list
    .map((value) => ({ value, key: random.below(1_000_000) }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ value }) => value);
}
