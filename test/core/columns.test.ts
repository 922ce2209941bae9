import * as fc from "fast-check";
import { expect, test } from "vitest";
import { addressToHex } from "../../src/core/address.ts";
import { decodeSightingRows, decodeSightings, encodeSightings, type Sighting } from "../../src/core/columns.ts";
import { PortolanError } from "../../src/core/errors.ts";
import { PAYLOAD_BYTES_MAX, SIGHTINGS_PER_PART_MAX } from "../../src/core/messages/report.ts";
import { protocolNumber } from "../../src/core/port.ts";
import { addresses, protocols } from "./builders.ts";

const sightings: fc.Arbitrary<Sighting> = fc.record({
  address: addresses,
  protocol: protocols,
  port: fc.oneof(fc.constantFrom(0, 1, 22, 65_535), fc.integer({ min: 0, max: 65_535 })),
  observedAtS: fc.oneof(fc.integer({ min: 1_800_000_000, max: 1_800_000_600 }), fc.constantFrom(0, 0xffff_ffff)),
});

const keyOf = (row: { hex: string; protocol: number; port: number }): string =>
  `${row.hex} ${row.protocol.toString().padStart(3)} ${row.port.toString().padStart(5)}`;

/** Each service once with its earliest time, in the order of the keys. */
function naive(list: readonly Sighting[]): [string, number][] {
  const earliest = new Map<string, number>();
  for (const { address, protocol, port, observedAtS } of list) {
    const key = keyOf({ hex: addressToHex(address), protocol: protocolNumber(protocol), port });
    earliest.set(key, Math.min(observedAtS, earliest.get(key) ?? observedAtS));
  }
  return [...earliest].sort(([a], [b]) => (a < b ? -1 : 1));
}

test("sightings come back sorted, each service once with its earliest time", () => {
  fc.assert(
    fc.property(fc.array(sightings, { maxLength: 60 }), (list) => {
      const rows = decodeSightingRows(encodeSightings([...list, ...list.slice(0, 10)]));
      expect(rows.map((row) => [keyOf(row), row.observedAtS])).toEqual(naive(list));
      expect(rows.map(({ hex }) => hex)).toEqual(rows.map(({ hex }) => hex).toSorted());
    }),
  );
});

test("equal sets of sightings have equal bytes, and decoding then encoding gives the same bytes", () => {
  fc.assert(
    fc.property(fc.array(sightings, { maxLength: 40 }), (list) => {
      const bytes = encodeSightings(list);
      expect(encodeSightings(list.toReversed())).toEqual(bytes);
      expect(encodeSightings(decodeSightings(bytes))).toEqual(bytes);
    }),
  );
});

test("the format of a payload never changes", () => {
  const payload = encodeSightings([
    { address: 0xffff_c000_0201n, protocol: "tcp", port: 443, observedAtS: 1_001 },
    { address: 0xffff_c000_0201n, protocol: "udp", port: 53, observedAtS: 1_000 },
    { address: 1n, protocol: "sctp", port: 1, observedAtS: 1_130 },
  ]);
  expect(Buffer.from(payload).toString("hex")).toBe(
    "010201e8078184808" + "00c00" + "00000000000000000000000000000001" + "bb03" + "b58004" + "818008" + "01" + "00" + "8201",
  );
});

/** Decodes; whatever goes wrong has to be a PortolanError, and whatever goes well has to be canonical. */
function decodeOrRefuse(bytes: Uint8Array): boolean {
  try {
    const list = decodeSightings(bytes);
    expect(encodeSightings(list)).toEqual(bytes);
    return true;
  } catch (error) {
    if (!(error instanceof PortolanError)) throw error;
    return false;
  }
}

test("any bytes are sightings in their one spelling, or a PortolanError", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 64 }),
        fc.uint8Array({ maxLength: 64 }).map((tail) => Uint8Array.from([1, ...tail])),
      ),
      (bytes) => {
        decodeOrRefuse(bytes);
      },
    ),
    { numRuns: 3_000 },
  );
});

test("any changed byte of a payload gives other sightings or a PortolanError", () => {
  fc.assert(
    fc.property(
      fc.array(sightings, { minLength: 1, maxLength: 20 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (list, position, flip) => {
        const bytes = encodeSightings(list);
        const at = position % bytes.length;
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        decodeOrRefuse(bytes);
      },
    ),
    { numRuns: 1_000 },
  );
});

test("a payload cut or lengthened anywhere is refused", () => {
  fc.assert(
    fc.property(fc.array(sightings, { minLength: 1, maxLength: 10 }), (list) => {
      const bytes = encodeSightings(list);
      for (let length = 0; length < bytes.length; length += 1) expect(decodeOrRefuse(bytes.subarray(0, length))).toBe(false);
      expect(decodeOrRefuse(Uint8Array.from([...bytes, 0]))).toBe(false);
    }),
    { numRuns: 30 },
  );
});

test("a payload in another spelling than its own is refused, so that a digest stands for one set of rows", () => {
  const refused: [string, number[]][] = [
    ["format 1", [2, 0, 0, 0]],
    ["rows out of order or twice", [1, 2, 0, 5, 9, 0, 80, 80, 0, 0]],
    ["rows out of order or twice", [1, 2, 0, 5, 9, 0, 81, 80, 0, 0]],
    [
      "addresses out of order",
      [1, 0, 2, 5, ...Array.from({ length: 15 }, () => 0), 2, ...Array.from({ length: 15 }, () => 0), 1, 80, 80, 0, 0],
    ],
    ["IPv4 address among its IPv6", [1, 0, 1, 5, ...Array.from({ length: 10 }, () => 0), 255, 255, 1, 2, 3, 4, 80, 0]],
    ["needless byte", [1, 1, 0, 5, 0x89, 0, 80, 0]],
    ["number above", [1, 1, 0, 5, 0xff, 0xff, 0xff, 0xff, 0x1f, 80, 0]],
    ["number above", [1, 1, 0, 5, 9, 0x80, 0x80, 0x0c, 0]],
    ["earliest time", [1, 1, 0, 5, 9, 80, 1]],
    ["earliest time", [1, 0, 0, 5]],
    ["goes on after", [1, 1, 0, 5, 9, 80, 0, 0]],
  ];
  for (const [why, bytes] of refused) expect(() => decodeSightingRows(Uint8Array.from(bytes)), why).toThrow(why);
  expect(decodeSightingRows(Uint8Array.from([1, 1, 0, 5, 9, 80, 0]))).toEqual([
    { hex: "00000000000000000000ffff00000009", protocol: 6, port: 80, observedAtS: 5 },
  ]);
  expect(decodeSightingRows(Uint8Array.from([1, 0, 0, 0]))).toEqual([]);
});

test("a short payload cannot ask for much memory", () => {
  const bomb = Uint8Array.from([1, 0xa0, 0x9c, 0x01, 0, 0]);
  expect(() => decodeSightingRows(bomb)).toThrow(/announces 20000 rows in 6 bytes/);
  expect(() => decodeSightingRows(Uint8Array.from([1, 0xff, 0xff, 0xff, 0x7f, 0, 0]))).toThrow(/number above 20000/);
  expect(() => decodeSightingRows(new Uint8Array(PAYLOAD_BYTES_MAX + 1))).toThrow(/more than 524288/);
});

test("a full part of the largest rows fits the bounds", () => {
  const list = Array.from({ length: SIGHTINGS_PER_PART_MAX }, (_, i): Sighting => ({
    address: (1n << 127n) + BigInt(i),
    protocol: "sctp",
    port: 65_535,
    observedAtS: i % 2 === 0 ? 0 : 0xffff_ffff,
  }));
  const bytes = encodeSightings(list);
  expect(bytes.length).toBeLessThanOrEqual(PAYLOAD_BYTES_MAX);
  expect(decodeSightingRows(bytes)).toHaveLength(SIGHTINGS_PER_PART_MAX);
  expect(() => encodeSightings([...list, { address: 1n, protocol: "tcp", port: 1, observedAtS: 0 }])).toThrow(
    /20001 sightings are too many/,
  );
});

test("values that do not fit are refused, never wrapped", () => {
  const good: Sighting = { address: 1n, protocol: "tcp", port: 1, observedAtS: 1 };
  for (const bad of [
    { port: -1 },
    { port: 65_536 },
    { port: 1.5 },
    { observedAtS: -1 },
    { observedAtS: 2 ** 32 },
    { observedAtS: 0.5 },
    { address: -1n },
    { address: 1n << 128n },
  ]) {
    expect(() => encodeSightings([{ ...good, ...bad }])).toThrow(PortolanError);
  }
});
