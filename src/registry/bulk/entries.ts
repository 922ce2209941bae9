import { parseDuration } from "../../core/duration.ts";
import { PortolanError } from "../../core/errors.ts";
import { parseRange } from "../../core/range.ts";
import type { AddressRuleInput } from "../rules/address-rule.ts";
import { LIMITS } from "../rules/change.ts";
import { normaliseExclusion } from "../rules/exclusions.ts";
import { normaliseKnownGood } from "../rules/known-good.ts";
import type { PlanInput } from "../rules/plans.ts";
import type { ScannerInput } from "../rules/scanners.ts";
import { sha256Hex } from "../token.ts";
import type { GroupMember, PlanEngine } from "../types.ts";
import type { BulkFile, BulkRow, Refusal } from "./cells.ts";
import type { BulkList } from "./lists.ts";

/** What holds for rows that do not say it themselves. */
export type BulkDefaults = { readonly group: string | null; readonly owner: string | null; readonly reason: string | null };

/** One thing that a file asks for, with the lines that it comes from. */
export type BulkEntry = { readonly lines: readonly number[]; readonly key: string } & (
  | { readonly kind: "range-group"; readonly ranges: readonly string[] }
  | { readonly kind: "exclusion" | "known-good"; readonly id: string; readonly rule: AddressRuleInput }
  | { readonly kind: "scanner"; readonly input: ScannerInput }
  | { readonly kind: "group"; readonly members: readonly GroupMember[] }
  | { readonly kind: "plan"; readonly input: PlanInput }
);

/** A file as entries of a list. */
export type BulkEntries = { readonly entries: readonly BulkEntry[]; readonly refused: readonly Refusal[] };

type Cell = (column: string) => string;
type Reader = (row: BulkRow, cell: Cell) => BulkEntry | Promise<BulkEntry>;

/** Reads rows as entries; what is wrong in itself is refused with its line. Rows of one group become one entry. */
export async function readEntries(
  list: BulkList,
  file: BulkFile,
  { defaults, nowMs }: { defaults: BulkDefaults; nowMs: number },
): Promise<BulkEntries> {
  const refused = [...file.refused];
  const byKey = new Map<string, BulkEntry>();
  const read = readerOf(list, defaults, nowMs);
  for (const row of file.rows) {
    try {
      const entry = await read(row, (column) => row.cells[column] ?? "");
      const before = byKey.get(entry.key);
      byKey.set(entry.key, before === undefined ? entry : merged(before, entry));
    } catch (error) {
      if (!(error instanceof PortolanError)) throw error;
      refused.push({ line: row.line, reason: error.message.slice(0, 500) });
    }
  }
  return { entries: [...byKey.values()], refused };
}

function readerOf(list: BulkList, defaults: BulkDefaults, nowMs: number): Reader {
  switch (list) {
    case "range-groups":
      return (row, cell) => rangeEntry(row, cell, defaults);
    case "exclusions":
    case "known-good":
      return (row, cell) => ruleEntry(row, cell, { kind: list === "exclusions" ? "exclusion" : "known-good", defaults, nowMs });
    case "scanners":
      return scannerEntry;
    case "groups":
      return groupEntry;
    case "plans":
      return planEntry;
  }
}

function merged(before: BulkEntry, entry: BulkEntry): BulkEntry {
  if (before.kind === "range-group" && entry.kind === "range-group")
    return { ...before, lines: append(before.lines, entry.lines), ranges: append(before.ranges, entry.ranges) };
  if (before.kind === "group" && entry.kind === "group")
    return { ...before, lines: append(before.lines, entry.lines), members: append(before.members, entry.members) };
  throw new PortolanError(
    "invalid",
    `"${entry.key.slice(0, 80)}" stands in the file twice (line ${before.lines[0] ?? 0}); keep one of the two`,
  );
}

/** Files have tens of thousands of rows of one group: the list that this file began is added to in place. */
function append<T>(to: readonly T[], more: readonly T[]): readonly T[] {
  (to as T[]).push(...more);
  return to;
}

function rangeEntry({ line }: BulkRow, cell: Cell, { group }: BulkDefaults): BulkEntry {
  const name = cell("group") || group || "";
  if (name === "") throw new PortolanError("invalid", "it names no range group; add a column group, or name the group for the whole file");
  const range = cell("range");
  if (range !== "") parseRange(range);
  return { kind: "range-group", key: name, lines: [line], ranges: range === "" ? [] : [range] };
}

async function ruleEntry(
  { line }: BulkRow,
  cell: Cell,
  context: { kind: "exclusion" | "known-good"; defaults: BulkDefaults; nowMs: number },
): Promise<BulkEntry> {
  const { kind, defaults, nowMs } = context;
  const text = (column: "owner" | "reason", max: number): string => {
    const value = cell(column) || defaults[column] || "";
    if (value === "") throw new PortolanError("invalid", `it has no ${column}; add a column ${column}, or name one for the whole file`);
    if (value.length > max) throw new PortolanError("invalid", `its ${column} has over ${max} characters; shorten it`);
    return value;
  };
  const expires = cell("expires");
  const expiresAtMs = expires === "" ? null : Date.parse(expires);
  if (expiresAtMs !== null && !Number.isFinite(expiresAtMs))
    throw new PortolanError("invalid", `"${expires.slice(0, 60)}" is not a time; write it like 2027-01-31T12:00:00Z`);
  const input: AddressRuleInput = {
    ranges: words(cell("ranges") || cell("range")),
    ports: cell("ports") || null,
    owner: text("owner", 200),
    reason: text("reason", 500),
    expiresAtMs,
  };
  // An entry that has expired meanwhile stays what it is: exported lists come back whole.
  const isPast = expiresAtMs !== null && expiresAtMs <= nowMs;
  const normalise = kind === "exclusion" ? normaliseExclusion : normaliseKnownGood;
  const rule = { ...normalise(isPast ? { ...input, expiresAtMs: null } : input, nowMs), expiresAtMs };
  const id = (await sha256Hex(JSON.stringify(rule))).slice(0, 16);
  return { kind, key: ruleKey(rule), lines: [line], id, rule };
}

/** Two rules about the same addresses and ports are one that was changed. */
export function ruleKey({ ranges, ports }: Pick<AddressRuleInput, "ranges" | "ports">): string {
  return `${ranges.join(" ")} ${ports ?? ""}`.trim();
}

function scannerEntry({ line }: BulkRow, cell: Cell): BulkEntry {
  const mayProbe = cell("mayProbe");
  const input: ScannerInput = {
    name: needed(cell, "name"),
    region: needed(cell, "region"),
    addresses: words(cell("addresses")),
    publicKey: cell("publicKey"),
    enabled: flag(cell, "enabled") ?? true,
    mayProbe: mayProbe === "" ? null : mayProbe === "none" ? [] : words(mayProbe),
    mayNotProbe: words(cell("mayNotProbe")),
  };
  return { kind: "scanner", key: input.name, lines: [line], input };
}

function groupEntry({ line }: BulkRow, cell: Cell): BulkEntry {
  const scanner = cell("scanner");
  const pinned = whole(cell, "pinned");
  return { kind: "group", key: needed(cell, "group"), lines: [line], members: scanner === "" ? [] : [{ scanner, pinned }] };
}

function planEntry({ line }: BulkRow, cell: Cell): BulkEntry {
  const duration = (column: string): number | null => (cell(column) === "" ? null : parseDuration(cell(column)));
  const homes = words(cell("homes"));
  const engine = cell("engine") === "" ? null : engineOf(cell("engine"));
  const input: PlanInput = {
    name: needed(cell, "name"),
    ranges: [],
    include: words(cell("include")),
    exclude: words(cell("exclude")),
    ports: needed(cell, "ports"),
    rateLimitPps: whole(cell, "rateLimitPps"),
    retries: whole(cell, "retries"),
    group: cell("group") || null,
    engine,
    intervalS: duration("every"),
    cron: cell("cron") || null,
    timeZone: cell("timeZone") || null,
    deadlineS: duration("deadline"),
    closeAfter: whole(cell, "closeAfter"),
    confirm: flag(cell, "confirm"),
    home: null,
    homes: homes.length === 0 ? null : homes,
    takeoverAfterS: duration("takeoverAfter"),
    pairsMax: whole(cell, "pairsMax"),
    canaries: words(cell("canaries")).map(canaryOf),
    enabled: flag(cell, "enabled"),
  };
  return { kind: "plan", key: input.name, lines: [line], input };
}

function canaryOf(text: string): { address: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  const address = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (address !== undefined && port >= 1 && port <= 65_535) return { address, port };
  throw new PortolanError("invalid", `"${text.slice(0, 60)}" is no canary; write it like 192.0.2.1:443 or [2001:db8::1]:443`);
}

function engineOf(text: string): PlanEngine {
  if (text === "auto" || text === "masscan" || text === "connect") return text;
  throw new PortolanError("invalid", `"${text.slice(0, 60)}" is no engine; it is one of auto, masscan, connect`);
}

function needed(cell: Cell, column: string): string {
  const value = cell(column);
  if (value === "") throw new PortolanError("invalid", `it has no ${column}; fill in that column`);
  return value;
}

function words(text: string): string[] {
  const parts = text.split(/[\s,;]+/).filter((word) => word !== "");
  if (parts.length > LIMITS.rangesPerRequest)
    throw new PortolanError("too-large", `one cell holds over ${LIMITS.rangesPerRequest} values; split it`);
  return parts;
}

function whole(cell: Cell, column: string): number | null {
  const text = cell(column);
  if (text === "") return null;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new PortolanError("invalid", `${column} is "${text.slice(0, 60)}"; write a whole number`);
}

function flag(cell: Cell, column: string): boolean | null {
  const text = cell(column).toLowerCase();
  if (text === "") return null;
  if (["true", "yes", "1"].includes(text)) return true;
  if (["false", "no", "0"].includes(text)) return false;
  throw new PortolanError("invalid", `${column} is "${text.slice(0, 60)}"; write true or false`);
}
