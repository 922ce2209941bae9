import type { Bus } from "../../src/bus/bus.ts";
import { publicKeyOf, sha256Hex, signText } from "../../src/bus/keys.node.ts";
import { reportsSubject } from "../../src/bus/names.ts";
import { decodeSightingTable, encodeSightings } from "../../src/core/columns.ts";
import { type Receipt, submitReplySchema, type SubmitReply } from "../../src/core/messages/bus.ts";
import type { Statement } from "../../src/core/messages/record.ts";
import { signedText, statementId } from "../../src/core/statement.ts";
import { encodeWire } from "../../src/core/wire.ts";
import { errorText, type Log } from "../log.ts";
import type { RunStore, StoredRun } from "./store.ts";

/** What sending needs. */
export type SenderDeps = {
  readonly name: string;
  readonly region: string;
  readonly bus: Bus;
  /** nkey seed that signs parts and reports. */
  readonly seed: string;
  readonly store: RunStore;
  readonly log: Log;
  readonly nowMs: () => number;
  /** Number in [0, 1) that spreads retries. */
  readonly random: () => number;
  readonly timing?: Partial<SenderTiming>;
};

/** Pace of sending, in ms. */
export type SenderTiming = { readonly requestTimeoutMs: number; readonly backoffFirstMs: number; readonly backoffMaxMs: number };

const TIMING: SenderTiming = { requestTimeoutMs: 10_000, backoffFirstMs: 250, backoffMaxMs: 15_000 };
const PARTS_IN_FLIGHT_MAX = 4;

/** Sends what the store holds until the keeper has acknowledged it; survives any time without a keeper. */
export type Sender = {
  /** Says that there may be something new to send. */
  wake(): void;
  /** Resolves when nothing sealed or finished is left to send, or after `timeoutMs`. */
  drained(timeoutMs: number): Promise<boolean>;
  /** Ends sending; what is in flight is sent again at the next start. */
  stop(): Promise<void>;
};

/** Starts sending at once, oldest run first. Parts go before their report; a repeat after a lost reply has the same id. */
export function startSender(deps: SenderDeps): Sender {
  const timing = { ...TIMING, ...deps.timing };
  const sent = new Map<StoredRun, Sent>();
  let stopping = false;
  let idle = false;
  let failures = 0;
  let wakeUp = (): void => {};
  let awake = false;
  const pause = (ms: number | null): Promise<void> =>
    new Promise((resolve) => {
      if (awake || stopping) return resolve();
      const timer = ms === null ? undefined : setTimeout(resolve, ms);
      wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const loop = async (): Promise<void> => {
    while (!stopping) {
      awake = false;
      try {
        const busy = await sendRound(deps, timing, sent);
        failures = 0;
        idle = !busy;
        if (!busy) await pause(null);
      } catch (error) {
        failures += 1;
        if (failures === 1) deps.log.warning("cannot send to the keeper yet; the spool keeps everything", { problem: errorText(error) });
        const backoffMs = Math.min(timing.backoffMaxMs, timing.backoffFirstMs * 2 ** Math.min(failures - 1, 16));
        // A wake does not shorten the back-off: it only tells of more to send.
        await sleepUnless(() => stopping, backoffMs * (0.5 + deps.random() / 2));
      }
    }
  };
  const running = loop();
  return {
    wake: () => {
      awake = true;
      idle = false;
      wakeUp();
    },
    drained: async (timeoutMs) => {
      const untilMs = performance.now() + timeoutMs;
      while (!idle && performance.now() < untilMs) await sleepUnless(() => idle, 10);
      return idle;
    },
    stop: async () => {
      stopping = true;
      wakeUp();
      await running;
    },
  };
}

type PartId = { readonly id: string; readonly sightings: number };
/** What was acknowledged of one run: its parts in their order, and the highest number that it got in each log. */
type Sent = { readonly parts: PartId[]; readonly marks: Map<string, number> };

function note({ marks }: Sent, { log, rseq }: Receipt): void {
  marks.set(log, Math.max(rseq, marks.get(log) ?? -1));
}

/**
 * Sends one batch of parts, or one report; false when nothing waits. Throws when it has to be tried again later. A run that the keeper cannot
 * take yet (its job is not known there any more) does not hold up the others.
 */
async function sendRound(deps: SenderDeps, timing: SenderTiming, sent: Map<StoredRun, Sent>): Promise<boolean> {
  let postponed: Later | null = null;
  for (const run of deps.store.runs()) {
    const of = sent.get(run) ?? { parts: [], marks: new Map() };
    sent.set(run, of);
    // The end is read first: what was sealed before it is all there is.
    const end = run.end();
    const waiting = run.spool.parts().length - of.parts.length;
    try {
      if (waiting > 0) {
        await sendParts(deps, timing, run, of, Math.min(waiting, PARTS_IN_FLIGHT_MAX));
        return true;
      }
      if (end === null) continue;
      note(of, await submit(deps, timing, reportStatement(deps, run, of.parts), null));
    } catch (error) {
      if (error instanceof Later) postponed ??= error;
      else if (!(error instanceof Refusal)) throw error;
      // A run that still goes on is set aside when it has ended.
      if (error instanceof Later || end === null) continue;
      const path = await deps.store.setAside(run);
      deps.log.error("the keeper refuses a run for good; it was set aside", { problem: error.message, path });
      sent.delete(run);
      return true;
    }
    await deps.store.retire(run, of.marks, deps.nowMs());
    sent.delete(run);
    return true;
  }
  if (postponed !== null) throw postponed;
  return false;
}

async function sendParts(deps: SenderDeps, timing: SenderTiming, run: StoredRun, of: Sent, count: number): Promise<void> {
  const indexes = Array.from({ length: count }, (_, offset) => of.parts.length + offset);
  const results = await Promise.allSettled(indexes.map((index) => sendPart(deps, timing, run, index)));
  for (const result of results) {
    if (result.status === "rejected") throw result.reason;
    of.parts.push(result.value.part);
    note(of, result.value.receipt);
  }
}

async function sendPart(
  deps: SenderDeps,
  timing: SenderTiming,
  run: StoredRun,
  index: number,
): Promise<{ part: PartId; receipt: Receipt }> {
  const payload = encodeSightings(await run.spool.readPart(index));
  const sightings = decodeSightingTable(payload).count;
  const { assignment, runId } = run.start;
  const content = { version: 1 as const, key: assignment.key, scanner: deps.name, runId, index, sightings };
  const statement: Statement = { kind: "part", content: { ...content, payloadSha256: sha256Hex(payload), payloadBytes: payload.length } };
  const receipt = await submit(deps, timing, statement, payload);
  return { part: { id: receipt.id, sightings }, receipt };
}

function reportStatement(deps: SenderDeps, run: StoredRun, parts: readonly PartId[]): Statement {
  const end = run.end();
  if (end === null) throw new Error("the run has not ended");
  const { assignment, runId, startedAtMs } = run.start;
  const { outcome, evidence, probesSent } = end;
  return {
    kind: "report",
    content: {
      version: 1,
      key: assignment.key,
      scanner: deps.name,
      runId,
      outcome,
      evidence,
      probesSent,
      startedAtMs,
      parts: [...parts],
      sightings: parts.reduce((sum, part) => sum + part.sightings, 0),
      endedAtMs: end.endedAtMs,
    },
  };
}

/** The keeper will not take these bytes, however often they are sent. */
export class Refusal extends Error {}

/** The keeper answers, and cannot take these bytes yet. */
class Later extends Error {}

/** Signs a statement, sends it once and gives its receipt. Throws `Refusal`, or another error when it may be tried again. */
export async function submit(
  deps: Pick<SenderDeps, "name" | "region" | "bus" | "seed">,
  timing: Pick<SenderTiming, "requestTimeoutMs">,
  statement: Statement,
  payload: Uint8Array | null,
): Promise<Receipt> {
  const id = statementId(statement, sha256Hex);
  const author = { name: deps.name, publicKey: publicKeyOf(deps.seed), signature: signText(deps.seed, signedText(id)) };
  const bytes = encodeWire({ statement, author }, payload);
  const reply = readReply(await deps.bus.request(reportsSubject(deps.region), bytes, { timeoutMs: timing.requestTimeoutMs }));
  if (reply.ok && reply.receipt.id === id) return reply.receipt;
  if (reply.ok) throw new Error(`the keeper acknowledged ${reply.receipt.id} instead of ${id}`);
  throw reply.retry ? new Later(reply.problem) : new Refusal(reply.problem);
}

function readReply(bytes: Uint8Array): SubmitReply {
  return submitReplySchema.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
}

async function sleepUnless(done: () => boolean, ms: number): Promise<void> {
  const untilMs = performance.now() + ms;
  while (!done() && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(100, Math.max(1, untilMs - performance.now()))));
  }
}
