import { createHash } from "node:crypto";
import type { Certificate, CertificateRecord } from "../../../src/core/certificate/schema.ts";
import type { ConfirmOrder } from "../../../src/core/messages/probe.ts";
import type { Statement } from "../../../src/core/messages/record.ts";
import { chainHash, confirmOrderSignedText, signedText, statementId } from "../../../src/core/statement.ts";
import { jobSpecOf, type JobOptions, sha256 } from "../../ledger/builders.ts";

export const [EU, US] = ["a".repeat(32), "b".repeat(32)];
const KEEPER = `U${"K".repeat(55)}`;
export const keyOf = (scanner: string): string => `U${("ABC"[Number(scanner.at(-1)) - 1] ?? "D").repeat(55)}`;

/** Stands in for Ed25519: only who knows the key's name can make it. */
const sign = (publicKey: string, text: string): string => createHash("sha512").update(`${publicKey} ${text}`).digest("base64url");
export const tools = { sha256, verify: (key: string, text: string, signature: string) => sign(key, text) === signature };

export const SERVICE = { address: "192.0.2.5", protocol: "tcp" as const, port: 80 };

/** Two logs that grow record by record. */
export class Logs {
  readonly records = new Map<string, CertificateRecord>();
  readonly #ends = new Map<string, { rseq: number; chain: string }>();
  #nowMs = 1_700_000_000_000;

  /** `doubted`: the keeper found a report partial that its scanner calls complete. */
  add(log: string, statement: Statement, name = "keeper", doubted = false): string {
    const publicKey = name === "keeper" ? KEEPER : keyOf(name);
    const id = statementId(statement, sha256);
    const end = this.#ends.get(log) ?? { rseq: -1, chain: "" };
    const rseq = end.rseq + 1;
    const stampMs = this.#nowMs++;
    const judged = statement.kind === "report" ? (doubted ? "partial" : statement.content.outcome.kind) : null;
    const chain = chainHash({ log, rseq, previous: end.chain, id, stampMs, judged }, sha256);
    this.#ends.set(log, { rseq, chain });
    const author = { name, publicKey, signature: sign(publicKey, signedText(id)) };
    this.records.set(id, { id, statement, author, positions: [{ log, rseq, stampMs, judged, previous: end.chain, chain }] });
    return id;
  }

  frontier(): Record<string, number> {
    return Object.fromEntries([...this.#ends].map(([log, { rseq }]) => [log, rseq]));
  }
}

type LookOptions = JobOptions & {
  readonly held?: string | null;
  readonly shards?: readonly number[];
  /** Shard that was not complete. */
  readonly partial?: number;
  /** Shard whose report its keeper found partial. */
  readonly doubted?: number;
  /** Who signs the reports. */
  readonly signers?: readonly string[];
  readonly memberKey?: (scanner: string) => string;
};
type Look = { readonly job: string; readonly tileComplete: string; readonly reports: string[] };

/** A job of one tile and two shards, complete, that saw nothing. */
export function look(
  logs: Logs,
  { held = null, shards = [1, 2], partial, doubted, signers = ["scanner-1", "scanner-2"], memberKey = keyOf, ...options }: LookOptions = {},
): Look {
  const spec = jobSpecOf({
    pairsMax: 1_000,
    frontier: logs.frontier(),
    policy: { closeAfter: 2, confirm: true },
    regions: ["eu", "us"],
    ...options,
  });
  const members = spec.members.map((member) => ({ ...member, publicKey: memberKey(member.scanner) }));
  const job = logs.add(EU, { kind: "job", content: { ...spec, members } });
  const reports = shards.map((shard, index) =>
    logs.add(
      EU,
      {
        kind: "report",
        content: {
          version: 1,
          key: { job, tile: 0, shard, attempt: 1 },
          scanner: `scanner-${index + 1}`,
          runId: sha256(`${job}${shard}`).slice(0, 32),
          outcome: shard === partial ? { kind: "partial", reasons: ["killed"] } : { kind: "complete" },
          evidence: null,
          parts: [],
          sightings: 0,
          probesSent: 16,
          startedAtMs: 0,
          endedAtMs: 0,
        },
      },
      signers[index],
      shard === doubted,
    ),
  );
  const named = reports.map((id, index) => ({ shard: shards[index] ?? 0, id }));
  const tileComplete = logs.add(EU, {
    kind: "tile-complete",
    content: { version: 1, job, tile: 0, reports: named, held },
  });
  return { job, tileComplete, reports };
}

export function upload(logs: Logs, log: string, source: string): string {
  return logs.add(log, { kind: "upload", content: { version: 1, source, sightings: 1, payloadSha256: sha256(""), payloadBytes: 9 } });
}

export function part(logs: Logs, log: string): string {
  const key = { job: sha256(`an earlier job of ${log}`), tile: 0, shard: 1, attempt: 1 };
  return logs.add(
    log,
    {
      kind: "part",
      content: {
        version: 1,
        key,
        scanner: "scanner-1",
        runId: "0".repeat(32),
        index: 0,
        sightings: 1,
        payloadSha256: sha256(""),
        payloadBytes: 9,
      },
    },
    "scanner-1",
  );
}

export function probe(
  logs: Logs,
  job: string,
  change: Partial<ConfirmOrder> = {},
  answer: "closed" | "open" | "error" = "closed",
  { author, log }: { author?: string; log?: string } = {},
): string {
  const scanner = change.scanner ?? "scanner-1";
  const order = {
    version: 1 as const,
    id: "1".repeat(32),
    region: "eu",
    job,
    scanner,
    basis: "sighter" as const,
    engine: "connect" as const,
    frontier: logs.frontier(),
    targets: [SERVICE],
    orderedAtMs: 0,
    keeper: KEEPER,
    ...change,
  };
  const signed = { ...order, signature: sign(KEEPER, confirmOrderSignedText(order)) };
  const results = [{ ...SERVICE, answer, connects: 3 }];
  return logs.add(
    log ?? (order.region === "eu" ? EU : US),
    { kind: "probe", content: { version: 1, order: signed, results, startedAtMs: 0, endedAtMs: 0 } },
    author ?? scanner,
  );
}

export type Case = { readonly logs: Logs; readonly looks: Look[]; readonly probes: string[]; readonly certificate: Certificate };

/** Seen by a scanner in eu and by an upload in us, missed by two jobs in sequence, confirmed in eu. */
export function closedCase(
  change: { told?: (logs: Logs) => string; second?: LookOptions; probe?: (logs: Logs, job: string) => string } = {},
): Case {
  const logs = new Logs();
  const seen = part(logs, EU);
  const told = change.told === undefined ? upload(logs, US, "cron") : change.told(logs);
  const looks = [look(logs), look(logs, change.second)];
  const last = looks[1]?.job ?? "";
  const probes = [change.probe === undefined ? probe(logs, last) : change.probe(logs, last)];
  const misses = looks.map(({ job, tileComplete }) => ({ job, tile: 0, tileComplete, tileCompletes: [tileComplete] }));
  const certificate: Certificate = {
    version: 1,
    service: SERVICE,
    verdict: "closed",
    regions: { [EU]: "eu", [US]: "us" },
    held: logs.frontier(),
    sightings: [
      { log: EU, rseq: 0, ownRseq: 0, record: seen },
      { log: US, rseq: 0, ownRseq: -1, record: told },
    ],
    misses,
    confirms: probes,
    revoked: [],
    records: [...logs.records.values()],
  };
  return { logs, looks, probes, certificate };
}
