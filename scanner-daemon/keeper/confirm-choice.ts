import type { ConfirmOrder } from "../../src/core/messages/probe.ts";

/** How far asking one scanner about one service has come. */
export type Asked = {
  /** Until then (monotonic) it is not asked again. */
  readonly untilMs: number;
  /** A probe may still come. */
  readonly pending: boolean;
  /** How often it was asked without an answer that counts. */
  readonly tries: number;
};

/** Who looks, and as what. Empty when nobody can. */
export type Choice = {
  readonly basis: ConfirmOrder["basis"];
  readonly scanners: readonly string[];
  /** The last sighter looks alone although others live: they were asked in vain. */
  readonly isAloneInVain: boolean;
};

/** A scanner that was asked so often in vain gives way; and after so many vain questions to others the last sighter goes on alone. */
const TRIES_MAX = 3;
/** So many have to agree, unless the last sighter is the only one there. */
const VOICES = 2;

/**
 * Rule 6: the scanner that last sighted the service and, as a filter on its own way looks to it like a dead service, one other
 * beside it; both as two different scanners, so that neither closes anything alone, whoever answers first. The last sighter
 * counts alone when no other is there, or when the others were asked in vain. Where it is away or answers nothing usable, two
 * others. What was said before is known from the ledger (`confirmedBy`), so a keeper that starts anew goes on where this was.
 */
export function chooseScanners(input: {
  /** The last one first; null when no scanner of the region has sighted it. */
  readonly sighter: string | null;
  /** Whose confirm as one of two is there already. */
  readonly confirmedBy: readonly string[];
  /** Live scanners of the region with the right engine. */
  readonly able: readonly string[];
  /** Nothing was heard yet of some others, and it is too early to call them away. */
  readonly isSettling: boolean;
  readonly asked: ReadonlyMap<string, Asked>;
}): Choice {
  const { sighter, confirmedBy, able, isSettling, asked } = input;
  const tries = (scanner: string): number => asked.get(scanner)?.tries ?? 0;
  const isPending = (scanner: string): boolean => asked.get(scanner)?.pending === true;
  const others = able
    .filter((scanner) => scanner !== sighter && !confirmedBy.includes(scanner))
    .toSorted((a, b) => Number(isPending(b)) - Number(isPending(a)) || tries(a) - tries(b) || (a < b ? -1 : 1));
  const needed = Math.max(1, VOICES - confirmedBy.length);
  const asTwo = (scanners: readonly string[]): Choice => ({ basis: "others", scanners, isAloneInVain: false });
  if (sighter === null || !able.includes(sighter)) return asTwo(others.length >= needed ? others.slice(0, needed) : []);

  const hasSaidNothing = tries(sighter) >= TRIES_MAX && !isPending(sighter);
  if (hasSaidNothing && others.length >= needed) return asTwo(others.slice(0, needed));
  const hasSecond = confirmedBy.some((scanner) => scanner !== sighter);
  if (!hasSecond && !others.some(isPending)) {
    const vain = [...asked].reduce((sum, [scanner, state]) => sum + (scanner === sighter ? 0 : state.tries), 0);
    if (others.length > 0 && vain >= TRIES_MAX) return { basis: "sighter", scanners: [sighter], isAloneInVain: true };
    if (others.length === 0) return { basis: "sighter", scanners: isSettling ? [] : [sighter], isAloneInVain: false };
  }
  const own = confirmedBy.includes(sighter) ? [] : [sighter];
  return asTwo([...own, ...(hasSecond ? [] : others.slice(0, 1))]);
}
