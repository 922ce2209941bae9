import type { Assignment } from "../messages/job.ts";
import type { CanaryEvidence, ConnectEvidence, Effective, Evidence, MasscanEvidence, Outcome } from "../messages/report.ts";
import { formatPorts, parsePorts } from "../port.ts";
import type { Sha256Hex } from "../statement.ts";
import { assignmentRanges, rangesDigest } from "./argv.ts";
import { TESTED_FAMILIES, versionFamily } from "./echo.ts";

/** What of an assignment its outcome is judged by. */
export type JudgedTask = Pick<
  Assignment,
  | "key"
  | "shardCount"
  | "engine"
  | "ranges"
  | "ports"
  | "pairs"
  | "seed"
  | "rateLimitPps"
  | "retries"
  | "waitS"
  | "masscanFamily"
  | "canaries"
>;

/** masscan counts its wait in whole seconds of the wall clock, so a true wait of n seconds lasts more than n - 1. */
const WAIT_TOLERANCE_S = 1;

/** Reasons in one outcome; more are cut. */
const REASONS_MAX = 20;

/**
 * Drops and errors of the interface that a complete run may show: 2, and one more per 10,000 probes of the shard.
 * Kernels count frames of unknown protocols (LLDP, spanning tree: some a minute) as drops; lost answers come in hundreds.
 */
export function interfaceDropsMax(task: Pick<Assignment, "pairs" | "shardCount">): number {
  return 2 + Math.floor(task.pairs / task.shardCount / 10_000);
}

/**
 * The one decision between complete and partial: complete only when every condition holds, with all that fail as reasons.
 * Pure and total; the scanner uses it for its report, and the keeper again with the same evidence and its own assignment.
 */
export function judge(evidence: Evidence | null, task: JudgedTask, sha256: Sha256Hex): Outcome {
  const reasons = evidence === null ? ["the run ended before its scanner could tell how"] : judged(evidence, task, sha256);
  const [first, ...rest] = reasons;
  if (first === undefined) return { kind: "complete" };
  return { kind: "partial", reasons: [first, ...rest].slice(0, REASONS_MAX).map((reason) => reason.slice(0, 300)) };
}

function judged(evidence: Evidence, task: JudgedTask, sha256: Sha256Hex): string[] {
  try {
    if (evidence.engine !== task.engine) return [`ran with engine ${evidence.engine} instead of ${task.engine}`];
    const wanted = wantedOf(task, sha256);
    const own = evidence.engine === "masscan" ? judgeMasscan(evidence, task, wanted) : judgeConnect(evidence, task, wanted);
    return [...own, ...canaryProblems(evidence, task)];
  } catch (error) {
    return [`the evidence cannot be judged: ${error instanceof Error ? error.message : String(error)}`];
  }
}

type Wanted = { readonly ports: string; readonly rangesSha256: string };
type Condition = readonly [holds: boolean, reason: string];

function failed(conditions: readonly Condition[]): string[] {
  return conditions.filter(([holds]) => !holds).map(([, reason]) => reason);
}

function judgeMasscan(evidence: MasscanEvidence, task: JudgedTask, wanted: Wanted): string[] {
  const dropsMax = interfaceDropsMax(task);
  return [
    ...failed([
      [evidence.exitCode === 0, `masscan exited with ${evidence.exitCode === null ? "no code" : `code ${evidence.exitCode}`}`],
      [evidence.signal === null, `masscan was ended by ${evidence.signal}`],
      [!evidence.signalSent, "the scanner stopped masscan"],
      [evidence.reachedWaiting, "masscan did not reach 100.00% done, waiting"],
      [!evidence.savedResume, "masscan was interrupted and saved a resume file"],
      [evidence.errorLines.length === 0, `masscan said ${JSON.stringify(evidence.errorLines[0] ?? "").slice(0, 200)}`],
      [evidence.stdoutEnded, "masscan's output was not read to its end"],
      [evidence.lastLineWhole, "masscan's output ends within a line"],
      [
        evidence.linesRefused === 0,
        `lines of masscan's output refused: ${evidence.linesRefused}, the first one ${evidence.firstRefused ?? "unknown"}`,
      ],
      [
        evidence.waitedS >= task.waitS - WAIT_TOLERANCE_S,
        `masscan waited ${evidence.waitedS} s for late answers instead of ${task.waitS} s`,
      ],
      [evidence.offloadsOn.length === 0, `offloads were on (${evidence.offloadsOn.join(", ")}); they lose answers`],
      [evidence.interfaceDrops <= dropsMax, `the interface dropped ${evidence.interfaceDrops} packets (at most ${dropsMax} are allowed)`],
    ]),
    ...(evidence.effective === null
      ? ["masscan's effective configuration is not known"]
      : judgeEffective(evidence.effective, task, wanted)),
  ];
}

/** How what masscan would do differs from the assignment; empty when it does not. Throws only for an unreadable assignment. */
export function effectiveProblems(effective: Effective, task: JudgedTask, sha256: Sha256Hex): string[] {
  return judgeEffective(effective, task, wantedOf(task, sha256));
}

function wantedOf(task: JudgedTask, sha256: Sha256Hex): Wanted {
  return { ports: formatPorts(parsePorts(task.ports)), rangesSha256: rangesDigest(assignmentRanges(task), sha256) };
}

function judgeEffective(effective: Effective, task: JudgedTask, wanted: Wanted): string[] {
  const family = versionFamily(effective.version);
  return failed([
    [effective.seed === task.seed, `masscan would use seed ${effective.seed} instead of ${task.seed}`],
    [effective.rateLimitPps === task.rateLimitPps, `masscan would use rate ${effective.rateLimitPps} instead of ${task.rateLimitPps}`],
    [
      effective.shard === task.key.shard && effective.shardCount === task.shardCount,
      `masscan would use shard ${effective.shard}/${effective.shardCount} instead of ${task.key.shard}/${task.shardCount}`,
    ],
    [effective.retries === task.retries, `masscan would use ${effective.retries} retries instead of ${task.retries}`],
    [effective.ports === wanted.ports, "masscan would use other ports than the assignment's"],
    [effective.rangesSha256 === wanted.rangesSha256, "masscan would use other ranges than the assignment's"],
    [family === task.masscanFamily, `masscan is ${effective.version}, but the job needs ${task.masscanFamily}.x`],
    [TESTED_FAMILIES.includes(family), `masscan ${family}.x is not on the tested list (${TESTED_FAMILIES.join(", ")})`],
  ]);
}

function judgeConnect(evidence: ConnectEvidence, task: JudgedTask, wanted: Wanted): string[] {
  const pairs = connectShardPairs(task);
  const answered = evidence.open + evidence.closed + evidence.filtered;
  return failed([
    [evidence.ended, "the prober did not end by itself"],
    [evidence.errors === 0, `${evidence.errors} pairs were not probed: ${evidence.errorText ?? "unknown error"}`],
    [
      evidence.shard === task.key.shard && evidence.shardCount === task.shardCount,
      `the prober ran shard ${evidence.shard}/${evidence.shardCount} instead of ${task.key.shard}/${task.shardCount}`,
    ],
    [evidence.ports === wanted.ports, "the prober used other ports than the assignment's"],
    [evidence.rangesSha256 === wanted.rangesSha256, "the prober used other ranges than the assignment's"],
    [evidence.pairs === pairs, `the prober was given ${evidence.pairs} pairs instead of ${pairs}`],
    [answered === pairs, `${answered} of ${pairs} pairs got an answer`],
  ]);
}

/** Pairs of connect shard k/n: those whose index in the sorted pairs is k - 1 modulo n. */
export function connectShardPairs(task: Pick<Assignment, "key" | "shardCount" | "pairs">): number {
  return Math.max(0, Math.ceil((task.pairs - (task.key.shard - 1)) / task.shardCount));
}

/**
 * Why the silence of a run or of a confirm look says nothing: unless a majority of its canaries answered both before and after it,
 * its scanner may be blind. Empty when they did, and when there are no canaries.
 */
export function canaryProblems(evidence: CanaryEvidence, task: Pick<Assignment, "canaries">): string[] {
  const rounds = [
    ["before", evidence.canariesBefore],
    ["after", evidence.canariesAfter],
  ] as const;
  return rounds.flatMap(([when, { asked, answered }]) =>
    failed([
      [asked === task.canaries.length, `${asked} of ${task.canaries.length} canaries were asked ${when} the run`],
      [
        asked === 0 || (answered * 2 > asked && answered <= asked),
        `only ${answered} of ${asked} canaries answered ${when} the run: the scanner may be blind`,
      ],
    ]),
  );
}
