import { z } from "zod";
import { PortolanError } from "./errors.ts";
import { nameSchema } from "./messages/common.ts";
import { type Acceptance, acceptanceSchema, type Author, authorSchema, type Statement, statementSchema } from "./messages/record.ts";
import { PAYLOAD_BYTES_MAX } from "./messages/report.ts";
import { type Sha256Hex, statementId } from "./statement.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";

/** One record on the wire between regions takes at most this many bytes: what a message server lets through (8 MiB), less a margin. */
export const RECORD_BYTES_MAX = 8_000_000;
/** In one answer to a repair request. */
export const RECORDS_MAX = 256;
const HEADER_BYTES = 4;

/** A record as one ledger accepted it, with the region that its log belongs to. */
export type WireRecord = {
  readonly id: string;
  readonly statement: Statement;
  readonly author: Author;
  readonly acceptance: Acceptance;
  readonly region: string;
  /** Columns of a part or upload; null for other kinds. */
  readonly payload: Uint8Array | null;
};

const headerSchema = z.strictObject({
  statement: statementSchema,
  author: authorSchema,
  acceptance: acceptanceSchema,
  region: nameSchema,
});

/** Length of the JSON (4 bytes, big-endian), JSON in UTF-8, payload. Throws `too-large` above `RECORD_BYTES_MAX`. */
export function encodeRecord({ statement, author, acceptance, region, payload }: Omit<WireRecord, "id">): Uint8Array {
  const { log, rseq, stampMs, judged, chain, signature } = acceptance;
  const json = encodeUtf8(JSON.stringify({ statement, author, acceptance: { log, rseq, stampMs, judged, chain, signature }, region }));
  const length = HEADER_BYTES + json.length + (payload?.length ?? 0);
  if (length > RECORD_BYTES_MAX)
    throw new PortolanError(
      "too-large",
      `${statement.kind} record of ${length} bytes is above ${RECORD_BYTES_MAX}; its author has to split it`,
    );
  const bytes = new Uint8Array(length);
  new DataView(bytes.buffer).setUint32(0, json.length);
  bytes.set(json, HEADER_BYTES);
  if (payload !== null) bytes.set(payload, HEADER_BYTES + json.length);
  return bytes;
}

/**
 * Inverse of `encodeRecord`. The id is computed, the payload (a copy) is the one that the statement names, and a judgement stands
 * with reports only; the chain and its signature are for the caller to check. Throws `invalid` for anything else.
 */
export function decodeRecord(bytes: Uint8Array, sha256: Sha256Hex): WireRecord {
  if (bytes.length < HEADER_BYTES || bytes.length > RECORD_BYTES_MAX) throw bad(`is ${bytes.length} bytes long`);
  const end = HEADER_BYTES + new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
  if (end > bytes.length) throw bad(`ends early: ${bytes.length} of at least ${end} bytes`);
  const parsed = headerSchema.safeParse(parseJson(decodeUtf8(bytes.subarray(HEADER_BYTES, end))));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw bad(`is not one: ${issue?.path.join(".").slice(0, 100) ?? ""}: ${issue?.message.slice(0, 200) ?? ""}`);
  }
  const { statement, acceptance } = parsed.data;
  if ((statement.kind === "report") !== (acceptance.judged !== null)) throw bad(`is a ${statement.kind} judged as ${acceptance.judged}`);
  return { id: statementId(statement, sha256), ...parsed.data, payload: payloadOf(statement, bytes.slice(end), sha256) };
}

function payloadOf(statement: Statement, rest: Uint8Array, sha256: Sha256Hex): Uint8Array | null {
  if (statement.kind !== "part" && statement.kind !== "upload") {
    if (rest.length > 0) throw bad(`carries ${rest.length} bytes behind a ${statement.kind}`);
    return null;
  }
  const { payloadBytes, payloadSha256 } = statement.content;
  if (rest.length !== payloadBytes || rest.length > PAYLOAD_BYTES_MAX) throw bad(`carries ${rest.length} payload bytes of ${payloadBytes}`);
  if (sha256(rest) !== payloadSha256) throw bad("carries another payload than its author signed");
  return rest;
}

/** Encoded records one after another, each with its length (4 bytes, big-endian) in front. */
export function packRecords(records: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(records.reduce((sum, record) => sum + HEADER_BYTES + record.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const record of records) {
    view.setUint32(at, record.length);
    bytes.set(record, at + HEADER_BYTES);
    at += HEADER_BYTES + record.length;
  }
  return bytes;
}

/** Inverse of `packRecords`: views of `bytes`. Throws `invalid` for what does not end with a whole record, and for more than `RECORDS_MAX`. */
export function unpackRecords(bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + HEADER_BYTES > bytes.length ? Infinity : at + HEADER_BYTES + view.getUint32(at);
    if (end > bytes.length) throw bad(`number ${records.length} of an answer ends early`);
    if (records.length >= RECORDS_MAX) throw bad(`number ${records.length} of an answer is one more than may be asked for`);
    records.push(bytes.subarray(at + HEADER_BYTES, end));
    at = end;
  }
  return records;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PortolanError("invalid", "record of a peer is not JSON; its region has to send it again", { cause });
  }
}

function bad(what: string): PortolanError {
  return new PortolanError("invalid", `record of a peer ${what}; its region has to send it again`);
}
