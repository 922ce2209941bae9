import { PortolanError } from "../core/errors.ts";
import type { AssignmentKey } from "../core/messages/job.ts";

/** Work queue of a region: assignments that wait for its scanners. */
export function shardsStream(region: string): string {
  return `SHARDS_${token(region)}`;
}

/** Accepted records of a region, in the order of their `rseq`; written by keepers only. */
export function resultsStream(region: string): string {
  return `RESULTS_${token(region)}`;
}

/** Durable consumer of one scanner on its region's work queue. */
export function shardsDurable(scanner: string): string {
  return token(scanner);
}

/** All subjects of the work queue; scanners' names are unique over all regions. */
export const ALL_SHARDS = "shards.>";

/** All assignments of one scanner. */
export function scannerShards(scanner: string): string {
  return `shards.${token(scanner)}.>`;
}

/** Exact subject of one assignment: the only thing that may be purged. */
export function assignmentSubject(scanner: string, key: AssignmentKey): string {
  return `shards.${token(scanner)}.${token(key.job)}.${key.tile}.${key.shard}.${key.attempt}`;
}

/** Reads what `assignmentSubject` wrote; throws `PortolanError("invalid")` on anything else. */
export function parseAssignmentSubject(subject: string): { scanner: string; key: AssignmentKey } {
  const found = /^shards\.([^.\s*>]+)\.([0-9a-f]{64})\.(\d{1,9})\.(\d{1,9})\.(\d{1,9})$/.exec(subject);
  const [, scanner, job, tile, shard, attempt] = found ?? [];
  if (scanner === undefined || job === undefined) {
    throw new PortolanError(
      "invalid",
      `"${subject}" is no subject of an assignment; expected shards.<scanner>.<job>.<tile>.<shard>.<attempt>`,
    );
  }
  return { scanner, key: { job, tile: Number(tile), shard: Number(shard), attempt: Number(attempt) } };
}

/** Every record that a region's keepers publish. */
export function allResults(region: string): string {
  return `results.${token(region)}.>`;
}

/** Where one record of a log is published. */
export function resultSubject(region: string, log: string): string {
  return `results.${token(region)}.${token(log)}`;
}

/** Message id of one record: a repeat within the window is stored once. */
export function recordMessageId(log: string, rseq: number): string {
  return `${token(log)}-${rseq}`;
}

/** Requests that carry one signed statement; the reply is the ledger's acknowledgement. */
export function reportsSubject(region: string): string {
  return `reports.${token(region)}`;
}

/** Requests for an on-demand scan by any scanner of the region (queue group `SCANNERS`). */
export function scanSubject(region: string): string {
  return `scan.${token(region)}`;
}

/** Requests to one scanner of the region: confirm orders of its keeper. */
export function scannerScanSubject(region: string, scanner: string): string {
  return `scan.${token(region)}.${token(scanner)}`;
}

/** Requests for records that the asking region lacks. */
export function repairSubject(region: string): string {
  return `repair.${token(region)}`;
}

/** Lossy progress of one running shard. */
export function progressSubject(scanner: string, key: Pick<AssignmentKey, "job" | "tile" | "shard">): string {
  return `progress.${token(scanner)}.${token(key.job)}.${key.tile}.${key.shard}`;
}

/** Everything that scanners of a server say about their running shards. */
export const ALL_PROGRESS = "progress.>";

/** Lossy sign of life of one scanner. */
export function heartbeatSubject(scanner: string): string {
  return `heartbeat.${token(scanner)}`;
}

/** The signs of life of all scanners of a server. */
export const ALL_HEARTBEATS = "heartbeat.*";

/** Keeper to scanner: stop a job's work and report it as partial. */
export function cancelSubject(scanner: string): string {
  return `cancel.${token(scanner)}`;
}

/** Keeper to its region's scanners: which acknowledged runs need not be kept any more, and which have to be sent again. Lossy, said again and again. */
export function keptSubject(region: string): string {
  return `kept.${token(region)}`;
}

/** Client name of a region's keepers at the servers of other regions. */
export function peerClient(region: string): string {
  return token(`peer_${region}`);
}

/** Queue group of the keepers of a region: one of them answers a request. */
export const KEEPERS = "keepers";

/** Queue group of the scanners of a region. */
export const SCANNERS = "scanners";

/** First token of all subjects that replies go to. */
export const INBOXES = "_INBOX";

/** Where replies to one client go; each client may read its own only. */
export function inboxPrefix(client: string): string {
  return `${INBOXES}.${token(client)}`;
}

/** Second token of a `progress.` or `heartbeat.` subject: the scanner that the server let publish it. */
export function scannerOfSubject(subject: string): string | null {
  const [kind, scanner] = subject.split(".");
  return (kind === "progress" || kind === "heartbeat") && scanner !== undefined && scanner !== "" ? scanner : null;
}

function token(text: string): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text)) {
    throw new PortolanError("invalid", `"${text}" cannot be part of a NATS subject; use 1 to 64 letters, digits, - and _`);
  }
  return text;
}
