import { sha256Hex } from "../../src/bus/keys.node.ts";
import { formatAddress, type Address } from "../../src/core/address.ts";
import { PortolanError } from "../../src/core/errors.ts";
import { assignmentRanges, rangesDigest } from "../../src/core/masscan/argv.ts";
import { connectShardPairs } from "../../src/core/masscan/outcome.ts";
import type { Assignment } from "../../src/core/messages/job.ts";
import { formatPorts, parsePorts, type PortRange } from "../../src/core/port.ts";
import type { AddressRange } from "../../src/core/range.ts";
import { errorText } from "../log.ts";
import { askCanaries } from "./place.ts";
import { startProber, type ConnectAnswers, type ConnectSettings, type Prober } from "./prober-client.ts";
import { PAIRS_PER_REQUEST_MAX } from "./prober-protocol.ts";
import { RUN_TIMING, runLimitMs, type RunInput, type RunResult } from "./run.ts";

const PARALLEL_MAX = 800;
const BATCHES_IN_FLIGHT_MAX = 8;

/** One (address, port) pair of a connect shard. */
export type ConnectPair = { readonly address: Address; readonly port: number };

/**
 * Pairs of shard k/n: those whose index, in the order of address then port, is k - 1 modulo n. Made one by one, so that the
 * size of the tile costs no memory. Throws `PortolanError("invalid")` for ports other than TCP.
 */
export function* connectPairs(task: Pick<Assignment, "key" | "shardCount" | "ranges" | "ports">): Generator<ConnectPair> {
  const ports = tcpPorts(parsePorts(task.ports));
  const step = BigInt(task.shardCount);
  let index = BigInt(task.key.shard - 1);
  let passed = 0n;
  for (const { first, last } of assignmentRanges(task)) {
    const pairs = (last - first + 1n) * BigInt(ports.length);
    for (; index - passed < pairs; index += step) {
      const within = index - passed;
      const port = ports[Number(within % BigInt(ports.length))];
      if (port !== undefined) yield { address: first + within / BigInt(ports.length), port };
    }
    passed += pairs;
  }
}

function tcpPorts(ports: readonly PortRange[]): number[] {
  if (ports.some(({ protocol }) => protocol !== "tcp")) {
    throw new PortolanError("invalid", "the connect engine probes TCP only; plan UDP and SCTP ports with engine masscan");
  }
  return ports.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, offset) => first + offset));
}

type Counts = { open: number; closed: number; filtered: number; errors: number; tries: number; errorText: string | null; ended: boolean };

/** Runs the connect engine once for one assignment. Never rejects: whatever goes wrong is in the evidence. */
export async function runConnect(input: RunInput): Promise<RunResult> {
  const counts: Counts = { open: 0, closed: 0, filtered: 0, errors: 0, tries: 0, errorText: null, ended: false };
  const prober = startProber(input.how);
  const stop = stopSwitch(input, prober);
  input.onProgress({ phase: "starting", percent: 0, ratePps: 0, found: 0, remainingS: null });
  const canariesBefore = await askCanaries(prober, input.assignment.canaries);
  try {
    if (stop.reason() === null) await probeAll(prober, input, counts, stop);
  } catch (error) {
    counts.errorText ??= errorText(error).slice(0, 500);
    stop.now(errorText(error));
  }
  const canariesAfter = await askCanaries(prober, input.assignment.canaries);
  counts.ended = (await prober.end()) && stop.reason() === null;
  stop.clear();
  return {
    evidence: evidenceOf(input.assignment, counts, { canariesBefore, canariesAfter }),
    probesSent: counts.tries,
    stopped: stop.reason(),
  };
}

function evidenceOf(
  assignment: Assignment,
  { open, closed, filtered, errors, errorText, ended }: Counts,
  canaries: { canariesBefore: { asked: number; answered: number }; canariesAfter: { asked: number; answered: number } },
): RunResult["evidence"] {
  const ranges: AddressRange[] = assignmentRanges(assignment);
  return {
    engine: "connect",
    rangesSha256: rangesDigest(ranges, sha256Hex),
    ports: formatPorts(parsePorts(assignment.ports)),
    shard: assignment.key.shard,
    shardCount: assignment.shardCount,
    pairs: connectShardPairs(assignment),
    open,
    closed,
    filtered,
    errors,
    errorText,
    ended,
    ...canaries,
  };
}

type StopSwitch = { reason(): string | null; now(reason: string): void; clear(): void };

function stopSwitch({ assignment, signal, nowMs, timing }: RunInput, prober: Prober): StopSwitch {
  let reason: string | null = null;
  const now = (text: string): void => {
    reason ??= text;
    prober.kill();
  };
  const onAbort = (): void => now(errorText(signal.reason));
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  const ownMs = runLimitMs(assignment, { ...RUN_TIMING, ...timing }) + batchTimeoutMs(assignment);
  const limitMs = Math.min(ownMs, Math.max(1_000, assignment.deadlineAtMs - nowMs()));
  const limit = setTimeout(() => now(`the connects did not end within ${Math.round(limitMs / 1_000)} s`), limitMs);
  return {
    reason: () => reason,
    now,
    clear: () => {
      clearTimeout(limit);
      signal.removeEventListener("abort", onAbort);
    },
  };
}

function connectSettings({ connectTimeoutMs, rateLimitPps, retries }: Assignment): ConnectSettings {
  const needed = Math.ceil((rateLimitPps * connectTimeoutMs) / 1_000);
  return { timeoutMs: connectTimeoutMs, ratePps: rateLimitPps, retries, parallel: Math.max(1, Math.min(PARALLEL_MAX, needed)) };
}

/** Longest time that one batch may take when all batches in flight are behind the rate limit and nothing answers. */
function batchTimeoutMs(assignment: Assignment): number {
  const { ratePps, retries, timeoutMs, parallel } = connectSettings(assignment);
  const tries = BATCHES_IN_FLIGHT_MAX * PAIRS_PER_REQUEST_MAX * (retries + 1);
  return Math.min(2 ** 31 - 1, 2 * (tries / ratePps) * 1_000 + 2 * timeoutMs * (Math.ceil(tries / parallel) + retries + 1) + 10_000);
}

async function probeAll(prober: Prober, input: RunInput, counts: Counts, stop: StopSwitch): Promise<void> {
  const { assignment, onProgress } = input;
  const total = connectShardPairs(assignment);
  const settings = connectSettings(assignment);
  const startedMs = performance.now();
  const inFlight = new Set<Promise<void>>();
  const send = async (batch: readonly ConnectPair[]): Promise<void> => {
    const pairs = batch.map(({ address, port }) => [formatAddress(address), port] as const);
    await takeAnswers(batch, await prober.connect(pairs, settings, batchTimeoutMs(assignment)), input, counts);
    const done = counts.open + counts.closed + counts.filtered + counts.errors;
    const ratePps = Math.round((done * 1_000) / Math.max(1, performance.now() - startedMs));
    const remainingS = Math.round((total - done) / Math.max(1, ratePps));
    onProgress({
      phase: "probing",
      percent: total === 0 ? 100 : Math.min(100, (done / total) * 100),
      ratePps,
      found: counts.open,
      remainingS,
    });
  };
  let batch: ConnectPair[] = [];
  const start = (): void => {
    const sent = send(batch);
    batch = [];
    inFlight.add(sent);
    // Failures are met again below, by `Promise.race` or `Promise.all`.
    sent.then(() => inFlight.delete(sent)).catch(() => {});
  };
  for (const pair of connectPairs(assignment)) {
    if (stop.reason() !== null) break;
    batch.push(pair);
    if (batch.length < PAIRS_PER_REQUEST_MAX) continue;
    start();
    if (inFlight.size >= BATCHES_IN_FLIGHT_MAX) await Promise.race(inFlight);
  }
  if (batch.length > 0 && stop.reason() === null) start();
  await Promise.all(inFlight);
}

async function takeAnswers(batch: readonly ConnectPair[], reply: ConnectAnswers, input: RunInput, counts: Counts): Promise<void> {
  const observedAtS = Math.floor(input.nowMs() / 1_000);
  counts.tries += reply.tries;
  counts.errorText ??= reply.error?.slice(0, 500) ?? null;
  for (const [index, { address, port }] of batch.entries()) {
    const answer = reply.answers[index];
    if (answer === "o") {
      counts.open += 1;
      await input.take({ address, protocol: "tcp", port, observedAtS });
    } else if (answer === "c") counts.closed += 1;
    else if (answer === "f") counts.filtered += 1;
    else counts.errors += 1;
  }
}
