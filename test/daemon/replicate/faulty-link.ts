import { setTimeout as delay } from "node:timers/promises";
import { PortolanError } from "../../../src/core/errors.ts";
import type { LogMessage, PeerLink } from "../../../src/bus/peer.ts";

/** What may happen on the way from one region to another; the test changes it as it goes. */
export type LinkFaults = {
  /** Nothing gets through, and every call fails at once. */
  cut: boolean;
  /** Nothing gets through, and nobody says so. */
  silent: boolean;
  /** Chance from 0 to 1 that a message of the stream is lost. */
  lose: number;
  /** Chance that it comes after the next one. */
  swap: number;
  /** Changes the answer to a request, or a message of the stream. */
  forge: ((data: Uint8Array) => Uint8Array) | null;
};

export function noFaults(): LinkFaults {
  return { cut: false, silent: false, lose: 0, swap: 0, forge: null };
}

/** A link on which these faults happen, drawn from `random`. */
export function faultyLink(link: PeerLink, faults: LinkFaults, random: () => number): PeerLink {
  const pass = async <T>(timeoutMs: number, call: () => Promise<T>): Promise<T> => {
    if (faults.silent) await delay(timeoutMs);
    if (faults.cut || faults.silent) throw new PortolanError("unavailable", "the link is cut");
    return call();
  };
  return {
    ...link,
    streamState: () => pass(200, () => link.streamState()),
    request: (subject, data, options) =>
      pass(options.timeoutMs, async () => {
        const reply = await link.request(subject, data, options);
        return faults.forge?.(reply) ?? reply;
      }),
    follow: (options) => follow(link.follow(options), faults, random),
    connected: () => link.connected() && !faults.cut,
  };
}

async function* follow(messages: AsyncIterable<LogMessage>, faults: LinkFaults, random: () => number): AsyncGenerator<LogMessage> {
  let late: LogMessage | null = null;
  for await (const message of messages) {
    if (faults.cut) return;
    if (faults.silent || random() < faults.lose) continue;
    const { seq } = message;
    const data = faults.forge?.(message.data) ?? message.data;
    if (late === null && random() < faults.swap) {
      late = { seq, data };
      continue;
    }
    yield { seq, data };
    if (late !== null) yield late;
    late = null;
  }
}
