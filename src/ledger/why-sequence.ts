/** A miss as the ledger holds it; `log` numbers are this ledger's own. */
export type WhyMiss = {
  readonly job: string;
  readonly tile: number;
  readonly closeAfter: number;
  /** Of the job. */
  readonly frontier: ReadonlyMap<number, number>;
  /** All tile-completes of its tile, and the one that counts. */
  readonly completes: readonly string[];
  readonly counting: string;
  readonly positions: readonly { readonly log: number; readonly rseq: number }[];
};

/** Misses in sequence, as many as the last one's policy asks for, that end with one of the jobs named; empty when there are none. */
export function sequenceOf(misses: readonly WhyMiss[], closing: ReadonlySet<string>): WhyMiss[] {
  for (const last of misses) {
    if (!closing.has(last.job)) continue;
    const sequence = backFrom(misses, [last], last.closeAfter, new Set());
    if (sequence !== null) return sequence;
  }
  return [];
}

/** `dead`: jobs from which no chain of the length that is left goes back. */
function backFrom(misses: readonly WhyMiss[], chain: WhyMiss[], length: number, dead: Set<string>): WhyMiss[] | null {
  const [first] = chain;
  if (chain.length >= length || first === undefined) return chain;
  for (const before of misses) {
    const key = `${chain.length}/${before.job}`;
    if (dead.has(key) || chain.some(({ job }) => job === before.job) || !isBefore(before, first)) continue;
    const found = backFrom(misses, [before, ...chain], length, dead);
    if (found !== null) return found;
    dead.add(key);
  }
  return null;
}

function isBefore({ positions }: WhyMiss, { frontier }: WhyMiss): boolean {
  return positions.some(({ log, rseq }) => rseq <= (frontier.get(log) ?? -1));
}
