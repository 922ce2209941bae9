import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PortolanError } from "../../src/core/errors.ts";
import { chainReplySchema, repairRequestSchema, standsReplySchema } from "../../src/core/messages/peer.ts";
import { planJob } from "../../src/core/plan.ts";
import {
  decodeRecord,
  encodeRecord,
  packRecords,
  RECORD_BYTES_MAX,
  RECORDS_MAX,
  unpackRecords,
  type WireRecord,
} from "../../src/core/record-wire.ts";
import { statementId } from "../../src/core/statement.ts";
import { planInput } from "./builders.ts";
import { part, signed, upload } from "./statements.ts";

const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");
const acceptance = {
  log: "a".repeat(32),
  rseq: 7,
  stampMs: 1_700_000_000_000,
  judged: null,
  chain: "c".repeat(64),
  signature: "S".repeat(86),
};

function recordOf(statement: WireRecord["statement"], payload: Uint8Array | null = null): WireRecord {
  return { id: statementId(statement, sha256), ...signed(statement), acceptance, region: "eu", payload };
}

function uploaded(payload: Uint8Array): WireRecord {
  return recordOf({ kind: "upload", content: { ...upload(payload.length), payloadSha256: sha256(payload) } }, payload);
}

const job = recordOf({ kind: "job", content: planJob(planInput()) });

function decodes(bytes: Uint8Array): boolean {
  try {
    decodeRecord(bytes, sha256);
    return true;
  } catch (error) {
    if (!(error instanceof PortolanError)) throw error;
    return false;
  }
}

describe("a record between regions", () => {
  test("comes back as it was accepted, with its id computed anew", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.nat(1_000_000), (payload, rseq) => {
        const record = { ...uploaded(payload), acceptance: { ...acceptance, rseq } };
        expect(decodeRecord(encodeRecord(record), sha256)).toEqual(record);
      }),
    );
    expect(decodeRecord(encodeRecord(job), sha256)).toEqual(job);
  });

  test("leaves at home what only its own ledger knows of it", () => {
    const own = { ...job, judged: { kind: "complete" }, n: 5, acceptance: { ...acceptance, extra: 1 } };
    expect(decodeRecord(encodeRecord(own), sha256)).toEqual(job);
  });

  test("is read from the middle of a larger buffer, and keeps nothing of it", () => {
    const record = uploaded(new Uint8Array([1, 2, 3]));
    const bytes = encodeRecord(record);
    const buffer = new Uint8Array(bytes.length + 20).fill(255);
    buffer.set(bytes, 7);
    const found = decodeRecord(buffer.subarray(7, 7 + bytes.length), sha256);
    buffer.fill(0);
    expect(found).toEqual(record);
  });

  test("is refused when it is cut at any byte, has a byte too many, or another payload than its author signed", () => {
    const bytes = encodeRecord(uploaded(new Uint8Array(9).fill(1)));
    for (let length = 0; length < bytes.length; length += 1) expect(decodes(bytes.subarray(0, length)), `cut at ${length}`).toBe(false);
    expect(decodes(Uint8Array.from([...bytes, 0]))).toBe(false);
    const changed = Uint8Array.from(bytes);
    changed[bytes.length - 1] = 2;
    expect(decodes(changed)).toBe(false);
    expect(decodes(Uint8Array.from([...encodeRecord(job), 0]))).toBe(false);
    expect(decodes(encodeRecord(recordOf({ kind: "part", content: part(9) }, new Uint8Array(9))))).toBe(false);
  });

  test("has a judgement exactly when it is a report", () => {
    expect(decodes(encodeRecord({ ...job, acceptance: { ...acceptance, judged: "complete" } }))).toBe(false);
    const content = {
      version: 1 as const,
      key: part(1).key,
      scanner: "alpha",
      runId: "b".repeat(32),
      outcome: { kind: "complete" as const },
      evidence: null,
      parts: [],
      sightings: 0,
      probesSent: 0,
      startedAtMs: 0,
      endedAtMs: 0,
    };
    const report = recordOf({ kind: "report", content });
    expect(decodes(encodeRecord(report))).toBe(false);
    expect(decodes(encodeRecord({ ...report, acceptance: { ...acceptance, judged: "partial" } }))).toBe(true);
  });

  test("is refused, never worse, whatever bytes are changed", () => {
    const bytes = encodeRecord(uploaded(new Uint8Array(20)));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Uint8Array.from(bytes);
        changed[at] = (changed[at] ?? 0) ^ flip;
        decodes(changed);
      }),
      { numRuns: 500 },
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (any) => decodes(any) === false));
  });

  test("is not sent when it is larger than a message may be", () => {
    expect(() => encodeRecord({ ...job, payload: new Uint8Array(RECORD_BYTES_MAX) })).toThrow(/above 8000000/);
    expect(decodes(new Uint8Array(RECORD_BYTES_MAX + 1))).toBe(false);
  });
});

describe("an answer with several records", () => {
  test("comes back one by one", () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 20 }), (records) => {
        expect(unpackRecords(packRecords(records)).map((one) => [...one])).toEqual(records.map((one) => [...one]));
      }),
    );
  });

  test("is refused when it ends early or holds more than may be asked for", () => {
    const bytes = packRecords([new Uint8Array(5), new Uint8Array(6)]);
    for (let length = 1; length < bytes.length; length += 1) {
      if (length !== 9) expect(() => unpackRecords(bytes.subarray(0, length)), `cut at ${length}`).toThrow(PortolanError);
    }
    const empty = Array.from({ length: RECORDS_MAX }, () => new Uint8Array());
    expect(unpackRecords(packRecords(empty))).toHaveLength(RECORDS_MAX);
    expect(() => unpackRecords(packRecords([...empty, new Uint8Array()]))).toThrow(/one more/);
  });
});

test("what regions ask each other has one shape only", () => {
  const log = "a".repeat(32);
  for (const good of [{ kind: "stands" }, { kind: "get", log, from: 0, limit: 256 }, { kind: "chain", log, rseq: 0 }])
    expect(repairRequestSchema.safeParse(good).success).toBe(true);
  for (const wrong of [
    { kind: "get", log, from: 0, limit: 257 },
    { kind: "get", log: "x", from: 0, limit: 1 },
    { kind: "chain", log, rseq: -1 },
    { kind: "stands", more: 1 },
    {},
  ])
    expect(repairRequestSchema.safeParse(wrong).success).toBe(false);
  const stand = { log, region: "", own: false, prefix: -1, highest: 3, chain: "" };
  expect(standsReplySchema.safeParse({ stands: [stand], settled: false, hash: null, frontier: { [log]: 1 }, nowMs: 1 }).success).toBe(true);
  expect(
    standsReplySchema.safeParse({ stands: [{ ...stand, prefix: -2 }], settled: false, hash: null, frontier: {}, nowMs: 1 }).success,
  ).toBe(false);
  expect(chainReplySchema.safeParse({ chain: null }).success).toBe(true);
});
