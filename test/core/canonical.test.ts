import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "../../src/core/canonical.ts";
import { PortolanError } from "../../src/core/errors.ts";
import type { Statement } from "../../src/core/messages/record.ts";
import { assignmentSignedText, chainHash, signedText, statementId } from "../../src/core/statement.ts";
import { decodeUtf8, encodeUtf8 } from "../../src/core/utf8.ts";
import { assignment, upload } from "./statements.ts";

const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");

test("canonical JSON reads back as the value, and its text is a fixed point", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 5 }), (value) => {
      const text = canonicalJson(value);
      expect(canonicalJson(JSON.parse(text))).toBe(text);
      expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
    }),
  );
});

test("the order in which keys were set makes no difference", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 2 })), (value) => {
      expect(canonicalJson(Object.fromEntries(Object.entries(value).toReversed()))).toBe(canonicalJson(value));
    }),
  );
  expect(canonicalJson({ b: [1, "é", null], a: { d: true, c: -0 } })).toBe('{"a":{"c":0,"d":true},"b":[1,"é",null]}');
});

test("values that JSON cannot carry are refused by their path", () => {
  expect(() => canonicalJson({ a: [1, undefined] })).toThrow(/\$\.a\[1\] is undefined/);
  expect(() => canonicalJson({ a: Number.NaN })).toThrow(/\$\.a is NaN/);
  for (const value of [
    undefined,
    Number.POSITIVE_INFINITY,
    1n,
    Symbol("x"),
    () => 1,
    new Date(0),
    new Map(),
    new Uint8Array(1),
    Array.from({ length: 1 }),
  ]) {
    expect(() => canonicalJson(value)).toThrow(PortolanError);
  }
  const cycle: Record<string, unknown> = {};
  cycle["self"] = cycle;
  expect(() => canonicalJson(cycle)).toThrow(/nested deeper/);
});

test("ids, signed texts and chain hashes never change", () => {
  const statement: Statement = { kind: "upload", content: upload(3) };
  const json = canonicalJson(statement.content);
  expect(statementId(statement, sha256)).toBe(sha256(`portolan/statement/1/upload\n${json}`));
  expect(statementId(statement, sha256)).toBe("1b24e3393692dcef66504159f01de4c0a145505a7dc691766ff54db508831891");
  expect(signedText("ab")).toBe("portolan/signature/1/ab");
  expect(assignmentSignedText(assignment()).startsWith('portolan/assignment/1\n{"canaries":[],"connectTimeoutMs":1000,')).toBe(true);
  const link = { log: "0".repeat(32), rseq: 0, previous: "", id: "1".repeat(64), stampMs: 1_800_000_000_000, judged: null };
  expect(chainHash(link, sha256)).toBe("a14c2f7c3ae1d08d60b720c31a27b010abb0d69875d26e8ae91425371719867a");
});

test("every field of a link changes its chain hash", () => {
  const link = { log: "0".repeat(32), rseq: 1, previous: "2".repeat(64), id: "1".repeat(64), stampMs: 11, judged: "partial" as const };
  const others = [
    { ...link, log: "1".repeat(32) },
    { ...link, rseq: 2 },
    { ...link, previous: "3".repeat(64) },
    { ...link, id: "4".repeat(64) },
    { ...link, stampMs: 1 },
    { ...link, judged: "complete" as const },
    { ...link, judged: null },
  ];
  expect(new Set([link, ...others].map((one) => chainHash(one, sha256))).size).toBe(8);
});

test("UTF-8 agrees with the platform's coder in both directions", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 40 }), (text) => {
      expect(encodeUtf8(text)).toEqual(new TextEncoder().encode(text));
      expect(decodeUtf8(encodeUtf8(text))).toBe(text);
    }),
  );
  const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 6 }),
    fc
      .array(fc.constantFrom(0x24, 0x80, 0xbf, 0xc0, 0xc2, 0xe0, 0xa0, 0xed, 0x9f, 0xef, 0xf0, 0x90, 0xf4, 0x8f, 0xf5, 0xff), {
        maxLength: 6,
      })
      .map((list) => Uint8Array.from(list)),
  );
  fc.assert(
    fc.property(bytes, (input) => {
      let expected: string | null = null;
      try {
        expected = strict.decode(input);
      } catch {
        expect(() => decodeUtf8(input)).toThrow(PortolanError);
        return;
      }
      expect(decodeUtf8(input)).toBe(expected);
    }),
    { numRuns: 1_000 },
  );
  expect(decodeUtf8(encodeUtf8("é€😀".repeat(20_000)))).toBe("é€😀".repeat(20_000));
  expect(() => encodeUtf8("\ud800")).toThrow(PortolanError);
});
