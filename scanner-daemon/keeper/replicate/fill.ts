import { PortolanError } from "../../../src/core/errors.ts";
import type { StandsReply } from "../../../src/core/messages/peer.ts";
import { RECORDS_MAX } from "../../../src/core/record-wire.ts";
import type { LogStand } from "../../../src/ledger/peer-types.ts";
import type { Asker } from "./ask.ts";
import type { Head } from "./link.ts";
import type { PeerDeps, PeerRun } from "./peer.ts";

/** Asks one peer, page by page, for what it holds and we do not, whosever log it is. */
export type Filler = {
  /**
   * "what the stream lacks" leaves the peer's own log to the stream as long as that moves. Records that cannot be proved are an
   * alarm, and never applied. Throws when the peer or the ledger does not answer.
   */
  fill(asker: Asker, reply: StandsReply, signal: AbortSignal, what: "everything" | "what the stream lacks"): Promise<void>;
};

/** One for each connection. */
export function createFiller(deps: PeerDeps, run: PeerRun): Filler {
  const nextBefore = new Map<string, number>();
  return {
    fill: async (asker, reply, signal, what) => {
      for (const stand of reply.stands) {
        if (signal.aborted) return;
        const head = deps.intake.head(stand.log);
        if (head === null) continue;
        const { next } = head;
        compareChains(run, stand, head);
        const before = nextBefore.get(stand.log);
        nextBefore.set(stand.log, next);
        if (stand.prefix < next) continue;
        const comes = stand.own && what !== "everything" && before !== next && !run.holes.has(stand.log);
        if (!comes) await fillLog(deps, run, asker, stand, signal);
      }
    },
  };
}

/** Equal numbers with unequal chains are two different logs under one name. */
function compareChains(run: PeerRun, stand: LogStand, head: Head): void {
  if (stand.prefix + 1 !== head.next || stand.prefix < 0) return;
  const cause = `log ${stand.log}`;
  if (stand.chain === head.chain) run.alarms.delete(cause);
  else
    run.alarms.set(
      cause,
      `region "${run.place.region}" holds other records of log ${stand.log} than this ledger; rebuild the region that is wrong from its peers`,
    );
}

async function fillLog(deps: PeerDeps, run: PeerRun, asker: Asker, { log, prefix }: LogStand, signal: AbortSignal): Promise<void> {
  // Another peer that holds it too is asked already.
  if (deps.filling.has(log)) return;
  deps.filling.add(log);
  try {
    while (!signal.aborted) {
      const from = deps.intake.head(log)?.next ?? Infinity;
      if (from > prefix) break;
      const records = await asker.records({ log, from, limit: RECORDS_MAX });
      if (records.some(({ acceptance }) => acceptance.log !== log))
        throw new PortolanError("invalid", `region "${asker.region}" sends records of another log than ${log}`);
      const { refused } = await deps.intake.take(records);
      const problem = refused.get(log);
      if (problem === undefined) run.alarms.delete(`log ${log}`);
      else run.alarms.set(`log ${log}`, `${problem}; nothing of it is applied: rebuild the region that is wrong from its peers`);
      if (deps.intake.head(log)?.next === from) break;
    }
    run.holes.delete(log);
  } catch (error) {
    // One log that makes no sense must not keep the others from coming.
    if (!(error instanceof PortolanError && error.code === "invalid")) throw error;
    run.alarms.set(`log ${log}`, error.message);
  } finally {
    deps.filling.delete(log);
  }
}
