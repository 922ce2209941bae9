import { sha256Hex } from "../../src/bus/keys.node.ts";
import { rangesDigest } from "../../src/core/masscan/argv.ts";
import type { AssignmentKey, JobSpec } from "../../src/core/messages/job.ts";
import type { ConnectEvidence, Evidence, MasscanEvidence, Report } from "../../src/core/messages/report.ts";
import { parseRange } from "../../src/core/range.ts";
import { tileSeed } from "../../src/core/seed.ts";
import { statementId } from "../../src/core/statement.ts";
import { CONNECT_FAULTS, EFFECTIVE_FAULTS, MASSCAN_FAULTS } from "./faults.ts";
import { columnsOf, type Name, type Sent } from "./region.ts";

/** Evidence of a complete run over the tile 192.0.2.0/30 × 80,443 by one scanner. */
function evidenceOf(engine: "masscan" | "connect", spec: JobSpec): Evidence {
  const rangesSha256 = rangesDigest([parseRange("192.0.2.0/30")], sha256Hex);
  const canaries = { canariesBefore: { asked: 4, answered: 4 }, canariesAfter: { asked: 4, answered: 3 } };
  const shard = { ports: "80,443", rangesSha256, shard: 1, shardCount: 1 };
  if (engine === "connect")
    return { engine, ...shard, pairs: 8, open: 0, closed: 1, filtered: 7, errors: 0, errorText: null, ended: true, ...canaries };
  return {
    engine,
    exitCode: 0,
    signal: null,
    signalSent: false,
    reachedWaiting: true,
    savedResume: false,
    errorLines: [],
    stdoutEnded: true,
    lastLineWhole: true,
    linesRefused: 0,
    firstRefused: null,
    waitedS: spec.waitS,
    pokes: 0,
    effective: { ...shard, seed: tileSeed(spec.seed, 0), rateLimitPps: spec.rateLimitPps, retries: spec.retries, version: "1.3.2" },
    offloadsOn: [],
    interfaceDrops: 0,
    ...canaries,
  };
}

export type Faulty = {
  readonly engine: "masscan" | "connect";
  readonly part: Partial<MasscanEvidence> | Partial<ConnectEvidence> | EffectivePart;
};
type EffectivePart = { readonly effectivePart: (typeof EFFECTIVE_FAULTS)[string] };

export function faultyEvidence(): [string, Faulty][] {
  return [
    ...Object.entries(MASSCAN_FAULTS).map(([name, part]): [string, Faulty] => [name, { engine: "masscan", part }]),
    ...Object.entries(EFFECTIVE_FAULTS).map(([name, effectivePart]): [string, Faulty] => [
      name,
      { engine: "masscan", part: { effectivePart } },
    ]),
    ...Object.entries(CONNECT_FAULTS).map(([name, part]): [string, Faulty] => [name, { engine: "connect", part }]),
  ];
}

function broken(spec: JobSpec, { engine, part }: Faulty): Evidence {
  const whole = evidenceOf(engine, spec);
  if ("effectivePart" in part) {
    if (whole.engine !== "masscan" || whole.effective === null) return whole;
    return { ...whole, effective: { ...whole.effective, ...part.effectivePart } };
  }
  return { ...whole, ...part } as Evidence;
}

export function reportOf(
  spec: JobSpec,
  key: AssignmentKey,
  { evidence, ...rest }: { evidence?: Faulty | null } & Partial<Omit<Report, "evidence">> = {},
): Sent {
  const engine = spec.blocks[0]?.engine ?? "connect";
  const content: Report = {
    version: 1,
    key,
    scanner: "alpha",
    runId: "1".repeat(32),
    outcome: { kind: "complete" },
    evidence: evidence === undefined ? evidenceOf(engine, spec) : evidence === null ? null : broken(spec, evidence),
    parts: [],
    sightings: 0,
    probesSent: 8,
    startedAtMs: 0,
    endedAtMs: 1,
    ...rest,
  };
  return { statement: { kind: "report", content } };
}

export function partOf(
  key: AssignmentKey,
  seen: readonly string[],
  changes: { scanner?: Name; sightings?: number } = {},
): Sent & { id: string } {
  const payload = columnsOf(seen);
  const content = {
    version: 1 as const,
    key,
    scanner: "alpha",
    runId: "1".repeat(32),
    index: 0,
    sightings: seen.length,
    payloadSha256: sha256Hex(payload),
    payloadBytes: payload.length,
    ...changes,
  };
  const statement = { kind: "part" as const, content };
  return { statement, payload, id: statementId(statement, sha256Hex) };
}
