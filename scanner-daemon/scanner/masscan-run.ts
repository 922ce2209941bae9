import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sha256Hex } from "../../src/bus/keys.node.ts";
import { masscanArgv, masscanRunFiles } from "../../src/core/masscan/argv.ts";
import { parseEcho, parseMasscanVersion, type MasscanEcho } from "../../src/core/masscan/echo.ts";
import { effectiveProblems } from "../../src/core/masscan/outcome.ts";
import { isErrorLine } from "../../src/core/masscan/progress.ts";
import type { MasscanEvidence } from "../../src/core/messages/report.ts";
import { capture } from "./launch.ts";
import { errorText } from "../log.ts";
import { superviseMasscan, type Watched } from "./masscan-process.ts";
import { askCanaries, readOffloads } from "./place.ts";
import { startProber, type Prober } from "./prober-client.ts";
import type { ProberView } from "./prober-protocol.ts";
import type { RunInput, RunResult } from "./run.ts";

const TOOL_TIMEOUT_MS = 15_000;
const NOT_RUN: Watched = {
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
};

/**
 * Runs masscan once for one assignment, from a private directory, and collects the evidence of how it went. What masscan
 * would really do is checked with `--echo` first; a difference from the assignment ends the run before a packet is sent.
 * Never rejects: whatever goes wrong is in the evidence.
 */
export async function runMasscan(input: RunInput): Promise<RunResult> {
  const prober = startProber(input.how);
  try {
    return await runWith(prober, input);
  } catch (error) {
    const problem = `the run could not be started: ${errorText(error)}`;
    const empty = { asked: 0, answered: 0 };
    const facts = { effective: null, offloadsOn: [], interfaceDrops: 0, canariesBefore: empty, canariesAfter: empty };
    return result({ ...NOT_RUN, errorLines: [problem.slice(0, 500)] }, facts, input, problem);
  } finally {
    prober.kill();
    await rm(workDirectory(input), { recursive: true, force: true });
  }
}

type Facts = Pick<MasscanEvidence, "effective" | "offloadsOn" | "interfaceDrops" | "canariesBefore" | "canariesAfter">;

async function runWith(prober: Prober, input: RunInput): Promise<RunResult> {
  const { assignment, how, adapter, signal } = input;
  input.onProgress({ phase: "starting", percent: 0, ratePps: 0, found: 0, remainingS: null });
  const directory = workDirectory(input);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const rangesFile = join(directory, "ranges");
  await writeFile(rangesFile, masscanRunFiles(assignment).ranges, { mode: 0o600 });
  const argv = masscanArgv(assignment, { rangesFile, adapter });

  const before = await prober.look(adapter.interface ?? null);
  const offloadsOn = await offloadsOf(input, before);
  const echo = await checkEcho(input, argv, directory);
  const effective = echo.kind === "effective" ? echo.effective : null;
  const canariesBefore = await askCanaries(prober, assignment.canaries);
  const refusals = echo.kind === "problem" ? [echo.reason] : effectiveProblems(echo.effective, assignment, sha256Hex);
  if (refusals.length > 0 || signal.aborted) {
    const facts = { effective, offloadsOn, interfaceDrops: 0, canariesBefore, canariesAfter: canariesBefore };
    const watched = { ...NOT_RUN, errorLines: refusals.slice(0, 20).map((text) => `not started: ${text}`.slice(0, 500)) };
    return result(watched, facts, input, signal.aborted ? errorText(signal.reason) : (refusals[0] ?? null));
  }
  const poke = async (): Promise<void> => {
    if (before.router !== null) await prober.poke(before.router).catch(() => false);
  };
  const { watched, stopped } = await superviseMasscan(input, [how.tools.stdbuf, "-oL", how.tools.masscan, ...argv], { directory, poke });
  const canariesAfter = await askCanaries(prober, assignment.canaries);
  const after = await prober.look(before.interface).catch(() => null);
  const interfaceDrops = after === null ? 0 : Math.max(0, after.drops - before.drops);
  const lost = after === null ? ["the prober ended during the run, so drops of the interface are not known"] : [];
  const facts = { effective, offloadsOn, interfaceDrops, canariesBefore, canariesAfter };
  return result({ ...watched, errorLines: [...watched.errorLines, ...lost].slice(0, 20) }, facts, input, stopped);
}

function workDirectory(input: RunInput): string {
  return join(input.directory, "work");
}

function result(watched: Watched, facts: Facts, { assignment }: RunInput, stopped: string | null): RunResult {
  const { percent, ...own } = watched;
  const probesSent = Math.round((percent / 100) * (assignment.pairs / assignment.shardCount) * (assignment.retries + 1));
  return { evidence: { engine: "masscan", ...own, ...facts }, probesSent, stopped };
}

/** Names of offloads that are on; what cannot be told counts as on, with the reason as its name. */
async function offloadsOf({ how }: RunInput, view: ProberView): Promise<string[]> {
  if (view.interface === null) return ["unknown: no default route"];
  const offloads = await readOffloads(how, view.interface);
  return offloads.kind === "known" ? [...offloads.on] : [`unknown: ${offloads.reason}`.slice(0, 60)];
}

/** What masscan would do with these arguments. It exits 0 even when it replaced bad values, so the values themselves are compared. */
async function checkEcho({ how }: RunInput, argv: readonly string[], directory: string): Promise<MasscanEcho> {
  const options = { cwd: directory, timeoutMs: TOOL_TIMEOUT_MS };
  const version = parseMasscanVersion((await capture(how, [how.tools.masscan, "--version"], options)).stdout);
  if (version === null) return { kind: "problem", reason: `${how.tools.masscan} --version names no version; install masscan 1.3` };
  const echo = await capture(how, [how.tools.masscan, ...argv, "--echo"], options);
  const error = echo.stderr.split("\n").find(isErrorLine);
  if (error !== undefined) return { kind: "problem", reason: `masscan --echo said ${error.trim().slice(0, 200)}` };
  if (echo.code !== 0)
    return { kind: "problem", reason: `masscan --echo ended with ${echo.problem ?? echo.signal ?? `code ${echo.code}`}` };
  return parseEcho(echo.stdout, { version, sha256: sha256Hex });
}
