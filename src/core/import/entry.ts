import { parseAddress } from "../address.ts";
import type { Protocol } from "../port.ts";
import type { ImportSink } from "./tally.ts";

/** Unix seconds fit 32 bits on the wire. */
const OBSERVED_AT_S_MAX = 0xffff_ffff;

/** One port of one address as some program wrote it. `time` may be missing. */
export type ImportEntry = {
  readonly address: unknown;
  readonly protocol: unknown;
  readonly port: unknown;
  readonly status: unknown;
  readonly time: unknown;
};

/** Where in the input an entry stands, and what time it has when it names none (Unix seconds). */
export type EntryContext = { readonly line: number; readonly defaultAtS: number };

/** Puts one entry into the sink: a sighting when it says open and all of it can be read, else a count. Never throws. */
export function takeEntry(entry: ImportEntry, { line, defaultAtS }: EntryContext, sink: ImportSink): void {
  const { address: text, port, status } = entry;
  const protocol = protocolNamed(entry.protocol);
  if (protocol === null) return sink.refuse(line, "the protocol is none of tcp, udp, sctp");
  if (typeof port !== "number" || !Number.isInteger(port) || port < 0 || port > 65_535)
    return sink.refuse(line, "the port is not 0 to 65535");
  if (typeof text !== "string" || text.length > 45) return sink.refuse(line, "no address");
  const observedAtS = timeOf(entry.time, defaultAtS);
  if (observedAtS === null) return sink.refuse(line, "the time is not Unix seconds");
  let address: bigint;
  try {
    address = parseAddress(text);
  } catch {
    return sink.refuse(line, "no address");
  }
  if (status !== "open") return sink.notOpen();
  return sink.sighting({ address, protocol, port, observedAtS });
}

/** Digits only, as numbers; anything else stays what it is, to be refused as a port. */
export function digits(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,5}$/.test(text) ? Number(text) : undefined;
}

function protocolNamed(name: unknown): Protocol | null {
  return name === "tcp" || name === "udp" || name === "sctp" ? name : null;
}

/** masscan writes seconds as text, other programs as a number; a time before 1970 or beyond 2106 is none. */
function timeOf(value: unknown, defaultAtS: number): number | null {
  if (value === undefined || value === null || value === "") return defaultAtS;
  const seconds = typeof value === "string" && /^\d{1,10}$/.test(value) ? Number(value) : value;
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return null;
  const whole = Math.floor(seconds);
  return whole >= 0 && whole <= OBSERVED_AT_S_MAX ? whole : null;
}
