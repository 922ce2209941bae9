import type { Bus } from "../../../src/bus/bus.ts";
import { keptSubject } from "../../../src/bus/names.ts";
import { type Kept, KEPT_LOGS_MAX } from "../../../src/core/messages/bus.ts";
import type { StandsReply } from "../../../src/core/messages/peer.ts";
import type { Ledger } from "../../../src/ledger/types.ts";

/** Tells the region's scanners which acknowledged runs some peer holds too, and which have to be sent again. */
export type KeptVoice = {
  /** What one peer holds. */
  heard(reply: StandsReply): void;
  /** Says it once. Throws what the ledger throws. */
  say(): Promise<void>;
};

type KeptDeps = {
  readonly region: string;
  readonly bus: Pick<Bus, "publish">;
  readonly ledger: Pick<Ledger, "logStands">;
  /** The own log; null before it is known. */
  readonly log: () => string | null;
  /** Whether no other region is registered; null while that is not known. */
  readonly alone: () => boolean | null;
  /** Whether every peer has said what it holds, and we hold all of that; or whether that was waited for in vain for long. */
  readonly certain: () => boolean;
};

/** What peers hold only grows; a peer that loses its ledger fills it from us. */
export function createKeptVoice({ region, bus, ledger, log, alone, certain }: KeptDeps): KeptVoice {
  const peers = new Map<string, number>();
  let before: string | null = null;
  return {
    heard: ({ stands }) => {
      for (const stand of stands) {
        if (stand.region === region) peers.set(stand.log, Math.max(stand.prefix, peers.get(stand.log) ?? -1));
      }
    },
    say: async () => {
      const [own, isAlone, isCertain] = [log(), alone(), certain()];
      if (own === null || isAlone === null) return;
      const held = (await ledger.logStands()).filter((stand) => stand.region === region);
      const newest = held.slice(-KEPT_LOGS_MAX).map((stand) => ({ log: stand.log, here: stand.prefix, peers: peers.get(stand.log) ?? -1 }));
      // A log that was just begun: what peers hold of the one before may not have been written down yet.
      const message: Kept = { alone: isAlone, log: own, certain: isCertain && own === before && own === log(), logs: newest };
      before = own;
      bus.publish(keptSubject(region), new TextEncoder().encode(JSON.stringify(message)));
    },
  };
}
