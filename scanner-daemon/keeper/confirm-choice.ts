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
export type Choice = { readonly basis: ConfirmOrder["basis"]; readonly scanners: readonly string[] };

/** A scanner that was asked so often in vain gives way to two others. */
const TRIES_MAX = 3;
/** So many others replace the last sighter. */
const OTHERS = 2;

/**
 * Rule 6: the scanner that last sighted the service, else two others. A last sighter that answers nothing usable is asked
 * again only when there are no two others.
 */
export function chooseScanners(input: {
  /** The last one first; null when no scanner of the region has sighted it. */
  readonly sighter: string | null;
  /** Others whose confirm is there already. */
  readonly confirmedBy: readonly string[];
  /** Live scanners of the region with the right engine. */
  readonly able: readonly string[];
  readonly asked: ReadonlyMap<string, Asked>;
}): Choice {
  const { sighter, confirmedBy, able, asked } = input;
  const tries = (scanner: string): number => asked.get(scanner)?.tries ?? 0;
  const own: Choice = { basis: "sighter", scanners: sighter !== null && able.includes(sighter) ? [sighter] : [] };
  const isWaitedFor = sighter !== null && asked.get(sighter)?.pending === true;
  if (own.scanners.length > 0 && (isWaitedFor || tries(own.scanners[0] ?? "") < TRIES_MAX)) return own;
  const pending = (scanner: string): number => Number(asked.get(scanner)?.pending === true);
  const others = able
    .filter((scanner) => scanner !== sighter && !confirmedBy.includes(scanner))
    .toSorted((a, b) => pending(b) - pending(a) || tries(a) - tries(b) || (a < b ? -1 : 1));
  const needed = Math.max(1, OTHERS - confirmedBy.length);
  return others.length >= needed ? { basis: "others", scanners: others.slice(0, needed) } : own;
}
