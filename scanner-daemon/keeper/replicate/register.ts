import { sha256Hex } from "../../../src/bus/keys.node.ts";
import { canonicalJson } from "../../../src/core/canonical.ts";
import type { Frontier } from "../../../src/core/messages/common.ts";
import type { Ledger } from "../../../src/ledger/types.ts";

/** A hash that another region contradicts is computed again, but not more often than this. */
const DOUBT_MS = 60_000;

/** The state hash of our own register, computed only when the register is at rest and has changed: it takes long. */
export type Register = {
  /** The hash at exactly this frontier; null when it is not known. */
  at(frontier: Frontier): string | null;
  /** Looks once; computes when nothing came since the last look and there is something new. Throws what the ledger throws. */
  look(): Promise<void>;
  /** A peer has another hash at this frontier: ours is not taken for granted for ever. */
  doubt(): void;
};

/** Nothing is known before the first looks. */
export function createRegister(deps: {
  readonly ledger: Pick<Ledger, "frontier" | "stateHash">;
  readonly monotonicMs: () => number;
}): Register {
  let known: { readonly place: string; readonly hash: string; readonly atMs: number } | null = null;
  let before = "";
  let doubted = false;
  return {
    at: (frontier) => (known !== null && known.place === canonicalJson(frontier) ? known.hash : null),
    look: async () => {
      const place = canonicalJson(await deps.ledger.frontier());
      const atRest = place === before;
      before = place;
      const expired = doubted && known !== null && deps.monotonicMs() - known.atMs >= DOUBT_MS;
      if (!atRest || (known?.place === place && !expired)) return;
      const { hash, frontier, settled } = await deps.ledger.stateHash(sha256Hex);
      doubted = false;
      known = settled ? { place: canonicalJson(frontier), hash, atMs: deps.monotonicMs() } : null;
    },
    doubt: () => void (doubted = true),
  };
}
