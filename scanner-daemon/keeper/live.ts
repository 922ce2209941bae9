import type { z } from "zod";
import type { Bus, Message, Subscription } from "../../src/bus/bus.ts";
import { ALL_HEARTBEATS, ALL_PROGRESS, scannerOfSubject } from "../../src/bus/names.ts";
import type { Engine } from "../../src/core/messages/common.ts";
import { heartbeatSchema, progressSchema, type Heartbeat, type Progress } from "../../src/core/messages/bus.ts";
import type { Ledger, ScannerLive } from "../../src/ledger/types.ts";

/** What scanners say about themselves, lossy: kept here and handed on to the ledger's live tables about once a second. */
export type Live = {
  start(): void;
  stop(): void;
  /** Writes what is new since the last time, at most once a second. */
  flush(): Promise<void>;
  /** Last sign of life of each scanner of the region that was heard since the start, by name. */
  heartbeats(): ReadonlyMap<string, ScannerLive>;
  /** How long nothing was heard of a scanner, in ms; at most since the start, and 0 before it. */
  silentMs(scanner: string): number;
  /** Nothing could be heard until now: silence counts from here. */
  wasDeaf(): void;
  /** Heard a moment ago. */
  isLive(scanner: string): boolean;
  /** What a scanner last said that it can run; none for one that was not heard. */
  engines(scanner: string): readonly Engine[];
};

/** A scanner of which nothing was heard for so long is lost. */
export const SCANNER_LOST_MS = 15_000;

type LiveDeps = {
  readonly bus: Bus;
  readonly ledger: Pick<Ledger, "putHeartbeat" | "putProgress" | "scanners">;
  /** Whether this name belongs to a registered scanner of our region: nobody else may fill our tables. */
  readonly isOurs: (scanner: string) => boolean;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
};

const FLUSH_MS = 1_000;
/** A scanner runs one shard at a time; a few more may be on their way. */
const PROGRESS_PER_FLUSH_MAX = 1_000;

/** Listens from `start` on. Whatever does not fit the message schemas or its own subject is ignored. */
export function createLive(deps: LiveDeps): Live {
  const heard = new Map<string, ScannerLive>();
  // On the clock that never jumps: a step of the other one must not make all scanners seem lost.
  const heardAtMs = new Map<string, number>();
  let listensSinceMs: number | null = null;
  const silentMs = (scanner: string): number =>
    listensSinceMs === null ? 0 : deps.monotonicMs() - Math.max(listensSinceMs, heardAtMs.get(scanner) ?? -Infinity);
  const newBeats = new Map<string, Heartbeat>();
  const newProgress = new Map<string, Progress>();
  let subscriptions: Subscription[] = [];
  let flushedAtMs = -Infinity;
  const hear = <T extends { scanner: string }>(message: Message, schema: z.ZodType<T>): T | null => {
    const scanner = scannerOfSubject(message.subject);
    if (scanner === null || !deps.isOurs(scanner)) return null;
    const value = parse(message.data, schema);
    return value?.scanner === scanner ? value : null;
  };
  const onHeartbeat = (message: Message): void => {
    const beat = hear(message, heartbeatSchema);
    if (beat === null) return;
    heard.set(beat.scanner, { ...beat, receivedAtMs: deps.nowMs() });
    heardAtMs.set(beat.scanner, deps.monotonicMs());
    newBeats.set(beat.scanner, beat);
  };
  const onProgress = (message: Message): void => {
    const progress = hear(message, progressSchema);
    if (progress === null || newProgress.size >= PROGRESS_PER_FLUSH_MAX) return;
    newProgress.set(`${progress.scanner} ${progress.key.job} ${progress.key.tile} ${progress.key.shard}`, progress);
  };
  return {
    start: () => {
      if (subscriptions.length > 0) return;
      listensSinceMs = deps.monotonicMs();
      subscriptions = [deps.bus.subscribe(ALL_HEARTBEATS, onHeartbeat), deps.bus.subscribe(ALL_PROGRESS, onProgress)];
    },
    stop: () => {
      for (const subscription of subscriptions) subscription.stop();
      subscriptions = [];
      listensSinceMs = null;
    },
    flush: async () => {
      if (deps.monotonicMs() - flushedAtMs < FLUSH_MS) return;
      flushedAtMs = deps.monotonicMs();
      const beats = [...newBeats.values()];
      const progress = [...newProgress.values()];
      newBeats.clear();
      newProgress.clear();
      for (const beat of beats) await deps.ledger.putHeartbeat(beat, deps.nowMs());
      if (progress.length > 0) await deps.ledger.putProgress(progress, deps.nowMs());
    },
    heartbeats: () => heard,
    silentMs,
    wasDeaf: () => {
      if (listensSinceMs !== null) listensSinceMs = deps.monotonicMs();
    },
    isLive: (scanner) => heardAtMs.has(scanner) && silentMs(scanner) < SCANNER_LOST_MS,
    engines: (scanner) => heard.get(scanner)?.engines ?? [],
  };
}

function parse<T>(data: Uint8Array, schema: z.ZodType<T>): T | null {
  try {
    return schema.safeParse(JSON.parse(new TextDecoder().decode(data))).data ?? null;
  } catch {
    return null;
  }
}
