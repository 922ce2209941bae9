import type { ScannerLive } from "../../src/ledger/types.ts";

/** A message of the work queue: for whom, and its exact subject. */
type Lying = { readonly scanner: string; readonly subject: string };

/** Longer than the queue's window of duplicates, so that the message can be put there again at once. */
const STUCK_MS = 12_000;
const FRESH_MS = 5_000;

/**
 * Finds messages that a live, idle scanner does not get. A server that was killed may have forgotten that a message was out
 * for work with a scanner that died too; such a message lies in the stream and is handed to nobody.
 */
export function createStuckWatch(): (input: {
  readonly queued: readonly Lying[];
  readonly heartbeats: ReadonlyMap<string, ScannerLive>;
  readonly nowMs: number;
}) => Set<string> {
  let since = new Map<string, number>();
  return ({ queued, heartbeats, nowMs }) => {
    const now = new Map<string, number>();
    for (const { scanner, subject } of queued) {
      const live = heartbeats.get(scanner);
      const isIdle = live !== undefined && live.running === null && nowMs - live.receivedAtMs < FRESH_MS;
      if (isIdle) now.set(subject, since.get(subject) ?? nowMs);
    }
    const stuck = new Set([...now].filter(([, atMs]) => nowMs - atMs >= STUCK_MS).map(([subject]) => subject));
    for (const subject of stuck) now.delete(subject);
    since = now;
    return stuck;
  };
}
