import type { ConnectEvidence, Effective, MasscanEvidence } from "../../src/core/messages/report.ts";

const OTHER_DIGEST = "0".repeat(64);

/** Every way in which one fact alone takes a masscan run's completeness away. */
export const MASSCAN_FAULTS: Readonly<Record<string, Partial<MasscanEvidence>>> = {
  "exit code 1": { exitCode: 1 },
  "no exit code": { exitCode: null },
  "ended by a signal": { signal: "SIGKILL" },
  "the daemon stopped it": { signalSent: true },
  "never reached waiting": { reachedWaiting: false },
  "saved a resume file": { savedResume: true },
  "an error line": { errorLines: ["FAIL: failed to detect router"] },
  "output not read to its end": { stdoutEnded: false },
  "last line cut": { lastLineWhole: false },
  "a refused line": { linesRefused: 1 },
  "waited too short": { waitedS: 1 },
  "offloads on": { offloadsOn: ["gro"] },
  "drops at the interface": { interfaceDrops: 50 },
  "configuration unknown": { effective: null },
  "blind before": { canariesBefore: { asked: 4, answered: 1 } },
  "blind after": { canariesAfter: { asked: 4, answered: 1 } },
  "half of the canaries silent": { canariesAfter: { asked: 4, answered: 2 } },
  "canaries not asked": { canariesAfter: { asked: 0, answered: 0 } },
};

/** What masscan may do differently from its assignment. */
export const EFFECTIVE_FAULTS: Readonly<Record<string, Partial<Effective>>> = {
  "another seed": { seed: "7" },
  "another rate": { rateLimitPps: 999 },
  "another shard": { shard: 2 },
  "another number of shards": { shardCount: 3 },
  "other retries": { retries: 1 },
  "other ports": { ports: "80" },
  "other ranges": { rangesSha256: OTHER_DIGEST },
  "another masscan": { version: "1.0.6" },
};

/** The same for the connect engine. */
export const CONNECT_FAULTS: Readonly<Record<string, Partial<ConnectEvidence>>> = {
  "ended early": { ended: false },
  "a local error": { errors: 1, errorText: "EMFILE" },
  "another shard": { shard: 2 },
  "another number of shards": { shardCount: 3 },
  "other ports": { ports: "80" },
  "other ranges": { rangesSha256: OTHER_DIGEST },
  "too few pairs": { pairs: 7 },
  "a pair without an answer": { filtered: 6 },
  "blind before": { canariesBefore: { asked: 4, answered: 1 } },
  "canaries not asked": { canariesBefore: { asked: 0, answered: 0 } },
};
