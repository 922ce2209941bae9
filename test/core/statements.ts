import type { Assignment } from "../../src/core/messages/job.ts";
import type { SignedStatement, Statement, Upload } from "../../src/core/messages/record.ts";
import type { Part } from "../../src/core/messages/report.ts";

const DIGEST = "a".repeat(64);

/** An upload whose payload has this many bytes. */
export function upload(payloadBytes: number): Upload {
  return { version: 1, source: "cron – büro", sightings: 1, payloadSha256: DIGEST, payloadBytes };
}

/** A part whose payload has this many bytes. */
export function part(payloadBytes: number): Part {
  return {
    version: 1,
    key: { job: DIGEST, tile: 0, shard: 1, attempt: 1 },
    scanner: "alpha",
    runId: "b".repeat(32),
    index: 0,
    sightings: 1,
    payloadSha256: DIGEST,
    payloadBytes,
  };
}

export function assignment(): Assignment {
  return {
    version: 1,
    key: { job: DIGEST, tile: 0, shard: 1, attempt: 1 },
    scanner: "alpha",
    region: "eu",
    plan: "office",
    shardCount: 1,
    engine: "masscan",
    ranges: ["192.0.2.0/24"],
    ports: "80",
    pairs: 256,
    seed: "42",
    rateLimitPps: 1_000,
    retries: 0,
    waitS: 3,
    connectTimeoutMs: 1_000,
    masscanFamily: "1.3",
    canaries: [],
    deadlineAtMs: 1_800_000_000_000,
  };
}

/** A statement as its author sends it; the signature is only well-formed. */
export function signed(statement: Statement): SignedStatement {
  return { statement, author: { name: "alpha", publicKey: `U${"A".repeat(55)}`, signature: "s".repeat(86) } };
}
