import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { LINE_LENGTH_MAX, parseMasscanLine } from "../../src/core/masscan/lines.ts";
import { parseNotice, type MasscanProgress } from "../../src/core/masscan/progress.ts";
import type { MasscanEvidence } from "../../src/core/messages/report.ts";
import { errorText } from "../log.ts";
import { ended, launch } from "./launch.ts";
import { lineCutter } from "./lines.ts";
import { RUN_TIMING, runLimitMs, type RunInput, type RunTiming } from "./run.ts";
import { tileFilter } from "./tile-filter.ts";

/** What can be seen of masscan from outside, and how far it came. */
export type Watched = Omit<
  MasscanEvidence,
  "engine" | "effective" | "offloadsOn" | "interfaceDrops" | "canariesBefore" | "canariesAfter"
> & { readonly percent: number };

type State = { -readonly [Name in keyof Watched]: Watched[Name] } & {
  found: number;
  waitingS: number;
  waitingSinceMs: number | null;
  stopped: string | null;
};

/** Pokes before masscan is given up. */
const POKES_MAX = 3;
const ERROR_LINES_MAX = 20;

/**
 * Starts masscan and stays with it until it has ended: reads both streams, pokes it when it hangs after its wait, stops it
 * when it takes too long, when the spool takes no more, or when the signal aborts.
 */
export async function superviseMasscan(
  input: RunInput,
  argv: readonly string[],
  options: { readonly directory: string; readonly poke: () => Promise<void> },
): Promise<{ readonly watched: Watched; readonly stopped: string | null }> {
  const timing = { ...RUN_TIMING, ...input.timing };
  const child = launch(input.how, argv, { cwd: options.directory });
  child.stdin.on("error", () => {});
  child.stdin.end();
  const state = newState();
  const finished = ended(child);
  const stop = stopper(child, state, timing);
  const onAbort = (): void => stop(errorText(input.signal.reason));
  if (input.signal.aborted) onAbort();
  else input.signal.addEventListener("abort", onAbort, { once: true });
  const limitMs = Math.min(runLimitMs(input.assignment, timing), Math.max(1_000, input.assignment.deadlineAtMs - input.nowMs()));
  const limit = setTimeout(() => stop(`masscan did not end within ${Math.round(limitMs / 1_000)} s`), limitMs);
  const poking = poker(state, stop, options.poke, timing);
  const notices = readNotices(child, state, input);
  await readResults(child, state, input).catch((error: unknown) => stop(errorText(error)));
  const end = await finished;
  await notices;
  clearTimeout(limit);
  clearInterval(poking);
  stop.clear();
  input.signal.removeEventListener("abort", onAbort);
  state.exitCode = end.code;
  state.signal = end.signal;
  if (end.problem !== null) state.errorLines = [`masscan could not be started: ${end.problem}`.slice(0, 500)];
  if (state.waitingSinceMs !== null) state.waitedS = Math.floor((performance.now() - state.waitingSinceMs) / 1_000);
  const { found: _found, waitingS: _waiting, waitingSinceMs: _since, stopped, ...watched } = state;
  return { watched, stopped };
}

function newState(): State {
  return {
    exitCode: null,
    signal: null,
    signalSent: false,
    reachedWaiting: false,
    savedResume: false,
    errorLines: [],
    stdoutEnded: false,
    lastLineWhole: false,
    linesRefused: 0,
    firstRefused: null,
    waitedS: 0,
    pokes: 0,
    percent: 0,
    found: 0,
    waitingS: 0,
    waitingSinceMs: null,
    stopped: null,
  };
}

type Stop = ((reason: string) => void) & { clear(): void };

/** SIGTERM, then SIGKILL; the first reason is kept. */
function stopper(child: ChildProcessWithoutNullStreams, state: State, timing: RunTiming): Stop {
  let timer: NodeJS.Timeout | null = null;
  const stop = (reason: string): void => {
    if (state.stopped !== null) return;
    state.stopped = reason;
    state.signalSent = true;
    child.kill("SIGTERM");
    timer = setTimeout(() => child.kill("SIGKILL"), timing.killAfterMs);
  };
  return Object.assign(stop, { clear: () => void (timer !== null && clearTimeout(timer)) });
}

/**
 * masscan leaves its last wait only when a packet arrives; on a quiet link it counts below zero for ever. Each poke draws one
 * packet; when three have not helped it is killed.
 */
function poker(state: State, stop: Stop, poke: () => Promise<void>, timing: RunTiming): NodeJS.Timeout {
  let lastAtMs = -Infinity;
  const look = (): void => {
    if (state.waitingS >= 0 || state.stopped !== null || performance.now() - lastAtMs < timing.pokeEveryMs) return;
    lastAtMs = performance.now();
    if (state.pokes >= POKES_MAX) return stop(`masscan did not end after ${POKES_MAX} pokes`);
    state.pokes += 1;
    void poke();
  };
  return setInterval(look, Math.min(250, timing.pokeEveryMs));
}

async function readResults(child: ChildProcessWithoutNullStreams, state: State, { assignment, take }: RunInput): Promise<void> {
  const inTile = tileFilter(assignment);
  const cutter = lineCutter(/\n/, LINE_LENGTH_MAX);
  child.stdout.setEncoding("utf8");
  // Reading by iteration holds masscan back while the spool writes, so memory stays bounded.
  for await (const chunk of child.stdout as AsyncIterable<string>) {
    for (const line of cutter.push(chunk)) {
      const parsed = parseMasscanLine(line);
      if (parsed.kind === "refused") refuse(state, line, parsed.reason);
      if (parsed.kind !== "sighting") continue;
      if (!inTile(parsed.sighting)) {
        refuse(state, line, "not in the tile");
        continue;
      }
      state.found += 1;
      await take(parsed.sighting);
    }
  }
  state.stdoutEnded = true;
  state.lastLineWhole = cutter.rest() === "";
}

function refuse(state: State, line: string, reason: string): void {
  state.linesRefused += 1;
  state.firstRefused ??= `${reason}: ${JSON.stringify(line.slice(0, 250))}`.slice(0, 400);
}

async function readNotices(child: ChildProcessWithoutNullStreams, state: State, input: RunInput): Promise<void> {
  const cutter = lineCutter(/[\r\n]/, 10_000);
  const takeLine = (line: string): void => {
    const notice = parseNotice(line);
    if (notice.kind === "progress") takeProgress(state, notice.progress, input);
    if (notice.kind === "resume-saved") state.savedResume = true;
    if (notice.kind === "error" && state.errorLines.length < ERROR_LINES_MAX) state.errorLines = [...state.errorLines, notice.text];
  };
  try {
    for await (const chunk of child.stderr.setEncoding("utf8") as AsyncIterable<string>) cutter.push(chunk).forEach(takeLine);
    takeLine(cutter.rest());
  } catch {
    state.errorLines = [...state.errorLines, "ERROR: masscan's stderr could not be read to its end"].slice(0, ERROR_LINES_MAX);
  }
}

function takeProgress(state: State, progress: MasscanProgress, { onProgress }: RunInput): void {
  const { percent, ratePps, remainingS, waitingS } = progress;
  state.percent = Math.max(state.percent, percent);
  if (waitingS !== null) {
    state.waitingSinceMs ??= performance.now();
    if (percent >= 100) state.reachedWaiting = true;
    state.waitingS = waitingS;
  }
  const phase = waitingS === null ? "probing" : "waiting";
  // Until a few probes are out, masscan's guess of what remains is off by months.
  const guessS = percent < 1 ? null : remainingS;
  onProgress({ phase, percent, ratePps, found: state.found, remainingS: waitingS === null ? guessS : Math.max(0, waitingS) });
}
