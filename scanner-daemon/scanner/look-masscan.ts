import { rm } from "node:fs/promises";
import { sha256Hex } from "../../src/bus/keys.node.ts";
import { formatAddress } from "../../src/core/address.ts";
import type { MasscanAdapter } from "../../src/core/masscan/argv.ts";
import { judge } from "../../src/core/masscan/outcome.ts";
import type { Assignment } from "../../src/core/messages/job.ts";
import type { ConfirmOrder, Probe, ServiceRef } from "../../src/core/messages/probe.ts";
import { formatPorts } from "../../src/core/port.ts";
import type { Launch } from "./launch.ts";
import { runMasscan } from "./masscan-run.ts";
import type { RunTiming } from "./run.ts";

const RATE_PPS = 50;
const RETRIES = 2;
/** Seconds that masscan waits for late answers: with the retries the look lasts over 10 s. */
const WAIT_S = 10;
const LIMIT_MS = 300_000;

/** What looking with masscan needs. */
export type MasscanLookDeps = {
  readonly how: Launch;
  readonly adapter: MasscanAdapter;
  readonly order: ConfirmOrder;
  /** Private directory of this look; removed after it. */
  readonly directory: string;
  readonly masscanFamily: string;
  /** Decimal seed, fresh for each run. */
  readonly newSeed: () => string;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
  readonly timing?: Partial<RunTiming>;
};

/**
 * One masscan run for each port, over the addresses in question only. Silence counts (`filtered`) when the run was complete by
 * the same rules as any other; else it says nothing (`error`). What was seen open is open in any case. Never rejects.
 */
export async function lookByMasscan(deps: MasscanLookDeps): Promise<Probe["results"]> {
  const results: Probe["results"] = [];
  const untilMs = performance.now() + LIMIT_MS;
  for (const group of Map.groupBy(deps.order.targets, ({ protocol, port }) => `${protocol} ${port}`).values()) {
    const late = deps.signal.aborted || performance.now() >= untilMs;
    results.push(...(late ? group.map((target) => ({ ...target, answer: "error" as const, connects: 0 })) : await lookAtPort(deps, group)));
  }
  return results;
}

async function lookAtPort(deps: MasscanLookDeps, targets: readonly ServiceRef[]): Promise<Probe["results"]> {
  const open = new Set<string>();
  const assignment = assignmentOf(deps, targets);
  const result = await runMasscan({
    assignment,
    how: deps.how,
    adapter: deps.adapter,
    directory: deps.directory,
    take: async ({ address }) => void open.add(formatAddress(address)),
    onProgress: () => undefined,
    signal: deps.signal,
    nowMs: deps.nowMs,
    ...(deps.timing === undefined ? {} : { timing: deps.timing }),
  });
  await rm(deps.directory, { recursive: true, force: true }).catch(() => undefined);
  const isComplete = result.stopped === null && judge(result.evidence, assignment, sha256Hex).kind === "complete";
  const connects = isComplete ? RETRIES + 1 : 0;
  return targets.map((target) => {
    if (open.has(target.address)) return { ...target, answer: "open" as const, connects: RETRIES + 1 };
    return { ...target, answer: isComplete ? ("filtered" as const) : ("error" as const), connects };
  });
}

/** An assignment of the scanner to itself, whole, of just these pairs. */
function assignmentOf({ order, masscanFamily, newSeed, nowMs }: MasscanLookDeps, targets: readonly ServiceRef[]): Assignment {
  const [first] = targets;
  const port = first?.port ?? 0;
  return {
    version: 1,
    key: { job: order.job, tile: 0, shard: 1, attempt: 1 },
    scanner: order.scanner,
    region: order.region,
    plan: "confirm",
    shardCount: 1,
    engine: "masscan",
    ranges: targets.map(({ address }) => address),
    ports: formatPorts([{ protocol: first?.protocol ?? "udp", first: port, last: port }]),
    pairs: targets.length,
    seed: newSeed(),
    rateLimitPps: RATE_PPS,
    retries: RETRIES,
    waitS: WAIT_S,
    connectTimeoutMs: 1_000,
    masscanFamily,
    canaries: [],
    deadlineAtMs: nowMs() + LIMIT_MS,
  };
}
