import type { ConfirmOrder, Probe, ProbeAnswer } from "../../src/core/messages/probe.ts";
import { errorText } from "../log.ts";
import type { Prober } from "./prober-client.ts";
import { PAIRS_PER_REQUEST_MAX } from "./prober-protocol.ts";

/** Connects to each target that never answers "open". */
const ROUNDS = 3;
/** Small against any scan that runs beside it; the prober keeps the rate over all orders together. */
const SETTINGS = { timeoutMs: 3_000, parallel: 64, ratePps: 50, retries: 0 } as const;
/** All targets that a scanner may have in hand, behind the rate and the time-outs. */
const ANSWER_LIMIT_MS = 120_000;

/** What looking needs. */
export type LookDeps = {
  readonly prober: Prober;
  readonly targets: ConfirmOrder["targets"];
  /** From the end of one round to the beginning of the next. */
  readonly everyMs: number;
  readonly signal: AbortSignal;
};

type Seen = { answer: ProbeAnswer; connects: number };

/**
 * Three TCP connects to each target, in rounds: from the first to the third pass at least two pauses. One open answer decides;
 * one that could not be had makes the whole target `error`. Throws only when the signal aborts.
 */
export async function lookByConnect(deps: LookDeps): Promise<Probe["results"]> {
  const seen: Seen[] = deps.targets.map(() => ({ answer: "filtered", connects: 0 }));
  for (let round = 0; round < ROUNDS && !seen.every(isDecided); round += 1) {
    if (round > 0) await pause(deps.everyMs, deps.signal);
    if (deps.signal.aborted) break;
    await lookOnce(deps, seen);
  }
  if (deps.signal.aborted) throw new Error(errorText(deps.signal.reason));
  return deps.targets.map((target, index) => ({ ...target, ...(seen[index] ?? { answer: "error", connects: 0 }) }));
}

function isDecided({ answer }: Seen): boolean {
  return answer === "open" || answer === "error";
}

async function lookOnce({ prober, targets }: LookDeps, seen: readonly Seen[]): Promise<void> {
  const due = targets.flatMap((target, index) => {
    const state = seen[index];
    return state === undefined || isDecided(state) ? [] : [{ target, state }];
  });
  for (let at = 0; at < due.length; at += PAIRS_PER_REQUEST_MAX) {
    const batch = due.slice(at, at + PAIRS_PER_REQUEST_MAX);
    const answers = await answersOf(
      prober,
      batch.map(({ target }) => [target.address, target.port] as const),
    );
    for (const [index, { state }] of batch.entries()) takeAnswer(state, answers[index]);
  }
}

/** One letter for each pair; "e" for all of them when the prober is gone. */
async function answersOf(prober: Prober, pairs: readonly (readonly [string, number])[]): Promise<string> {
  try {
    return (await prober.connect(pairs, SETTINGS, ANSWER_LIMIT_MS)).answers;
  } catch {
    return "e".repeat(pairs.length);
  }
}

function takeAnswer(state: Seen, letter: string | undefined): void {
  if (letter !== "o" && letter !== "c" && letter !== "f") {
    state.answer = "error";
    return;
  }
  state.connects += 1;
  if (letter === "o") state.answer = "open";
  // A refusal says more than silence, whichever came first.
  if (letter === "c") state.answer = "closed";
}

/** Waits on the clock that never jumps, so that the pause is not short by a timer's rounding. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  const untilMs = performance.now() + ms;
  while (!signal.aborted && performance.now() < untilMs) {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, Math.ceil(untilMs - performance.now()));
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
