import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PortolanError } from "../../src/core/errors.ts";
import { decodeWire, encodeWire } from "../../src/core/wire.ts";
import { planJob } from "../../src/core/plan.ts";
import { planInput } from "./builders.ts";
import { part, signed, upload } from "./statements.ts";

const job = signed({ kind: "job", content: planJob(planInput()) });

/** Decodes; whatever goes wrong has to be a PortolanError. */
function decodes(bytes: Uint8Array): boolean {
  try {
    decodeWire(bytes);
    return true;
  } catch (error) {
    if (!(error instanceof PortolanError)) throw error;
    return false;
  }
}

test("a statement and its payload come back as they were sent", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.boolean(), (payload, isPart) => {
      const message = signed(
        isPart ? { kind: "part", content: part(payload.length) } : { kind: "upload", content: upload(payload.length) },
      );
      const back = decodeWire(encodeWire(message, payload));
      expect(back.signed).toEqual(message);
      expect(back.payload).toEqual(payload);
    }),
  );
  expect(decodeWire(encodeWire(job, null))).toEqual({ signed: job, payload: null });
});

test("a message is read from the middle of a larger buffer", () => {
  const bytes = encodeWire(job, null);
  const buffer = new Uint8Array(bytes.length + 20).fill(255);
  buffer.set(bytes, 7);
  expect(decodeWire(buffer.subarray(7, 7 + bytes.length)).signed).toEqual(job);
});

test("a message cut at any byte, or with a byte too many, is refused", () => {
  const bytes = encodeWire(signed({ kind: "part", content: part(9) }), new Uint8Array(9));
  for (let length = 0; length < bytes.length; length += 1) expect(decodes(bytes.subarray(0, length)), `cut at ${length}`).toBe(false);
  expect(decodes(Uint8Array.from([...bytes, 0]))).toBe(false);
  const whole = encodeWire(job, null);
  for (let length = 0; length < whole.length; length += 1) expect(decodes(whole.subarray(0, length)), `cut at ${length}`).toBe(false);
  expect(decodes(Uint8Array.from([...whole, 0]))).toBe(false);
});

test("any bytes are a message or a PortolanError", () => {
  const bytes = encodeWire(job, null);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
      const changed = Uint8Array.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ flip;
      decodes(changed);
    }),
    { numRuns: 500 },
  );
  const framed = (json: string): Uint8Array => {
    const text = new TextEncoder().encode(json);
    const out = new Uint8Array(4 + text.length);
    new DataView(out.buffer).setUint32(0, text.length);
    out.set(text, 4);
    return out;
  };
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.json().map(framed)), (input) => {
      expect(decodes(input)).toBe(false);
    }),
  );
  expect(decodes(framed("[".repeat(200_000)))).toBe(false);
  expect(decodes(framed(`{"a":`.repeat(100_000)))).toBe(false);
});

test("what does not fit together is refused by the sender too", () => {
  const message = signed({ kind: "part", content: part(9) });
  expect(() => encodeWire(message, new Uint8Array(8))).toThrow(/carries 8 payload bytes; its part statement says 9/);
  expect(() => encodeWire(message, null)).toThrow(/carries 0 payload bytes/);
  expect(() => encodeWire(job, new Uint8Array(1))).toThrow(/carries 1 payload bytes; its job statement says 0/);
  const large = 512 * 1024 + 1;
  expect(() => encodeWire(signed({ kind: "upload", content: upload(large) }), new Uint8Array(large))).toThrow(/above 524288; split it/);
});

test("a refused message says which field is wrong", () => {
  const bytes = encodeWire(job, null);
  const other = new TextDecoder().decode(bytes.subarray(4)).replace('"seed":"42"', '"seed":"<2"');
  const framed = Uint8Array.from([...bytes.subarray(0, 4), ...new TextEncoder().encode(other)]);
  expect(() => decodeWire(framed)).toThrow(/statement\.content\.seed: a decimal number/);
});
