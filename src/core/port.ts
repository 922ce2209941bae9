import { quoted } from "./address.ts";
import { PortolanError } from "./errors.ts";

export type Protocol = "tcp" | "udp" | "sctp";

/** IANA protocol numbers, as the ledger stores them. */
export type ProtocolNumber = 6 | 17 | 132;

/** Inclusive run of ports of one protocol: `0 <= first <= last <= 65535`. */
export type PortRange = { readonly protocol: Protocol; readonly first: number; readonly last: number };

const PORT_LAST = 65_535;
const SPEC_CHARS_MAX = 65_535;
const NUMBERS = { tcp: 6, udp: 17, sctp: 132 } as const;
const PREFIXES = { tcp: "", udp: "U:", sctp: "S:" } as const;
const PROTOCOLS = ["tcp", "udp", "sctp"] as const;

/** IANA number of a protocol. */
export function protocolNumber(protocol: Protocol): ProtocolNumber {
  return NUMBERS[protocol];
}

/** Protocol of an IANA number; throws `invalid` for numbers other than 6, 17 and 132. */
export function protocolOf(number: number): Protocol {
  const protocol = PROTOCOLS.find((candidate) => NUMBERS[candidate] === number);
  if (protocol === undefined) throw new PortolanError("invalid", `protocol number ${number} is none of 6 (tcp), 17 (udp) and 132 (sctp)`);
  return protocol;
}

/**
 * Reads the spelling of nmap and masscan: "80,443,1000-2000,U:53,S:9900", "T:" for TCP, "-" for 1-65535, "1024-", "-1024".
 * A prefix belongs to its own entry only (in masscan and nmap it sticks to those that follow). Port 0 has to be written out.
 * Normalised. Throws `invalid` naming the entry that is wrong.
 */
export function parsePorts(spec: string): PortRange[] {
  if (spec.length > SPEC_CHARS_MAX) {
    throw new PortolanError(
      "invalid",
      `port list of ${spec.length} characters is too long (at most ${SPEC_CHARS_MAX}); write runs such as 1000-2000`,
    );
  }
  if (spec.trim() === "") throw new PortolanError("invalid", 'port list is empty; write for example "22,80,443" or "-" for 1-65535');
  return normalisePorts(spec.split(",").map((entry, index) => parseEntry(entry.trim(), index)));
}

function parseEntry(entry: string, index: number): PortRange {
  if (entry === "") throw new PortolanError("invalid", `entry ${index + 1} of the port list is empty; remove the comma too many`);
  const match = /^(?:([TUS]):)?(?:(\d{1,5})|(\d{0,5})-(\d{0,5}))$/i.exec(entry);
  if (match === null) {
    throw new PortolanError(
      "invalid",
      `port entry ${quoted(entry)} is not a port; write "80", "1000-2000", "U:53" for UDP or "S:9900" for SCTP`,
    );
  }
  const [, prefix, single, from, to] = match;
  // An open beginning means 1, as in nmap: port 0 is probed only when it is asked for by number.
  const first = Number(single ?? (from === "" ? 1 : from));
  const last = Number(single ?? (to === "" ? PORT_LAST : to));
  if (first > PORT_LAST || last > PORT_LAST) {
    throw new PortolanError("invalid", `port entry ${quoted(entry)} goes above ${PORT_LAST}, the highest port; lower it`);
  }
  if (first > last) throw new PortolanError("invalid", `port entry ${quoted(entry)} ends before it begins; write the lower port first`);
  return { protocol: protocolOfPrefix(prefix?.toUpperCase()), first, last };
}

function protocolOfPrefix(prefix: string | undefined): Protocol {
  if (prefix === "U") return "udp";
  return prefix === "S" ? "sctp" : "tcp";
}

/** Canonical text: TCP first, then "U:" and "S:" before each entry, lowest first. Empty for no ports, which `parsePorts` refuses. */
export function formatPorts(ports: readonly PortRange[]): string {
  return normalisePorts(ports)
    .map(({ protocol, first, last }) => `${PREFIXES[protocol]}${first === last ? first : `${first}-${last}`}`)
    .join(",");
}

/** The same ports as sorted (tcp, udp, sctp), disjoint runs that do not touch. */
export function normalisePorts(ports: readonly PortRange[]): PortRange[] {
  const sorted = ports.toSorted((a, b) => protocolNumber(a.protocol) - protocolNumber(b.protocol) || a.first - b.first);
  const merged: { protocol: Protocol; first: number; last: number }[] = [];
  let open: { protocol: Protocol; first: number; last: number } | undefined;
  for (const { protocol, first, last } of sorted) {
    if (open !== undefined && open.protocol === protocol && first <= open.last + 1) {
      if (last > open.last) open.last = last;
    } else {
      open = { protocol, first, last };
      merged.push(open);
    }
  }
  return merged;
}

/** How many different (protocol, port) pairs there are. */
export function countPorts(ports: readonly PortRange[]): number {
  return normalisePorts(ports).reduce((sum, { first, last }) => sum + last - first + 1, 0);
}

/** Whether the ports hold this one. */
export function containsPort(ports: readonly PortRange[], protocol: Protocol, port: number): boolean {
  return ports.some((range) => range.protocol === protocol && range.first <= port && port <= range.last);
}

/** Ports of `from` that are not in `minus`; normalised. */
export function subtractPorts(from: readonly PortRange[], minus: readonly PortRange[]): PortRange[] {
  const holes = normalisePorts(minus);
  return normalisePorts(from).flatMap((range) => {
    const rest: PortRange[] = [];
    let first = range.first;
    for (const hole of holes) {
      if (hole.protocol !== range.protocol || hole.last < first || hole.first > range.last) continue;
      if (hole.first > first) rest.push({ protocol: range.protocol, first, last: hole.first - 1 });
      first = hole.last + 1;
    }
    if (first <= range.last) rest.push({ protocol: range.protocol, first, last: range.last });
    return rest;
  });
}

/** Ports that are in both; normalised. */
export function intersectPorts(a: readonly PortRange[], b: readonly PortRange[]): PortRange[] {
  return subtractPorts(a, subtractPorts(a, b));
}
