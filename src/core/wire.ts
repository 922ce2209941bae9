import { canonicalJson } from "./canonical.ts";
import { PortolanError } from "./errors.ts";
import { PAYLOAD_BYTES_MAX } from "./messages/report.ts";
import { signedStatementSchema, type SignedStatement } from "./messages/record.ts";
import { decodeUtf8, encodeUtf8 } from "./utf8.ts";

/** Upper bound of a statement's JSON; a report with 100,000 parts takes about 10 MB. */
const STATEMENT_BYTES_MAX = 16 * 1024 * 1024;
const HEADER_BYTES = 4;

/** A statement as it travels; `payload` is there for parts and uploads only. */
export type WireMessage = { readonly signed: SignedStatement; readonly payload: Uint8Array | null };

/**
 * Bytes on the bus: length of the JSON (4 bytes, big-endian), canonical JSON in UTF-8, payload.
 * Throws `invalid` when the payload does not fit the statement, `too-large` above the bounds.
 */
export function encodeWire(signed: SignedStatement, payload: Uint8Array | null): Uint8Array {
  checkPayload(signed, payload);
  const json = encodeUtf8(canonicalJson(signed));
  if (json.length > STATEMENT_BYTES_MAX) {
    throw new PortolanError(
      "too-large",
      `${signed.statement.kind} statement takes ${json.length} bytes, more than ${STATEMENT_BYTES_MAX}; split what it describes`,
    );
  }
  const bytes = new Uint8Array(HEADER_BYTES + json.length + (payload?.length ?? 0));
  new DataView(bytes.buffer).setUint32(0, json.length);
  bytes.set(json, HEADER_BYTES);
  if (payload !== null) bytes.set(payload, HEADER_BYTES + json.length);
  return bytes;
}

/**
 * Inverse of `encodeWire`. The payload is a view of `bytes`; its digest and the signature are for the caller to check.
 * Throws `invalid` for anything that is not one whole, well-formed message.
 */
export function decodeWire(bytes: Uint8Array): WireMessage {
  if (bytes.length < HEADER_BYTES) throw badMessage(`is ${bytes.length} bytes long, shorter than its header`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
  const end = HEADER_BYTES + length;
  if (length > STATEMENT_BYTES_MAX) throw badMessage(`announces a statement of ${length} bytes, more than ${STATEMENT_BYTES_MAX}`);
  if (end > bytes.length) throw badMessage(`ends early: ${bytes.length} of at least ${end} bytes`);
  const parsed = signedStatementSchema.safeParse(parseJson(decodeUtf8(bytes.subarray(HEADER_BYTES, end))));
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw badMessage(`is not a statement: ${issue?.path.join(".").slice(0, 100) ?? ""}: ${issue?.message.slice(0, 200) ?? ""}`);
  }
  const rest = bytes.subarray(end);
  const payload = rest.length > 0 ? rest : null;
  checkPayload(parsed.data, payload);
  return { signed: parsed.data, payload };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new PortolanError("invalid", "message is not JSON; the sender has to encode it again", { cause });
  }
}

function checkPayload({ statement }: SignedStatement, payload: Uint8Array | null): void {
  const expected = statement.kind === "part" || statement.kind === "upload" ? statement.content.payloadBytes : 0;
  const actual = payload?.length ?? 0;
  if (actual !== expected) throw badMessage(`carries ${actual} payload bytes; its ${statement.kind} statement says ${expected}`);
  if (actual > PAYLOAD_BYTES_MAX)
    throw new PortolanError("too-large", `payload of ${actual} bytes is above ${PAYLOAD_BYTES_MAX}; split it into parts`);
}

function badMessage(what: string): PortolanError {
  return new PortolanError("invalid", `message ${what}; the sender has to encode it again`);
}
