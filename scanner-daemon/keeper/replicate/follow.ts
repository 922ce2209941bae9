import { sha256Hex } from "../../../src/bus/keys.node.ts";
import type { LogMessage, PeerLink } from "../../../src/bus/peer.ts";
import { decodeRecord, type WireRecord } from "../../../src/core/record-wire.ts";
import { errorText } from "../../log.ts";
import { createInbox } from "./inbox.ts";
import type { PeerDeps, PeerRun } from "./peer.ts";

/**
 * Applies the peer's stream as it comes, from the checkpoint on. Resolves when the stream ends or `signal` aborts; throws when the
 * ledger does not take it. What cannot be read or proved is left out: asking for it tells what is wrong with it.
 */
export async function followStream(deps: PeerDeps, run: PeerRun, link: PeerLink, signal: AbortSignal): Promise<void> {
  const inbox = createInbox();
  const end = new AbortController();
  const reading = read(link, { fromSeq: run.state.checkpoint + 1, signal: AbortSignal.any([signal, end.signal]) }, inbox);
  try {
    for (;;) {
      const messages = await inbox.take();
      const last = messages.at(-1);
      if (last === undefined) break;
      const { holes, refused } = await deps.intake.take(records(deps, run, messages), { region: link.region, seq: last.seq });
      run.state = { ...run.state, checkpoint: last.seq, contactMs: deps.nowMs() };
      for (const log of [...holes, ...refused.keys()]) run.holes.add(log);
      if (holes.length > 0 || refused.size > 0) run.bell.ring();
    }
  } finally {
    end.abort();
    inbox.close();
    await reading.catch(() => undefined);
  }
  await reading;
}

async function read(link: PeerLink, from: { fromSeq: number; signal: AbortSignal }, inbox: ReturnType<typeof createInbox>): Promise<void> {
  try {
    for await (const message of link.follow(from)) {
      if (from.signal.aborted) break;
      await inbox.put(message);
    }
  } finally {
    inbox.close();
  }
}

function records(deps: PeerDeps, run: PeerRun, messages: readonly LogMessage[]): WireRecord[] {
  const found: WireRecord[] = [];
  for (const { seq, data } of messages) {
    try {
      found.push(decodeRecord(data, sha256Hex));
    } catch (error) {
      deps.log.warning(`message ${seq} of region "${run.place.region}" cannot be read: ${errorText(error)}`);
      run.bell.ring();
    }
  }
  return found;
}
