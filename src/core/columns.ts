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
const IPV4_HEX = "00000000000000000000ffff";
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

/** The same without a bigint per row, for ingest: sorted by `hex`, protocol and port, no row twice. Throws as `decodeSightings` does. */
export function decodeSightingRows(payload: Uint8Array): SightingRow[] {
  if (payload.length > PAYLOAD_BYTES_MAX) throw garbled(`is ${payload.length} bytes long, more than ${PAYLOAD_BYTES_MAX}`);
  const reader = byteReader(payload, garbled);
  if (reader.varint(255) !== FORMAT) throw garbled(`is not of format ${FORMAT}`);
  const ipv4Count = reader.varint(SIGHTINGS_PER_PART_MAX);
  const count = ipv4Count + reader.varint(SIGHTINGS_PER_PART_MAX - ipv4Count);
  const earliestS = reader.varint(OBSERVED_AT_S_MAX);
  // A row has at least three bytes: so a short payload cannot ask for many rows.
  if (count * 3 > payload.length) throw garbled(`announces ${count} rows in ${payload.length} bytes`);
  const hexes = readAddresses(reader, ipv4Count, count);
  const services: number[] = [];
  for (let i = 0; i < count; i += 1) services.push(reader.varint(3 * 65_536 - 1));
  const rows: SightingRow[] = [];
  let atEarliest = count === 0 && earliestS === 0;
  for (let i = 0; i < count; i += 1) {
    const service = services[i] ?? 0;
    const hex = hexes[i] ?? "";
    const offsetS = reader.varint(OBSERVED_AT_S_MAX - earliestS);
    if (offsetS === 0) atEarliest = true;
    if (hex === hexes[i - 1] && service <= (services[i - 1] ?? 0)) throw garbled("has rows out of order or twice");
    rows.push({ hex, protocol: PROTOCOL_NUMBERS[service >>> 16] ?? 6, port: service & 0xffff, observedAtS: earliestS + offsetS });
  }
  if (!atEarliest) throw garbled("names an earliest time that no row has");
  if (!reader.atEnd()) throw garbled("goes on after its last row");
  return inAddressOrder(rows, ipv4Count);
}

function readAddresses(reader: ByteReader, ipv4Count: number, count: number): string[] {
  const hexes: string[] = [];
  let value = 0;
  for (let i = 0; i < ipv4Count; i += 1) {
    value += reader.varint(0xffff_ffff - value);
    const high = (BYTE_HEX[value >>> 24] ?? "") + (BYTE_HEX[(value >>> 16) & 255] ?? "");
    hexes.push(IPV4_HEX + high + (BYTE_HEX[(value >>> 8) & 255] ?? "") + (BYTE_HEX[value & 255] ?? ""));
  }
  let previous = "";
  for (let i = ipv4Count; i < count; i += 1) {
    let hex = "";
    for (let k = 0; k < 16; k += 1) hex += BYTE_HEX[reader.byte()] ?? "";
    if (hex < previous) throw garbled("has addresses out of order");
    if (hex.startsWith(IPV4_HEX)) throw garbled("has an IPv4 address among its IPv6 addresses");
    hexes.push(hex);
    previous = hex;
  }
  return hexes;
}

/** IPv4 comes first in the columns; in the order of addresses a few IPv6 ones (such as ::1) stand below it. */
function inAddressOrder(rows: SightingRow[], ipv4Count: number): SightingRow[] {
  let below = ipv4Count;
  while ((rows[below]?.hex ?? IPV4_HEX) < IPV4_HEX) below += 1;
  if (below === ipv4Count) return rows;
  return [...rows.slice(ipv4Count, below), ...rows.slice(0, ipv4Count), ...rows.slice(below)];
}

function garbled(what: string): PortolanError {
  return new PortolanError("invalid", `sightings payload ${what}; the sender has to encode it again`);
}
