import type { Sighting } from "../../src/core/columns.ts";
import type { Assignment } from "../../src/core/messages/job.ts";
import type { Progress } from "../../src/core/messages/bus.ts";
import type { Evidence } from "../../src/core/messages/report.ts";
import type { MasscanAdapter } from "../../src/core/masscan/argv.ts";
import type { Launch } from "./launch.ts";

/** What a run tells while it goes on. */
export type RunProgress = Pick<Progress, "phase" | "percent" | "ratePps" | "found" | "remainingS">;

/** What one run of an engine needs. */
export type RunInput = {
  readonly assignment: Assignment;
  readonly how: Launch;
  readonly adapter: MasscanAdapter;
  /** Private directory of this run. */
  readonly directory: string;
  /** Takes a sighting towards the spool; throws when that is not possible any more, which stops the run. */
  readonly take: (sighting: Sighting) => Promise<void>;
  readonly onProgress: (progress: RunProgress) => void;
  /** Aborted with a reason (a text) when the run has to stop: cancelled, or the daemon stops. */
  readonly signal: AbortSignal;
  readonly nowMs: () => number;
  /** Pace of pokes and kills; tests make it faster. */
  readonly timing?: Partial<RunTiming>;
};

/** Pace of the run, in ms. */
export type RunTiming = {
  /** Between two pokes, and from the last one to the kill. */
  readonly pokeEveryMs: number;
  /** From SIGTERM to SIGKILL. */
  readonly killAfterMs: number;
  /** Added to twice the planned duration: the hard limit of a run. */
  readonly limitSpareMs: number;
};

/** How a run ended: facts to be judged, and why it was stopped, if it was. */
export type RunResult = {
  readonly evidence: Evidence;
  readonly probesSent: number;
  /** Null when it ended by itself. */
  readonly stopped: string | null;
};

export const RUN_TIMING: RunTiming = { pokeEveryMs: 2_000, killAfterMs: 2_000, limitSpareMs: 60_000 };

/**
 * Pairs of a shard times tries, at the assignment's rate, four times, and some spare time: nothing healthy takes longer. In ms.
 * masscan 1.3.2 sends at half of its --rate (measured: 53,248 pairs at 3,000 in 36 s, at 10,000 in 11 s), so twice would be too little.
 */
export function runLimitMs(assignment: Assignment, timing: RunTiming): number {
  const { pairs, shardCount, retries, rateLimitPps, waitS } = assignment;
  const sendS = ((pairs / shardCount + rateLimitPps) * (retries + 1)) / rateLimitPps;
  return Math.min(4 * (sendS + waitS) * 1_000 + timing.limitSpareMs, 2 ** 31 - 1);
}
