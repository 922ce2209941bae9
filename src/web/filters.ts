import { formatRange, parseRange, type AddressRange } from "../core/range.ts";
import { PortolanError } from "../core/errors.ts";
import type { ServicesQuery } from "./paths.ts";

/** Choices of the state filter: what the URL and the ledger say, and what the form shows. */
export const STATE_CHOICES = [
  { value: "active", label: "open or missing" },
  { value: "open", label: "open" },
  { value: "missing", label: "missing" },
  { value: "closed", label: "closed" },
  { value: "all", label: "all states" },
] as const;

/** How known-good services are treated: what the URL and the ledger say, and what the form shows. */
export const KNOWN_CHOICES = [
  { value: "hide", label: "hidden" },
  { value: "show", label: "shown" },
  { value: "only", label: "alone" },
] as const;

export type KnownChoice = (typeof KNOWN_CHOICES)[number]["value"];

export type StateChoice = (typeof STATE_CHOICES)[number]["value"];

/** The filter of the services page. `text` keeps what was typed, so that a mistake can be mended instead of retyped. */
export type ServicesFilter = {
  readonly text: { readonly cidr: string; readonly port: string };
  readonly range: AddressRange | null;
  readonly port: number | null;
  readonly choice: StateChoice;
  readonly known: KnownChoice;
  readonly cursor: string | null;
  /** Cursors of the pages before this one, the nearest last; the first page has none. */
  readonly trail: readonly string[];
  readonly problems: {
    readonly cidr: string | null;
    readonly port: string | null;
    readonly state: string | null;
    readonly known: string | null;
  };
};

const CURSOR_CHARS_MAX = 400;
/** Keyset paging only looks forward: the way back is kept in the URL, and this bounds its length. */
const TRAIL_MAX = 12;

/** Never throws: a wrong field becomes a problem beside that field, and the page then lists nothing. */
export function parseServicesFilter(query: Readonly<Record<string, string | undefined>>): ServicesFilter {
  const cidrText = (query["cidr"] ?? "").trim().slice(0, 100);
  const portText = (query["port"] ?? "").trim().slice(0, 20);
  const stateText = query["state"] ?? "";
  const knownText = query["known"] ?? "";
  const known = knownText === "" ? KNOWN_CHOICES[0] : KNOWN_CHOICES.find((candidate) => candidate.value === knownText);
  const range = readRange(cidrText);
  const port = readPort(portText);
  const choice = stateText === "" ? STATE_CHOICES[0] : STATE_CHOICES.find((candidate) => candidate.value === stateText);
  const cursor = query["cursor"] ?? "";
  return {
    text: { cidr: cidrText, port: portText },
    range: range.value,
    port: port.value,
    choice: choice?.value ?? "active",
    known: known?.value ?? "hide",
    cursor: cursor === "" ? null : cursor.slice(0, CURSOR_CHARS_MAX),
    trail: (query["trail"] ?? "")
      .split(" ")
      .filter((part) => part !== "" && part.length <= CURSOR_CHARS_MAX)
      .slice(-TRAIL_MAX),
    problems: {
      cidr: range.problem,
      port: port.problem,
      state: choice === undefined ? `unknown state; choose one of ${STATE_CHOICES.map((known) => known.value).join(", ")}` : null,
      known:
        known === undefined ? `unknown choice for known-good; choose one of ${KNOWN_CHOICES.map((one) => one.value).join(", ")}` : null,
    },
  };
}

export function hasProblems(filter: ServicesFilter): boolean {
  return Object.values(filter.problems).some((problem) => problem !== null);
}

/** Whether anything but the default is asked for. */
export function isFiltered(filter: ServicesFilter): boolean {
  return filter.range !== null || filter.port !== null || filter.choice !== "active" || filter.known === "only";
}

/** The network as people write it; null when none is asked for. */
export function rangeText(filter: ServicesFilter): string | null {
  return filter.range === null ? null : formatRange(filter.range);
}

/** The query of the next page, which remembers the way back. */
export function nextQuery(filter: ServicesFilter, next: string): ServicesQuery {
  const trail = filter.cursor === null ? [] : [...filter.trail, filter.cursor].slice(-TRAIL_MAX);
  return { ...filterQuery(filter), cursor: next, trail: trail.join(" ") };
}

/** The query of the page before; null on the first one. */
export function previousQuery(filter: ServicesFilter): ServicesQuery | null {
  if (filter.cursor === null) return null;
  return { ...filterQuery(filter), cursor: filter.trail.at(-1) ?? "", trail: filter.trail.slice(0, -1).join(" ") };
}

/** The URL form of a filter, without its cursor: a changed filter starts at its first page. */
export function filterQuery(filter: ServicesFilter): ServicesQuery {
  return {
    cidr: filter.text.cidr,
    port: filter.text.port,
    state: filter.choice === "active" ? "" : filter.choice,
    known: filter.known === "hide" ? "" : filter.known,
  };
}

type Read<T> = { readonly value: T | null; readonly problem: string | null };

function readRange(text: string): Read<AddressRange> {
  if (text === "") return { value: null, problem: null };
  try {
    return { value: parseRange(text), problem: null };
  } catch (error) {
    if (error instanceof PortolanError) return { value: null, problem: error.message };
    throw error;
  }
}

function readPort(text: string): Read<number> {
  if (text === "") return { value: null, problem: null };
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= 65_535) return { value: port, problem: null };
  return { value: null, problem: "a port is a number from 1 to 65535" };
}
