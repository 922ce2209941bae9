import { ACK_WAIT_MS, type Bus, type Claim } from "../../src/bus/bus.ts";
import { versionFamily } from "../../src/core/masscan/echo.ts";
import type { Cancel } from "../../src/core/messages/bus.ts";
import type { Assignment, AssignmentKey } from "../../src/core/messages/job.ts";
import { errorText, type Log } from "../log.ts";
import { checkClaim, type ClaimRules } from "./claims.ts";
import { concludeLeftOver, decline, execute, type ExecuteDeps } from "./execute.ts";
import type { Denials } from "./denials.ts";
import type { FinishedList } from "./finished.ts";
import { checkReady, readinessText, type Readiness, type ReadyInput } from "./ready.ts";
import type { RunProgress } from "./run.ts";
import type { RunStore } from "./store.ts";
import type { ScannerTuning } from "./tuning.ts";

/** What the scanner says about itself while it works. */
export type ScannerState = {
  readiness: Readiness | null;
  /** When readiness was checked, in ms of `performance.now`. */
  checkedAtMs: number;
  running: AssignmentKey | null;
  progress: RunProgress | null;
  /** Cancelled jobs, and tiles of them (`job tile`), and until when (ms of `performance.now`) their messages are put off. */
  readonly cancelled: Map<string, number>;
};

type LoopDeps = {
  readonly bus: Bus;
  readonly rules: ClaimRules;
  readonly ready: ReadyInput;
  readonly execution: ExecuteDeps;
  readonly finished: FinishedList;
  readonly store: RunStore;
  readonly denials: Pick<Denials, "ofAssignment">;
  readonly state: ScannerState;
  readonly log: Log;
  readonly pace: ScannerTuning;
};

/** Claims and runs assignments, one at a time. */
export type Loop = {
  start(): void;
  /** Stops work on a job, or one tile of it: the running assignment becomes partial, queued ones are put off until the keeper has removed them. */
  cancel(what: Pick<Cancel, "job" | "tile">, reason: string): void;
  /** What is denied has changed: stops the running assignment when it is hit. */
  recheck(): void;
  tally(): LoopTally;
  stop(reason: string): Promise<void>;
};

const CANCELLED_FOR_MS = 60_000;
const CANCELLED_MAX = 1_000;
const PUT_OFF_MS = 10_000;
/** Of a daemon that runs for months nobody asks for them. */
const OUTCOMES_MAX = 100_000;
const RETRY_MS = 1_000;
/** A repeat of a finished assignment after this long means that the keeper has lost the report, so it is run again. */
const REPEAT_RUNS_AGAIN_MS = 20 * ACK_WAIT_MS;

type Current = { readonly assignment: Assignment; readonly abort: AbortController };
/** What the loop has done since its start: how each shard's last run ended, and when (ms of `performance.now`) it last had work. */
export type LoopTally = { readonly complete: number; readonly partial: number; readonly isBusy: boolean; readonly lastWorkAtMs: number };

type Turn = LoopDeps & {
  readonly stopping: AbortSignal;
  current: Current | null;
  /** How the last run of each shard ended. */
  readonly outcomes: Map<string, "complete" | "partial">;
  lastWorkAtMs: number;
};

/** Makes the loop; it begins with `start`. */
export function createLoop(deps: LoopDeps): Loop {
  const stopping = new AbortController();
  const turn: Turn = { ...deps, stopping: stopping.signal, current: null, outcomes: new Map(), lastWorkAtMs: performance.now() };
  let running: Promise<void> = Promise.resolve();
  return {
    start: () => {
      running = runTurns(turn);
    },
    cancel: ({ job, tile }, reason) => {
      if (deps.state.cancelled.size >= CANCELLED_MAX) deps.state.cancelled.clear();
      deps.state.cancelled.set(tile === undefined ? job : `${job} ${tile}`, performance.now() + CANCELLED_FOR_MS);
      const { key } = turn.current?.assignment ?? {};
      if (key?.job === job && (tile === undefined || key.tile === tile)) turn.current?.abort.abort(reason);
    },
    recheck: () => {
      const denied = turn.current === null ? null : deps.denials.ofAssignment(turn.current.assignment);
      if (denied !== null) turn.current?.abort.abort(denied);
    },
    tally: () => {
      const kinds = [...turn.outcomes.values()];
      const complete = kinds.filter((kind) => kind === "complete").length;
      return { complete, partial: kinds.length - complete, isBusy: turn.current !== null, lastWorkAtMs: turn.lastWorkAtMs };
    },
    stop: async (reason) => {
      stopping.abort(reason);
      await running;
    },
  };
}

async function runTurns(turn: Turn): Promise<void> {
  let lastProblem: string | null = null;
  while (!turn.stopping.aborted) {
    try {
      await takeTurn(turn);
      lastProblem = null;
    } catch (error) {
      const problem = errorText(error);
      if (problem !== lastProblem) turn.log.warning("claiming or running failed; trying again every second", { problem });
      lastProblem = problem;
      await pause(RETRY_MS, turn.stopping);
    }
  }
}

async function takeTurn(turn: Turn): Promise<void> {
  // A run whose last word found no room on the disk is concluded before anything new begins.
  if (turn.store.runs().some((run) => run.end() === null)) await concludeLeftOver(turn.execution);
  const readiness = await freshReadiness(turn);
  if (readiness.engines.length === 0) return pause(RETRY_MS, turn.stopping);
  const { name, region } = turn.rules;
  const claim = await turn.bus.claim(region, name, { waitMs: turn.pace.claimWaitMs, signal: turn.stopping });
  if (claim === null) return;
  if (turn.stopping.aborted) return claim.nak(0);
  try {
    const assignment = await acceptClaim(claim, turn, readiness);
    if (assignment !== null) await work(claim, assignment, turn);
  } catch (error) {
    claim.nak(PUT_OFF_MS);
    throw error;
  }
}

async function work(claim: Claim, assignment: Assignment, turn: Turn): Promise<void> {
  const { key, engine, pairs } = assignment;
  const { state, log } = turn;
  const abort = new AbortController();
  turn.current = { assignment, abort };
  state.running = key;
  const signal = AbortSignal.any([turn.stopping, abort.signal]);
  const keepClaim = setInterval(() => claim.working(), ACK_WAIT_MS / 3);
  const onProgress = (progress: RunProgress): void => {
    state.progress = progress;
  };
  try {
    log.info("assignment started", { key, engine, pairs });
    const outcome = await execute(assignment, { signal, onProgress }, turn.execution);
    if (turn.outcomes.size >= OUTCOMES_MAX) turn.outcomes.clear();
    turn.outcomes.set(`${key.job} ${key.tile} ${key.shard}`, outcome.kind);
    log.info("assignment ended", { key, outcome });
    // What made it partial (a full disk, offloads) may make the next one partial too: look again before claiming.
    if (outcome.kind === "partial") state.checkedAtMs = -Infinity;
    await claim.ack();
  } finally {
    clearInterval(keepClaim);
    turn.current = null;
    turn.lastWorkAtMs = performance.now();
    state.running = null;
    state.progress = null;
  }
}

/** Readiness, checked again when the last look is too old: offloads in particular are looked at before claiming. */
async function freshReadiness(deps: LoopDeps): Promise<Readiness> {
  const { state } = deps;
  if (state.readiness !== null && performance.now() - state.checkedAtMs < deps.pace.readyMaxAgeMs) return state.readiness;
  const before = state.readiness === null ? "" : readinessText(state.readiness);
  const readiness = await checkReady(deps.ready);
  state.checkedAtMs = performance.now();
  state.readiness = readiness;
  const text = readinessText(readiness);
  if (text !== before && text === null) deps.log.info("the scanner is ready", { engines: readiness.engines });
  if (text !== before && text !== null)
    deps.log.warning("the scanner is not ready for everything", { engines: readiness.engines, problem: text });
  return readiness;
}

/** Decides about one message: null when it was answered, put off or thrown away without running anything. */
async function acceptClaim(claim: Claim, deps: LoopDeps, readiness: Readiness): Promise<Assignment | null> {
  const checked = checkClaim(claim, deps.rules);
  if (checked.kind === "refused") {
    deps.log.error("a message of the work queue was thrown away", { subject: claim.subject, reason: checked.reason });
    await claim.ack();
    return null;
  }
  const { assignment } = checked;
  const { job, tile } = assignment.key;
  const cancelledUntil = Math.max(deps.state.cancelled.get(job) ?? -Infinity, deps.state.cancelled.get(`${job} ${tile}`) ?? -Infinity);
  if (performance.now() < cancelledUntil) return putOff(claim);
  const repeat = deps.finished.find(assignment.key);
  if (repeat !== undefined && isAnswered(repeat, deps)) {
    await claim.ack();
    deps.execution.wakeSender();
    return null;
  }
  if (assignment.deadlineAtMs <= deps.execution.nowMs()) return declined(claim, assignment, "the job's deadline had passed", deps);
  const denied = deps.denials.ofAssignment(assignment);
  if (denied !== null) return declined(claim, assignment, denied, deps);
  if (assignment.engine === "connect") return assignment;
  const { masscanVersion } = readiness;
  if (masscanVersion !== null && versionFamily(masscanVersion) !== assignment.masscanFamily) {
    return declined(claim, assignment, `masscan is ${masscanVersion}, but the job needs ${assignment.masscanFamily}.x`, deps);
  }
  return readiness.engines.includes("masscan") ? assignment : putOff(claim);
}

function putOff(claim: Claim): null {
  claim.nak(PUT_OFF_MS);
  return null;
}

async function declined(claim: Claim, assignment: Assignment, reason: string, deps: LoopDeps): Promise<null> {
  deps.log.warning("an assignment was declined", { key: assignment.key, reason });
  await decline(assignment, reason, deps.execution);
  await claim.ack();
  return null;
}

/** Whether the finished run's report is still on its way, or was acknowledged a moment ago. */
function isAnswered(repeat: { readonly runId: string; readonly endedAtMs: number }, { store, execution }: LoopDeps): boolean {
  const onItsWay = store.runs().some((run) => run.start.runId === repeat.runId);
  return onItsWay || execution.nowMs() - repeat.endedAtMs < REPEAT_RUNS_AGAIN_MS;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener("abort", done, { once: true });
  });
}
