import type { Bus } from "../../src/bus/bus.ts";
import { keptSubject } from "../../src/bus/names.ts";
import { keptSchema } from "../../src/core/messages/bus.ts";
import { errorText, type Log } from "../log.ts";
import type { Sender } from "./send.ts";
import type { RunStore } from "./store.ts";

type KeptDeps = {
  readonly bus: Bus;
  readonly region: string;
  readonly store: RunStore;
  readonly sender: Pick<Sender, "wake">;
  readonly nowMs: () => number;
  readonly log: Log;
};

/** Acts on the keeper's word about acknowledged runs, one message at a time; what comes meanwhile is dropped, for it is said again. */
export function hearKept({ bus, region, store, sender, nowMs, log }: KeptDeps): { stop(): Promise<void> } {
  let working: Promise<void> | null = null;
  const act = async (data: Uint8Array): Promise<void> => {
    try {
      const lost = await store.hear(keptSchema.parse(JSON.parse(Buffer.from(data).toString("utf8"))), nowMs());
      if (lost === 0) return;
      log.warning("the region's ledger has lost acknowledged runs; they are sent again", { runs: lost });
      sender.wake();
    } catch (error) {
      log.warning("what the keeper says about acknowledged runs could not be acted upon", { problem: errorText(error) });
    }
  };
  const subscription = bus.subscribe(keptSubject(region), ({ data }) => {
    working ??= act(data).finally(() => (working = null));
  });
  return {
    stop: async () => {
      subscription.stop();
      await working;
    },
  };
}
