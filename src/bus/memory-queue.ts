import { ACK_PENDING_MAX, type Claim, type ClaimOptions } from "./bus.ts";

type Entry = {
  readonly subject: string;
  readonly data: Uint8Array;
  deliveries: number;
  /** Handed out, or given back with a delay: not available before this moment. */
  hiddenUntilMs: number;
  /** Deliveries with another number are out of date. */
  out: boolean;
};

/** One region's work queue in memory. */
export type MemoryQueue = {
  /** Scanners that have a durable. */
  readonly claimers: Set<string>;
  add(message: { readonly subject: string; readonly data: Uint8Array; readonly id: string }): { duplicate: boolean };
  subjects(fits: (subject: string) => boolean): string[];
  purge(subject: string): number;
  claim(fits: (subject: string) => boolean, options: ClaimOptions): Promise<Claim | null>;
  /** Lets waiting claims look again. */
  wake(): void;
};

type Options = { readonly nowMs: () => number; readonly ackWaitMs: number; readonly duplicateWindowMs: number };

/** How often a waiting claim looks for messages whose ack wait ran out. */
const LOOK_MS = 20;

/** Makes an empty queue. */
export function createMemoryQueue(options: Options): MemoryQueue {
  const entries = new Set<Entry>();
  const ids = new Map<string, number>();
  const waiting = new Set<() => void>();
  const wake = (): void => {
    for (const look of waiting) look();
  };
  const take = (fits: (subject: string) => boolean): Claim | null => {
    const now = options.nowMs();
    const own = [...entries].filter((entry) => fits(entry.subject));
    if (own.filter((entry) => entry.out && entry.hiddenUntilMs > now).length >= ACK_PENDING_MAX) return null;
    const entry = own.find((candidate) => candidate.hiddenUntilMs <= now);
    return entry === undefined ? null : handOut(entry, entries, options);
  };
  return {
    claimers: new Set(),
    wake,
    add: ({ subject, data, id }) => {
      const now = options.nowMs();
      for (const [known, untilMs] of ids) if (untilMs <= now) ids.delete(known);
      if (ids.has(id)) return { duplicate: true };
      ids.set(id, now + options.duplicateWindowMs);
      entries.add({ subject, data: data.slice(), deliveries: 0, hiddenUntilMs: 0, out: false });
      wake();
      return { duplicate: false };
    },
    subjects: (fits) => [...new Set([...entries].map((entry) => entry.subject).filter(fits))].toSorted(),
    purge: (subject) => {
      const gone = [...entries].filter((entry) => entry.subject === subject);
      for (const entry of gone) entries.delete(entry);
      return gone.length;
    },
    claim: (fits, wanted) => waitFor(() => take(fits), waiting, wanted),
  };
}

function handOut(entry: Entry, entries: Set<Entry>, options: Options): Claim {
  entry.deliveries += 1;
  entry.out = true;
  entry.hiddenUntilMs = options.nowMs() + options.ackWaitMs;
  const delivery = entry.deliveries;
  return {
    subject: entry.subject,
    data: entry.data.slice(),
    deliveryCount: delivery,
    working: () => {
      if (delivery === entry.deliveries) entry.hiddenUntilMs = options.nowMs() + options.ackWaitMs;
    },
    // As in NATS a late acknowledgement counts too: there is no fencing.
    ack: async () => void entries.delete(entry),
    nak: (delayMs) => {
      if (delivery !== entry.deliveries) return;
      entry.out = false;
      entry.hiddenUntilMs = options.nowMs() + delayMs;
    },
  };
}

function waitFor(take: () => Claim | null, waiting: Set<() => void>, { waitMs, signal }: ClaimOptions): Promise<Claim | null> {
  if (signal?.aborted) return Promise.resolve(null);
  const now = take();
  if (now !== null) return Promise.resolve(now);
  return new Promise((resolve) => {
    const finish = (claim: Claim | null): void => {
      clearTimeout(timer);
      clearInterval(interval);
      waiting.delete(look);
      signal?.removeEventListener("abort", abort);
      resolve(claim);
    };
    const look = (): void => {
      const claim = take();
      if (claim !== null) finish(claim);
    };
    const abort = (): void => finish(null);
    const timer = setTimeout(abort, waitMs);
    const interval = setInterval(look, LOOK_MS);
    waiting.add(look);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
