import ipaddr from "ipaddr.js";
import { PortolanError } from "./errors.ts";

/** An address as a number of the 128-bit space; IPv4 a.b.c.d stands at ::ffff:a.b.c.d. */
export type Address = bigint;

/** First and last address (inclusive) of IPv4's place in the 128-bit space, ::ffff:0:0/96. */
export const IPV4_FIRST: Address = 0xffff_0000_0000n;
export const IPV4_LAST: Address = 0xffff_ffff_ffffn;
/** The highest address there is. */
export const ADDRESS_LAST: Address = (1n << 128n) - 1n;

const ADDRESS_CHARS_MAX = 45;
/** Decimal only: "010.0.0.1" is octal to some programs and decimal to others, so leading zeros are refused. */
const IPV4_TEXT = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;
const IPV6_TEXT = /^[0-9a-fA-F:]{2,}(?:(?:\d{1,3}\.){3}\d{1,3})?$/;

/** Quotes input for a message, cut so that the message stays readable. */
export function quoted(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text);
}

/**
 * The address that `text` spells; "::ffff:192.0.2.1" is the IPv4 address 192.0.2.1.
 * Throws `invalid` for anything else, also for zone ids, short IPv4 forms and octets with leading zeros.
 */
export function parseAddress(text: string): Address {
  if (text.length <= ADDRESS_CHARS_MAX) {
    if (IPV4_TEXT.test(text)) return IPV4_FIRST + BigInt(parseIpv4(text));
    const ipv6 = IPV6_TEXT.test(text) ? parseIpv6(text) : null;
    if (ipv6 !== null) return ipv6;
  }
  if (text.includes("%")) {
    throw new PortolanError("invalid", `${quoted(text)} carries a zone id; write the address without "%" and what follows`);
  }
  throw new PortolanError("invalid", `${quoted(text)} is not an IP address; write one like 192.0.2.1 or 2001:db8::1`);
}

function parseIpv4(text: string): number {
  let value = 0;
  for (const octet of text.split(".")) value = value * 256 + Number(octet);
  return value;
}

function parseIpv6(text: string): Address | null {
  let groups = text;
  if (text.includes(".")) {
    // Written as two groups first, because ipaddr.js takes ::1.2.3.4 for the IPv4 address 1.2.3.4 instead of ::102:304.
    const dotted = text.lastIndexOf(":") + 1;
    if (!IPV4_TEXT.test(text.slice(dotted))) return null;
    const low = parseIpv4(text.slice(dotted));
    groups = `${text.slice(0, dotted)}${(low >>> 16).toString(16)}:${(low & 0xffff).toString(16)}`;
  }
  if (!ipaddr.IPv6.isValid(groups)) return null;
  let value = 0n;
  for (const byte of ipaddr.IPv6.parse(groups).toByteArray()) value = (value << 8n) | BigInt(byte);
  return value;
}

/** Canonical text: dotted decimal for IPv4, RFC 5952 for IPv6. `parseAddress` reads it back. */
export function formatAddress(address: Address): string {
  if (isIpv4(address)) {
    const value = Number(address - IPV4_FIRST);
    return `${Math.floor(value / 0x1000000)}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
  }
  const groups: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((address >> shift) & 0xffffn));
  return new ipaddr.IPv6(groups).toRFC5952String();
}

/** Whether the address is IPv4, that is, inside ::ffff:0:0/96. */
export function isIpv4(address: Address): boolean {
  return address >= IPV4_FIRST && address <= IPV4_LAST;
}

/** 32 lower-case hex digits that sort like the number: the ledger's 16-byte key. */
export function addressToHex(address: Address): string {
  return address.toString(16).padStart(32, "0");
}

/** Inverse of `addressToHex`; throws `invalid` unless given 32 lower-case hex digits. */
export function addressFromHex(hex: string): Address {
  if (!/^[0-9a-f]{32}$/.test(hex)) throw new PortolanError("invalid", `${quoted(hex)} is not an address key of 32 lower-case hex digits`);
  return BigInt(`0x${hex}`);
}
