import { parseAddress } from "../address.ts";
import type { Sighting } from "../columns.ts";
import type { Protocol } from "../port.ts";
import { wholeAddress } from "./address.ts";

/** Longest line that is looked at; masscan's own are below 300 characters without banners. */
export const LINE_LENGTH_MAX = 128 * 1024;

/** Unix seconds fit 32 bits on the wire. */
const OBSERVED_AT_S_MAX = 0xffff_ffff;

/** Meaning of one line of masscan's output. `refused` lines are counted: one of them makes a run partial. */
export type MasscanLine =
  | { readonly kind: "sighting"; readonly sighting: Sighting }
  | { readonly kind: "closed" | "banner" | "blank" }
  | { readonly kind: "refused"; readonly reason: string };

/** All lines of a whole file; `ended` tells whether the file is as whole as its format can show. */
export type MasscanFile = { readonly lines: MasscanLine[]; readonly ended: boolean };

/** Reads one line of `-oD -` (NDJSON), without its line feed. Never throws. */
export function parseMasscanLine(line: string): MasscanLine {
  const record = parseRecord(line);
  if (record.kind !== "record") return record;
  const { value } = record;
  if (value["rec_type"] === "banner") return { kind: "banner" };
  if (value["rec_type"] !== "status") return refused("rec_type is neither status nor banner");
  if (!isRecord(value["data"])) return refused("no data");
  return toSighting({ ...value, status: value["data"]["status"] });
}

/** Reads a whole `-oJ` file, also a truncated one. masscan writes 0 bytes, not `[]`, when it found nothing. Never throws. */
export function parseMasscanJson(text: string): MasscanFile {
  if (text === "") return { lines: [], ended: true };
  const lines: MasscanLine[] = [];
  const rows = text.split("\n").map((row) => row.trim());
  for (const row of rows) {
    if (row === "[" || row === "]" || row === "," || row === "") continue;
    lines.push(...parseJsonRow(row.endsWith(",") ? row.slice(0, -1) : row));
  }
  return { lines, ended: rows[0] === "[" && text.trimEnd().endsWith("\n]") };
}

/** Reads a whole `-oL` file, also a truncated one. Never throws. */
export function parseMasscanList(text: string): MasscanFile {
  if (text === "") return { lines: [], ended: true };
  const rows = text.split("\n");
  const lines = rows.filter((row) => row !== "" && !row.startsWith("#")).map(parseListRow);
  return { lines, ended: rows[0] === "#masscan" && text.endsWith("\n# end\n") };
}

function parseJsonRow(row: string): MasscanLine[] {
  const record = parseRecord(row);
  if (record.kind !== "record") return [record];
  const { value } = record;
  if (!Array.isArray(value["ports"]) || value["ports"].length === 0 || value["ports"].length > 65_536) return [refused("no ports")];
  return value["ports"].map((port: unknown) => {
    if (!isRecord(port)) return refused("a port is no object");
    if (isRecord(port["service"])) return { kind: "banner" };
    return toSighting({ ...port, ip: value["ip"], timestamp: value["timestamp"] });
  });
}

function parseListRow(row: string): MasscanLine {
  const [status, proto, port, ip, timestamp, ...rest] = row.split(" ");
  if (status === "banner") return { kind: "banner" };
  if (rest.length > 0 || port === undefined || !/^\d{1,5}$/.test(port)) return refused("no line of the list format");
  return toSighting({ status, proto, port: Number(port), ip, timestamp });
}

type ParsedRecord = Exclude<MasscanLine, { kind: "sighting" }> | { readonly kind: "record"; readonly value: Record<string, unknown> };

function parseRecord(line: string): ParsedRecord {
  if (line.length > LINE_LENGTH_MAX) return refused(`longer than ${LINE_LENGTH_MAX} characters`);
  if (line.trim() === "") return { kind: "blank" };
  try {
    const value: unknown = JSON.parse(line);
    return isRecord(value) ? { kind: "record", value } : refused("no JSON object");
  } catch {
    return refused("no JSON");
  }
}

function toSighting(fields: Record<string, unknown>): MasscanLine {
  const { status, proto, port, ip, timestamp } = fields as { [name in string]?: unknown };
  if (status !== "open" && status !== "closed") return refused("status is neither open nor closed");
  const protocol = protocolNamed(proto);
  if (protocol === null) return refused("unknown protocol");
  if (typeof port !== "number" || !Number.isInteger(port) || port < 0 || port > 65_535) return refused("port is not 0 to 65535");
  if (typeof ip !== "string" || ip.length > 45) return refused("no address");
  // All formats write seconds since 1970 as text.
  if (typeof timestamp !== "string" || !/^\d{1,10}$/.test(timestamp) || Number(timestamp) > OBSERVED_AT_S_MAX)
    return refused("no timestamp");
  try {
    const sighting = { address: parseAddress(wholeAddress(ip)), protocol, port, observedAtS: Number(timestamp) };
    return status === "open" ? { kind: "sighting", sighting } : { kind: "closed" };
  } catch {
    return refused("no address");
  }
}

function protocolNamed(name: unknown): Protocol | null {
  return name === "tcp" || name === "udp" || name === "sctp" ? name : null;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function refused(reason: string): MasscanLine & { kind: "refused" } {
  return { kind: "refused", reason };
}
