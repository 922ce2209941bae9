import type { LogStreamLimits } from "./bus.ts";
import { LOG_AGE_MAX_MS, LOG_BYTES_MAX, LOG_DUPLICATE_WINDOW_MS } from "./bus.ts";
import type { LogMessage, LogStreamState } from "./peer.ts";

/** One region's log stream in memory. */
export type MemoryLog = {
  limit(limits: LogStreamLimits): void;
  state(): LogStreamState;
  publish(message: { readonly data: Uint8Array; readonly id: string }): { seq: number; duplicate: boolean };
  raise(seq: number): void;
  /** The first message with this sequence or a higher one; null while there is none. */
  from(seq: number): LogMessage | null;
  /** Calls back once, when something has come or `wake` was called; gives a way to cancel. */
  next(callback: () => void): () => void;
  wake(): void;
};

/** Makes an empty stream. */
export function createMemoryLog(nowMs: () => number): MemoryLog {
  let messages: { readonly seq: number; readonly data: Uint8Array; readonly atMs: number }[] = [];
  const ids = new Map<string, { readonly seq: number; readonly atMs: number }>();
  let lastSeq = 0;
  let limits: Required<LogStreamLimits> = { maxBytes: LOG_BYTES_MAX, maxAgeMs: LOG_AGE_MAX_MS };
  const { wake, next } = createWaiting();
  let bytes = 0;
  // Oldest first in both, so only what goes is looked at.
  const trim = (): void => {
    const now = nowMs();
    for (const [id, { atMs }] of ids) {
      if (now - atMs < LOG_DUPLICATE_WINDOW_MS) break;
      ids.delete(id);
    }
    for (let first = messages[0]; first !== undefined; first = messages[0]) {
      if (now - first.atMs < limits.maxAgeMs && bytes <= limits.maxBytes) break;
      bytes -= first.data.length;
      messages.shift();
    }
  };
  return {
    wake,
    limit: (changed) => {
      limits = { maxBytes: changed.maxBytes ?? LOG_BYTES_MAX, maxAgeMs: changed.maxAgeMs ?? LOG_AGE_MAX_MS };
      trim();
    },
    state: () => {
      trim();
      return { firstSeq: messages[0]?.seq ?? (lastSeq === 0 ? 0 : lastSeq + 1), lastSeq, messages: messages.length };
    },
    publish: ({ data, id }) => {
      trim();
      const known = ids.get(id);
      if (known !== undefined) return { seq: known.seq, duplicate: true };
      lastSeq += 1;
      ids.set(id, { seq: lastSeq, atMs: nowMs() });
      messages.push({ seq: lastSeq, data: data.slice(), atMs: nowMs() });
      bytes += data.length;
      trim();
      wake();
      return { seq: lastSeq, duplicate: false };
    },
    raise: (seq) => {
      messages = messages.filter((message) => message.seq >= seq);
      bytes = messages.reduce((sum, { data }) => sum + data.length, 0);
      lastSeq = Math.max(lastSeq, seq - 1);
    },
    from: (seq) => {
      trim();
      // Numbers have holes only in front, where the stream was raised: the wanted one is there, or before.
      const guess = messages[Math.max(0, messages.length - 1 - (lastSeq - seq))];
      const found = guess?.seq === seq ? guess : messages.find((message) => message.seq >= seq);
      return found === undefined ? null : { seq: found.seq, data: found.data.slice() };
    },
    next,
  };
}

/** Callbacks that wait for the next message, each called once. */
function createWaiting(): Pick<MemoryLog, "wake" | "next"> {
  const waiting = new Set<() => void>();
  return {
    wake: () => {
      for (const callback of waiting) callback();
      waiting.clear();
    },
    next: (callback) => {
      waiting.add(callback);
      return () => void waiting.delete(callback);
    },
  };
}
