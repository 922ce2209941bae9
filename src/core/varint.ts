import type { PortolanError } from "./errors.ts";

/** Growing byte buffer. */
export type ByteWriter = {
  /** LEB128 of a whole number from 0 to 2^53 − 1. */
  varint(value: number): void;
  /** Bytes of an even number of hex digits. */
  hex(digits: string): void;
  bytes(): Uint8Array;
};

export function byteWriter(): ByteWriter {
  const out: number[] = [];
  return {
    varint(value) {
      let rest = value;
      while (rest >= 128) {
        out.push((rest % 128) | 128);
        rest = Math.floor(rest / 128);
      }
      out.push(rest);
    },
    hex(digits) {
      for (let i = 0; i < digits.length; i += 2) out.push(Number.parseInt(digits.slice(i, i + 2), 16));
    },
    bytes: () => Uint8Array.from(out),
  };
}

/** Reads what `ByteWriter` writes, and nothing else: numbers have one spelling only. */
export type ByteReader = {
  byte(): number;
  /** Throws when the number is above `max` (inclusive). */
  varint(max: number): number;
  atEnd(): boolean;
};

/** `fail` makes the error for bytes that end early or cannot be read. */
export function byteReader(bytes: Uint8Array, fail: (what: string) => PortolanError): ByteReader {
  let at = 0;
  const byte = (): number => {
    const value = bytes[at];
    if (value === undefined) throw fail(`ends early, after ${bytes.length} bytes`);
    at += 1;
    return value;
  };
  return {
    byte,
    varint(max) {
      let value = 0;
      for (let scale = 1; scale < 2 ** 53; scale *= 128) {
        const part = byte();
        value += (part & 127) * scale;
        if (value > max) break;
        if (part >= 128) continue;
        if (part === 0 && scale > 1) throw fail(`has a number with a needless byte at ${at - 1}`);
        return value;
      }
      throw fail(`has a number above ${max} at byte ${at - 1}`);
    },
    atEnd: () => at === bytes.length,
  };
}
