import { sha256Hex } from "../../src/bus/keys.node.ts";
import { PortolanError } from "../../src/core/errors.ts";
import { judge } from "../../src/core/masscan/outcome.ts";
import type { Assignment } from "../../src/core/messages/job.ts";
import type { Outcome } from "../../src/core/messages/report.ts";
import { errorText, type Log } from "../log.ts";
import { runConnect } from "./connect-run.ts";
import { isDiskFull } from "./durable.ts";
import type { FinishedList } from "./finished.ts";
import type { MasscanAdapter } from "../../src/core/masscan/argv.ts";
import type { Launch } from "./launch.ts";
import { runMasscan } from "./masscan-run.ts";
import type { RunProgress, RunResult, RunTiming } from "./run.ts";
import type { RunEnd, RunStore, StoredRun } from "./store.ts";

/** What the running of assignments needs. */
export type ExecuteDeps = {
  readonly how: Launch;
  readonly adapter: MasscanAdapter;
  readonly store: RunStore;
  readonly finished: FinishedList;
  readonly nowMs: () => number;
  readonly newRunId: () => string;
  /** Tells the sender that a part was sealed or a run has ended. */
  readonly wakeSender: () => void;
  readonly log: Log;
  readonly runTiming?: Partial<RunTiming>;
  /** How long sightings may wait for their part to be sealed and sent. */
  readonly sealEveryMs: number;
};

/** How long until the last word is tried again on a disk without any room. */
const LAST_WORD_RETRY_MS = 500;
const LAST_WORD_TRIES_MAX = 5;

/**
 * Runs one assignment as a whole: start on disk, engine, spool, last word on disk and in the finished list. When it returns,
 * the claim may be acknowledged: nothing of the run can be lost any more.
 */
export async function execute(
  assignment: Assignment,
  { signal, onProgress }: { readonly signal: AbortSignal; readonly onProgress: (progress: RunProgress) => void },
  deps: ExecuteDeps,
): Promise<Outcome> {
  const { store, nowMs } = deps;
  const run = await store.create({ version: 1, assignment, runId: deps.newRunId(), startedAtMs: nowMs() });
  const full = new AbortController();
  const sealing = setInterval(() => {
    run.spool.seal().then(deps.wakeSender, (error: unknown) => full.abort(error));
  }, deps.sealEveryMs);
  const engine = assignment.engine === "masscan" ? runMasscan : runConnect;
  let result: RunResult;
  try {
    result = await engine({
      assignment,
      how: deps.how,
      adapter: deps.adapter,
      directory: run.directory,
      nowMs,
      onProgress,
      take: (sighting) => run.spool.add(sighting),
      signal: AbortSignal.any([signal, full.signal]),
      ...(deps.runTiming === undefined ? {} : { timing: deps.runTiming }),
    });
  } finally {
    clearInterval(sealing);
  }
  const spoolProblem = await run.spool.flush().then(
    () => null,
    (error: unknown) => errorText(error),
  );
  const reason = result.stopped ?? spoolProblem;
  const outcome = withReason(judge(result.evidence, assignment, sha256Hex), reason);
  await conclude(run, { version: 1, outcome, evidence: result.evidence, probesSent: result.probesSent, endedAtMs: nowMs() }, deps);
  return outcome;
}

/** Reports an assignment as partial without running it. */
export async function decline(assignment: Assignment, reason: string, deps: ExecuteDeps): Promise<void> {
  const nowMs = deps.nowMs();
  const run = await deps.store.create({ version: 1, assignment, runId: deps.newRunId(), startedAtMs: nowMs });
  const outcome = withReason({ kind: "complete" }, reason);
  await conclude(run, { version: 1, outcome, evidence: null, probesSent: 0, endedAtMs: nowMs }, deps);
}

/** After a restart: runs without a last word get one (partial, evidence unknown), and all ended runs are in the finished list. */
export async function concludeLeftOver(deps: ExecuteDeps): Promise<void> {
  for (const run of deps.store.runs()) {
    const outcome = judge(null, run.start.assignment, sha256Hex);
    const last = run.end() ?? { version: 1 as const, outcome, evidence: null, probesSent: 0, endedAtMs: deps.nowMs() };
    await conclude(run, last, deps);
  }
}

async function conclude(run: StoredRun, end: RunEnd, deps: ExecuteDeps): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await run.spool.seal();
      if (run.end() === null) await run.finish(end);
      await deps.finished.add({ key: run.start.assignment.key, runId: run.start.runId, endedAtMs: end.endedAtMs });
      deps.wakeSender();
      return;
    } catch (error) {
      if (tries >= LAST_WORD_TRIES_MAX || (!isDiskFull(error) && !(error instanceof PortolanError))) throw error;
      deps.log.error("the last word of a run finds no room on the disk; using the reserve", { problem: errorText(error) });
      await deps.store.useReserve();
      await new Promise((resolve) => setTimeout(resolve, LAST_WORD_RETRY_MS));
    }
  }
}

/** Adds why a run was stopped in front of what was found wrong with it. */
function withReason(outcome: Outcome, reason: string | null): Outcome {
  if (reason === null) return outcome;
  const more = outcome.kind === "partial" ? outcome.reasons : [];
  return { kind: "partial", reasons: [reason.slice(0, 300), ...more].slice(0, 20) };
}
