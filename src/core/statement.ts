import { canonicalJson } from "./canonical.ts";
import type { Assignment } from "./messages/job.ts";
import type { ConfirmOrder } from "./messages/probe.ts";
import type { Judged, Statement } from "./messages/record.ts";

/** SHA-256 as 64 lower-case hex digits; a string is hashed as its UTF-8 bytes. Passed in: core has no crypto. */
export type Sha256Hex = (data: string | Uint8Array) => string;

/** The record id: a hash of kind and content, so that a repeat has the same id in every region. */
export function statementId(statement: Statement, sha256: Sha256Hex): string {
  return sha256(`portolan/statement/1/${statement.kind}\n${canonicalJson(statement.content)}`);
}

/** What the author of the statement with this id signs (as UTF-8). */
export function signedText(id: string): string {
  return `portolan/signature/1/${id}`;
}

/** What a keeper signs (as UTF-8) before it puts an assignment on the work queue. */
export function assignmentSignedText(assignment: Assignment): string {
  return `portolan/assignment/1\n${canonicalJson(assignment)}`;
}

/** What a keeper signs (as UTF-8) before it sends a confirm order; a signature that is there already is left out. */
export function confirmOrderSignedText(order: Omit<ConfirmOrder, "signature">): string {
  const unsigned = Object.entries(order).filter(([name]) => name !== "signature");
  return `portolan/confirm-order/1\n${canonicalJson(Object.fromEntries(unsigned))}`;
}

/** One link of a log: `previous` is the chain hash of `rseq - 1`, "" at `rseq` 0. */
export type ChainLink = {
  readonly log: string;
  readonly rseq: number;
  readonly previous: string;
  readonly id: string;
  readonly stampMs: number;
  readonly judged: Judged;
};

/** Hash that binds a record's position, stamp and judgement to everything before it in the log. */
export function chainHash({ log, rseq, previous, id, stampMs, judged }: ChainLink, sha256: Sha256Hex): string {
  return sha256(`portolan/chain/1\n${log}\n${rseq}\n${previous}\n${id}\n${stampMs}\n${judged ?? "-"}`);
}
