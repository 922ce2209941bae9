import { createHash, randomBytes } from "node:crypto";
import { encodeSightings, type Sighting } from "../../src/core/columns.ts";
import { formatAddress, parseAddress } from "../../src/core/address.ts";
import type { JobSpec } from "../../src/core/messages/job.ts";
import type { Frontier } from "../../src/core/messages/common.ts";
import type { ConfirmOrder, ProbeAnswer } from "../../src/core/messages/probe.ts";
import type { Author, Judged, Statement } from "../../src/core/messages/record.ts";
import type { Report } from "../../src/core/messages/report.ts";
import { statementId } from "../../src/core/statement.ts";
import type { AcceptContext, AcceptItem } from "../../src/ledger/types.ts";

export const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");
const SIGNATURE = "A".repeat(86);
const KEY = keyOf("A");
const author: Author = authorOf("scanner-1", KEY);

/** A public key that is only well-formed. */
export function keyOf(letter: string): string {
  return `U${letter.repeat(55)}`;
}

export function authorOf(name: string, publicKey: string): Author {
  return { name, publicKey, signature: SIGNATURE };
}

export function contextAt(epoch: number, nowMs: number): AcceptContext {
  return { epoch, nowMs, sha256, sign: () => SIGNATURE };
}

export function itemOf(statement: Statement, payload: Uint8Array | null = null): AcceptItem {
  return { statement, id: statementId(statement, sha256), author, payload };
}

/** What a keeper finds a report to be that believes its scanner; null for other kinds. */
export function judgedOf({ statement, judged }: AcceptItem): Judged {
  return statement.kind === "report" ? (judged ?? statement.content.outcome).kind : null;
}

function runIdOf(seed: string): string {
  return sha256(seed).slice(0, 32);
}

export function sightingsOf(texts: readonly string[], observedAtS = 1_700_000_000): Sighting[] {
  return texts.map((text) => {
    const colon = text.lastIndexOf(":");
    return { address: parseAddress(text.slice(0, colon)), protocol: "tcp", port: Number(text.slice(colon + 1)), observedAtS };
  });
}

export type JobOptions = Partial<JobSpec> & {
  readonly scanners?: readonly string[];
  readonly ranges?: readonly string[];
  readonly ports?: string;
  readonly pairsMax?: number;
};

/** A job that nothing about is special. */
export function jobSpecOf({
  scanners = ["scanner-1", "scanner-2"],
  ranges = ["192.0.2.0/28"],
  ports = "80,443",
  pairsMax = 16,
  ...rest
}: JobOptions = {}): JobSpec {
  return {
    version: 1,
    plan: { id: "plan-1", name: "office", revision: 1 },
    group: "@all",
    home: "eu",
    cause: "manual",
    blocks: [{ ranges: [...ranges], ports, engine: "connect", members: [...scanners] }],
    tiling: { version: 1, pairsMax },
    seed: String(1 + randomBytes(4).readUInt32BE()),
    rateLimitPps: 1_000,
    retries: 0,
    waitS: 5,
    connectTimeoutMs: 1_000,
    members: scanners.map((scanner, index) => ({ scanner, region: "eu", publicKey: KEY, place: index + 1 })),
    masscanFamily: "1.3",
    canaries: [],
    policy: { closeAfter: 2, confirm: false },
    regions: ["eu"],
    frontier: {},
    plannedAtMs: 1_700_000_000_000,
    deadlineAtMs: 1_700_000_600_000,
    ...rest,
  };
}

export function partOf(key: Report["key"], run: string, index: number, sightings: readonly Sighting[]): AcceptItem {
  const payload = encodeSightings([...sightings]);
  return itemOf(
    {
      kind: "part",
      content: {
        version: 1,
        key,
        scanner: "scanner-1",
        runId: runIdOf(run),
        index,
        sightings: sightings.length,
        payloadSha256: sha256(payload),
        payloadBytes: payload.length,
      },
    },
    payload,
  );
}

export function uploadOf(sightings: readonly Sighting[], source = "cron"): AcceptItem {
  const payload = encodeSightings([...sightings]);
  return itemOf(
    {
      kind: "upload",
      content: { version: 1, source, sightings: sightings.length, payloadSha256: sha256(payload), payloadBytes: payload.length },
    },
    payload,
  );
}

export type ReportOptions = {
  readonly key: Report["key"];
  readonly run?: string;
  readonly parts?: readonly AcceptItem[];
  readonly partial?: boolean;
  readonly probesSent?: number;
};

export function reportOf({ key, run = JSON.stringify(key), parts = [], partial = false, probesSent = 0 }: ReportOptions): AcceptItem {
  const named = parts.map(({ id, statement }) => ({ id, sightings: statement.kind === "part" ? statement.content.sightings : 1 }));
  return itemOf({
    kind: "report",
    content: {
      version: 1,
      key,
      scanner: "scanner-1",
      runId: runIdOf(run),
      outcome: partial ? { kind: "partial", reasons: ["interrupted"] } : { kind: "complete" },
      evidence: null,
      parts: named,
      sightings: named.reduce((sum, one) => sum + one.sightings, 0),
      probesSent,
      startedAtMs: 0,
      endedAtMs: 0,
    },
  });
}

export type ProbeOptions = {
  readonly job: string;
  readonly frontier: Frontier;
  readonly answers: Readonly<Record<string, ProbeAnswer>>;
  readonly region?: string;
  readonly scanner?: string;
  readonly basis?: "sighter" | "others";
  readonly serial?: number;
};

/** What a scanner found at "address:port" targets when it looked again. */
export function probeOf({
  job,
  frontier,
  answers,
  region = "eu",
  scanner = "scanner-1",
  basis = "sighter",
  serial = 0,
}: ProbeOptions): AcceptItem {
  const targets = sightingsOf(Object.keys(answers)).map(({ address, protocol, port }) => ({
    address: formatAddress(address),
    protocol,
    port,
  }));
  const order: ConfirmOrder = {
    version: 1,
    id: runIdOf(`order ${serial}`),
    region,
    job,
    scanner,
    basis,
    engine: "connect",
    frontier,
    targets,
    orderedAtMs: 1_700_000_000_000,
    keeper: KEY,
    signature: SIGNATURE,
  };
  const results = targets.map((target, index) => ({ ...target, answer: Object.values(answers)[index] ?? "error", connects: 3 }));
  const content = { version: 1 as const, order, results, startedAtMs: 1_700_000_000_000, endedAtMs: 1_700_000_010_000 + serial };
  return { ...itemOf({ kind: "probe", content }), author: authorOf(scanner, KEY) };
}

export function releaseOf(job: string, tile: number, tileComplete: AcceptItem, by = "operator"): AcceptItem {
  return itemOf({
    kind: "release",
    content: { version: 1, job, tile, tileComplete: tileComplete.id, cause: "operator", by, agreeing: null },
  });
}

export function revokeOf(publicKey: string, scanner = "scanner-1"): AcceptItem {
  return itemOf({ kind: "revoke", content: { version: 1, scanner, publicKey, reason: "stolen" } });
}

export function tileCompleteOf(job: string, tile: number, reports: readonly AcceptItem[], held: string | null = null): AcceptItem {
  const named = reports.map(({ id, statement }) => ({ shard: statement.kind === "report" ? statement.content.key.shard : 1, id }));
  return itemOf({ kind: "tile-complete", content: { version: 1, job, tile, reports: named, held } });
}
