import { ADDRESS_LAST, IPV4_FIRST, addressFromHex, addressToHex, isIpv4, type Address } from "./address.ts";
import { PortolanError } from "./errors.ts";
import { PAYLOAD_BYTES_MAX, SIGHTINGS_PER_PART_MAX } from "./messages/report.ts";
import { protocolNumber, protocolOf, type Protocol, type ProtocolNumber } from "./port.ts";
import { byteReader, byteWriter, type ByteReader } from "./varint.ts";

/** One open (address, protocol, port), seen at `observedAtS` (Unix seconds). */
export type Sighting = { readonly address: Address; readonly protocol: Protocol; readonly port: number; readonly observedAtS: number };

/** A sighting as the ledger wants it: `hex` is the 32-digit address key, `protocol` the IANA number. */
export type SightingRow = { readonly hex: string; readonly protocol: ProtocolNumber; readonly port: number; readonly observedAtS: number };

const FORMAT = 1;
const OBSERVED_AT_S_MAX = 0xffff_ffff;
const ADDRESS_BYTES = 16;
const IPV4_PREFIX: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255];
const BYTE_HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/**
 * Sightings as columns: sorted by address, protocol and port, each (address, protocol, port) once with its earliest time.
 * Format 1: 1, IPv4 count, IPv6 count, earliest time; then IPv4 address differences, IPv6 addresses (16 bytes each),
 * protocol × 65536 + port (protocol 0 tcp, 1 udp, 2 sctp), seconds after the earliest. Numbers are LEB128 varints.
 * Equal sets have equal bytes. Throws `too-large` above `SIGHTINGS_PER_PART_MAX`, `invalid` for a value out of range.
 */
export function encodeSightings(sightings: readonly Sighting[]): Uint8Array {
  const rows = distinctRows(sightings);
  if (rows.length > SIGHTINGS_PER_PART_MAX) {
    throw new PortolanError(
      "too-large",
      `${rows.length} sightings are too many for one part; send at most ${SIGHTINGS_PER_PART_MAX} in each`,
    );
  }
  const ipv4 = rows.filter((row) => isIpv4(row.address));
  const ipv6 = rows.filter((row) => !isIpv4(row.address));
  const ordered = [...ipv4, ...ipv6];
  const earliestS = rows.reduce((earliest, row) => Math.min(earliest, row.observedAtS), rows.length > 0 ? OBSERVED_AT_S_MAX : 0);
  const writer = byteWriter();
  writer.varint(FORMAT);
  writer.varint(ipv4.length);
  writer.varint(ipv6.length);
  writer.varint(earliestS);
  let previous = 0;
  for (const row of ipv4) {
    const value = Number(row.address - IPV4_FIRST);
    writer.varint(value - previous);
    previous = value;
  }
  for (const row of ipv6) writer.hex(addressToHex(row.address));
  for (const row of ordered) writer.varint(PROTOCOL_CODES[row.protocol] * 65_536 + row.port);
  for (const row of ordered) writer.varint(row.observedAtS - earliestS);
  return writer.bytes();
}

const PROTOCOL_CODES = { tcp: 0, udp: 1, sctp: 2 } as const;
const PROTOCOL_NUMBERS: readonly ProtocolNumber[] = [6, 17, 132];

function distinctRows(sightings: readonly Sighting[]): Sighting[] {
  for (const { address, port, observedAtS } of sightings) {
    if (address < 0n || address > ADDRESS_LAST)
      throw new PortolanError("invalid", `sighting of ${address}, which is no address of 128 bits`);
    if (!Number.isInteger(port) || port < 0 || port > 65_535)
      throw new PortolanError("invalid", `sighting of port ${port}; ports are 0 to 65535`);
    if (!Number.isInteger(observedAtS) || observedAtS < 0 || observedAtS > OBSERVED_AT_S_MAX) {
      throw new PortolanError("invalid", `sighting at ${observedAtS}; times are whole Unix seconds from 0 to ${OBSERVED_AT_S_MAX}`);
    }
  }
  const sorted = sightings.toSorted((a, b) => compareServices(a, b) || a.observedAtS - b.observedAtS);
  return sorted.filter((row, index) => {
    const before = sorted[index - 1];
    return before === undefined || compareServices(before, row) !== 0;
  });
}

function compareServices(a: Sighting, b: Sighting): number {
  if (a.address !== b.address) return a.address < b.address ? -1 : 1;
  return protocolNumber(a.protocol) - protocolNumber(b.protocol) || a.port - b.port;
}

/** The sightings of a payload, sorted by address, protocol and port. Throws `invalid` for bytes that `encodeSightings` cannot have written. */
export function decodeSightings(payload: Uint8Array): Sighting[] {
  return decodeSightingRows(payload).map(({ hex, protocol, port, observedAtS }) => ({
    address: addressFromHex(hex),
    protocol: protocolOf(protocol),
    port,
    observedAtS,
  }));
}

/** The same row by row without a bigint: sorted by `hex`, protocol and port, no row twice. Throws as `decodeSightings` does. */
export function decodeSightingRows(payload: Uint8Array): SightingRow[] {
  const table = decodeSightingTable(payload);
  return Array.from({ length: table.count }, (_, index) => sightingRowAt(table, index));
}

/**
 * Sightings as columns of numbers, one entry for each row, sorted by address, protocol and port. A million rows make no
 * object each, which is what ingest lives on: its time would go to the garbage collector otherwise.
 */
export type SightingTable = {
  readonly count: number;
  /** 16 bytes for each row. */
  readonly addresses: Uint8Array;
  /** IANA numbers. */
  readonly protocols: Uint8Array;
  readonly ports: Uint16Array;
  readonly observedAtS: Uint32Array;
};

/** One row of a table; `index` counts from 0. */
export function sightingRowAt({ addresses, protocols, ports, observedAtS }: SightingTable, index: number): SightingRow {
  let hex = "";
  for (const byte of addresses.subarray(index * ADDRESS_BYTES, (index + 1) * ADDRESS_BYTES)) hex += BYTE_HEX[byte] ?? "";
  const protocol = PROTOCOL_NUMBERS.find((number) => number === protocols[index]) ?? 6;
  return { hex, protocol, port: ports[index] ?? 0, observedAtS: observedAtS[index] ?? 0 };
}

/** The fast path of ingest. Throws as `decodeSightings` does. */
export function decodeSightingTable(payload: Uint8Array): SightingTable {
  if (payload.length > PAYLOAD_BYTES_MAX) throw garbled(`is ${payload.length} bytes long, more than ${PAYLOAD_BYTES_MAX}`);
  const reader = byteReader(payload, garbled);
  if (reader.varint(255) !== FORMAT) throw garbled(`is not of format ${FORMAT}`);
  const ipv4Count = reader.varint(SIGHTINGS_PER_PART_MAX);
  const count = ipv4Count + reader.varint(SIGHTINGS_PER_PART_MAX - ipv4Count);
  const earliestS = reader.varint(OBSERVED_AT_S_MAX);
  // A row has at least three bytes: so a short payload cannot ask for many rows.
  if (count * 3 > payload.length) throw garbled(`announces ${count} rows in ${payload.length} bytes`);
  const addresses = readAddresses(reader, ipv4Count, count);
  const protocols = new Uint8Array(count);
  const ports = new Uint16Array(count);
  let before = -1;
  for (let row = 0; row < count; row += 1) {
    const service = reader.varint(3 * 65_536 - 1);
    if (service <= before && row > 0 && compareAddresses(addresses, row, addresses, row - 1) === 0)
      throw garbled("has rows out of order or twice");
    before = service;
    protocols[row] = PROTOCOL_NUMBERS[service >>> 16] ?? 6;
    ports[row] = service & 0xffff;
  }
  const observedAtS = readTimes(reader, count, earliestS);
  if (!reader.atEnd()) throw garbled("goes on after its last row");
  return inAddressOrder({ count, addresses, protocols, ports, observedAtS }, ipv4Count);
}

/** Order of two addresses of 16 bytes each, given by their rows. */
export function compareAddresses(a: Uint8Array, rowOfA: number, b: Uint8Array, rowOfB: number): number {
  for (let byte = 0; byte < ADDRESS_BYTES; byte += 1) {
    const difference = (a[rowOfA * ADDRESS_BYTES + byte] ?? 0) - (b[rowOfB * ADDRESS_BYTES + byte] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function readAddresses(reader: ByteReader, ipv4Count: number, count: number): Uint8Array {
  const bytes = new Uint8Array(count * ADDRESS_BYTES);
  let value = 0;
  for (let row = 0; row < ipv4Count; row += 1) {
    value += reader.varint(0xffff_ffff - value);
    const at = row * ADDRESS_BYTES;
    bytes[at + 10] = 255;
    bytes[at + 11] = 255;
    bytes[at + 12] = value >>> 24;
    bytes[at + 13] = value >>> 16;
    bytes[at + 14] = value >>> 8;
    bytes[at + 15] = value;
  }
  for (let row = ipv4Count; row < count; row += 1) {
    for (let byte = 0; byte < ADDRESS_BYTES; byte += 1) bytes[row * ADDRESS_BYTES + byte] = reader.byte();
    if (row > ipv4Count && compareAddresses(bytes, row, bytes, row - 1) < 0) throw garbled("has addresses out of order");
    if (compareIpv4Prefix(bytes, row) === 0) throw garbled("has an IPv4 address among its IPv6 addresses");
  }
  return bytes;
}

function readTimes(reader: ByteReader, count: number, earliestS: number): Uint32Array {
  const times = new Uint32Array(count);
  let atEarliest = count === 0 && earliestS === 0;
  for (let row = 0; row < count; row += 1) {
    const offsetS = reader.varint(OBSERVED_AT_S_MAX - earliestS);
    if (offsetS === 0) atEarliest = true;
    times[row] = earliestS + offsetS;
  }
  if (!atEarliest) throw garbled("names an earliest time that no row has");
  return times;
}

/** Where an address stands to the block of IPv4 addresses: negative below it, 0 inside. */
function compareIpv4Prefix(addresses: Uint8Array, row: number): number {
  for (let byte = 0; byte < IPV4_PREFIX.length; byte += 1) {
    const difference = (addresses[row * ADDRESS_BYTES + byte] ?? 0) - (IPV4_PREFIX[byte] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** IPv4 comes first in the columns; in the order of addresses a few IPv6 ones (such as ::1) stand below it. */
function inAddressOrder(table: SightingTable, ipv4Count: number): SightingTable {
  const { count, addresses, protocols, ports, observedAtS } = table;
  let below = 0;
  while (ipv4Count + below < count && compareIpv4Prefix(addresses, ipv4Count + below) < 0) below += 1;
  if (below === 0 || ipv4Count === 0) return table;
  const moveUp = (column: Uint8Array | Uint16Array | Uint32Array, width = 1): void => {
    const head = column.slice(ipv4Count * width, (ipv4Count + below) * width);
    column.copyWithin(below * width, 0, ipv4Count * width);
    column.set(head);
  };
  moveUp(addresses, ADDRESS_BYTES);
  for (const column of [protocols, ports, observedAtS]) moveUp(column);
  return table;
}

function garbled(what: string): PortolanError {
  return new PortolanError("invalid", `sightings payload ${what}; the sender has to encode it again`);
}
