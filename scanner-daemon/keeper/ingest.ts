import { zstdCompressSync } from "node:zlib";
import type { Bus, Subscription } from "../../src/bus/bus.ts";
import { sha256Hex, verifyText } from "../../src/bus/keys.node.ts";
import { KEEPERS, reportsSubject } from "../../src/bus/names.ts";
import { PortolanError } from "../../src/core/errors.ts";
import type { Receipt, SubmitReply } from "../../src/core/messages/bus.ts";
import type { Probe } from "../../src/core/messages/probe.ts";
import { ACCEPT_ITEMS_MAX, type AcceptItem } from "../../src/ledger/types.ts";
import type { Scanner } from "../../src/registry/types.ts";
import { errorText, type Log } from "../log.ts";
import { checkMessage, type BadCause, type CheckDeps, type Checked } from "./check.ts";
import type { Specs } from "./specs.ts";
import type { Writer } from "./writer.ts";

/** Sightings of one transaction: larger ones take longer than they gain (and hold the database's lock). */
const BATCH_SIGHTINGS_MAX = 20_000;
/** What may wait for its transaction; beyond it scanners are asked to send again. */
const WAITING_SIGHTINGS_MAX = 60_000;
const WAITING_ITEMS_MAX = 512;
/** Messages that wait for a job's spec to be read. */
const CHECKING_MAX = 64;

/** How many statements came to what end since the start. */
export type IngestCounters = Record<BadCause | "accepted" | "sightings" | "later", number>;

/** The keeper's ear for parts, reports and probes. */
export type Ingest = {
  /** Answers requests on `reports.<region>` from now on. Repeatable. */
  start(): void;
  /** Answers no further request and waits for the ones in hand. */
  stop(): Promise<void>;
  /** Judges and commits one message; also for tests. Never throws. */
  submit(bytes: Uint8Array): Promise<SubmitReply>;
  readonly counters: Readonly<IngestCounters>;
};

type IngestDeps = {
  readonly region: string;
  readonly bus: Bus;
  readonly writer: Writer;
  readonly specs: Specs;
  readonly scanners: () => readonly Scanner[] | null;
  readonly log: Log;
  /** A report or a probe was committed: a tile may be complete now, or a service closed. */
  readonly onReport: () => void;
  /** A probe was committed. */
  readonly onProbe: (probe: Probe) => void;
} & Pick<CheckDeps, "keeper" | "reassigned" | "mayStillCome">;

type Waiting = { readonly item: AcceptItem; readonly sightings: number; readonly replies: ((reply: SubmitReply) => void)[] };

/** Makes the ear. Nothing is heard before `start`. */
export function createIngest(deps: IngestDeps): Ingest {
  const counters: IngestCounters = { accepted: 0, sightings: 0, later: 0, garbled: 0, forged: 0, foreign: 0, mismatch: 0, outside: 0 };
  const queue = createQueue(deps, counters);
  const check = (bytes: Uint8Array): Promise<Checked> => checkMessage(bytes, { ...deps, sha256: sha256Hex, verify: verifyText });
  let subscription: Subscription | null = null;
  let checking = 0;
  const submit = async (bytes: Uint8Array): Promise<SubmitReply> => {
    if (queue.full() || checking >= CHECKING_MAX) return later(counters, "the keeper is busy");
    checking += 1;
    const checked = await check(bytes).catch((error: unknown): Checked => ({ kind: "later", problem: errorText(error) }));
    checking -= 1;
    switch (checked.kind) {
      case "later":
        return later(counters, checked.problem);
      case "bad":
        counters[checked.cause] += 1;
        deps.log.warning(`refused a message of ${bytes.length} bytes: ${checked.problem}`, { cause: checked.cause });
        return { ok: false, retry: false, problem: checked.problem };
      case "good":
        return queue.add(withStoredPayload(checked.item), checked.sightings);
    }
  };
  return {
    counters,
    submit,
    start: () => {
      const handler = async ({ data }: { data: Uint8Array }): Promise<Uint8Array> =>
        new TextEncoder().encode(JSON.stringify(await submit(data)));
      subscription ??= deps.bus.serve(reportsSubject(deps.region), { queue: KEEPERS, handler });
    },
    stop: async () => {
      subscription?.stop();
      subscription = null;
      await queue.settled();
    },
  };
}

/** Compresses while the ledger is busy with the transaction before. */
function withStoredPayload(item: AcceptItem): AcceptItem {
  return item.payload === null ? item : { ...item, compressed: zstdCompressSync(item.payload) };
}

function later(counters: IngestCounters, problem: string): SubmitReply {
  counters.later += 1;
  return { ok: false, retry: true, problem: problem.slice(0, 900) };
}

type Queue = { full(): boolean; add(item: AcceptItem, sightings: number): Promise<SubmitReply>; settled(): Promise<void> };

/** Gathers what waits into one transaction; while one is in flight the next is being gathered. */
function createQueue(deps: IngestDeps, counters: IngestCounters): Queue {
  const waiting = new Map<string, Waiting>();
  let sightingsWaiting = 0;
  let running: Promise<void> | null = null;
  const take = (): Waiting[] => {
    const batch: Waiting[] = [];
    let sightings = 0;
    for (const [id, entry] of waiting) {
      if (batch.length > 0 && (batch.length >= ACCEPT_ITEMS_MAX || sightings + entry.sightings > BATCH_SIGHTINGS_MAX)) break;
      waiting.delete(id);
      sightings += entry.sightings;
      batch.push(entry);
    }
    sightingsWaiting -= sightings;
    return batch;
  };
  const run = async (): Promise<void> => {
    // What arrives in the same moment shares the first transaction.
    await Promise.resolve();
    const inHand = new Set<Promise<void>>();
    while (waiting.size > 0) {
      const work: Promise<void> = commit(deps, take(), counters).finally(() => inHand.delete(work));
      inHand.add(work);
      await deps.writer.free();
      if (waiting.size === 0) await Promise.all(inHand);
    }
    running = null;
  };
  return {
    full: () => waiting.size >= WAITING_ITEMS_MAX || sightingsWaiting >= WAITING_SIGHTINGS_MAX,
    add: (item, sightings) =>
      new Promise((resolve) => {
        const same = waiting.get(item.id);
        if (same !== undefined) {
          same.replies.push(resolve);
          return;
        }
        waiting.set(item.id, { item, sightings, replies: [resolve] });
        sightingsWaiting += sightings;
        running ??= run();
      }),
    settled: async () => {
      while (running !== null) await running;
    },
  };
}

async function commit(deps: IngestDeps, batch: readonly Waiting[], counters: IngestCounters): Promise<void> {
  try {
    const receipts = await deps.writer.write(batch.map((entry) => entry.item));
    for (const [index, entry] of batch.entries()) acknowledge(entry, receipts[index], counters);
    for (const { item } of batch) if (item.statement.kind === "probe") deps.onProbe(item.statement.content);
    if (batch.some(({ item }) => item.statement.kind !== "part")) deps.onReport();
  } catch (error) {
    // One statement that the ledger cannot take must not hold up the others.
    if (isPoison(error) && batch.length > 1) {
      for (const entry of batch) await commit(deps, [entry], counters);
      return;
    }
    const poison = isPoison(error);
    if (poison) counters.garbled += batch.length;
    else counters.later += batch.length;
    if (poison) deps.log.error(`the ledger cannot take a statement: ${errorText(error)}`);
    // A bug would otherwise look like a busy keeper for ever.
    else if (!isPassing(error)) deps.log.error(`a commit failed, the scanners will send again: ${errorText(error)}`);
    const reply: SubmitReply = { ok: false, retry: !poison, problem: errorText(error).slice(0, 900) };
    for (const entry of batch) for (const answer of entry.replies) answer(reply);
  }
}

function acknowledge(entry: Waiting, receipt: Receipt | undefined, counters: IngestCounters): void {
  if (receipt === undefined) throw new PortolanError("internal", "the ledger gave fewer receipts than it took statements");
  counters.accepted += 1;
  counters.sightings += entry.sightings;
  for (const answer of entry.replies) answer({ ok: true, receipt });
}

/** A database that is away or a lease that was lost: heals by itself, and is told elsewhere. */
function isPassing(error: unknown): boolean {
  return error instanceof PortolanError && (error.code === "unavailable" || error.code === "conflict");
}

function isPoison(error: unknown): boolean {
  return error instanceof PortolanError && (error.code === "invalid" || error.code === "too-large");
}
