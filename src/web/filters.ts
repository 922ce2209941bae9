import { PortolanError } from "../core/errors.ts";
import { type Filter, type FilterTerm, formatFilter, parseFilter, withDefaults } from "../core/filter/filter.ts";
import { SEARCH_SORTS, type SearchSort } from "../ledger/search/query.ts";
import type { ServicesQuery } from "./paths.ts";

/** The filter of the services page. `text` keeps what was typed, so that a mistake can be mended instead of retyped. */
export type ServicesFilter = {
  readonly text: string;
  /** Without the defaults; empty when the text is wrong. */
  readonly filter: Filter;
  readonly sort: SearchSort;
  readonly cursor: string | null;
  /** Cursors of the pages before this one, the nearest last; the first page has none. */
  readonly trail: readonly string[];
  /** What is wrong with it: then nothing is listed. */
  readonly problem: string | null;
};

const TEXT_CHARS_MAX = 4_100;
const CURSOR_CHARS_MAX = 400;
/** Keyset paging only looks forward: the way back is kept in the URL, and this bounds its length. */
const TRAIL_MAX = 12;
const STATE_TERMS: Readonly<Record<string, string>> = { active: "open,missing", all: "open,missing,closed" };

/** Never throws: a wrong filter becomes a problem, and the page then lists nothing. `cidr`, `port`, `state`, `known` and `vantage` add a term each. */
export function parseServicesFilter(query: Readonly<Record<string, string | undefined>>): ServicesFilter {
  const field = (name: string): string => (query[name] ?? "").trim();
  const term = (key: string, value: string): string => (value === "" ? "" : `${key}:${value}`);
  const state = field("state");
  const text = [
    field("q"),
    term("net", field("cidr")),
    term("port", field("port")),
    term("state", STATE_TERMS[state] ?? state),
    term("known", field("known")),
    term("vantage", field("vantage")),
  ]
    .filter((word) => word !== "")
    .join(" ")
    .slice(0, TEXT_CHARS_MAX);
  const sort = field("sort") === "" ? "address" : SEARCH_SORTS.find((known) => known === field("sort"));
  const read = readFilter(text);
  const cursor = field("cursor");
  return {
    text,
    filter: read.filter,
    sort: sort ?? "address",
    cursor: cursor === "" ? null : cursor.slice(0, CURSOR_CHARS_MAX),
    trail: field("trail")
      .split(" ")
      .filter((part) => part !== "" && part.length <= CURSOR_CHARS_MAX)
      .slice(-TRAIL_MAX),
    problem: read.problem ?? (sort === undefined ? `unknown order; choose one of ${SEARCH_SORTS.join(", ")}` : null),
  };
}

function readFilter(text: string): { readonly filter: Filter; readonly problem: string | null } {
  try {
    return { filter: parseFilter(text), problem: null };
  } catch (error) {
    if (error instanceof PortolanError) return { filter: { terms: [] }, problem: error.message };
    throw error;
  }
}

/** Whether anything but the default is asked for; what only shows more than the default does not count. */
export function isFiltered({ filter }: ServicesFilter): boolean {
  return filter.terms.some((term) => !(term.key === "known" && term.known === "show"));
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
export function filterQuery({ filter, sort }: ServicesFilter, terms: readonly FilterTerm[] = filter.terms): ServicesQuery {
  return { q: formatFilter({ terms }), sort: sort === "address" ? "" : sort };
}

/** A part of the filter, and what the filter is without it. */
export type Chip = { readonly text: string; readonly isDefault: boolean; readonly without: ServicesQuery };

/** All parts of a filter, the defaults included: those are taken away by asking for the rest as well. */
export function chipsOf(filter: ServicesFilter): Chip[] {
  const { terms } = filter.filter;
  const said = new Set(terms.map(textOf));
  return withDefaults(filter.filter).terms.map((term) => {
    const text = textOf(term);
    const isDefault = !said.has(text);
    const rest = isDefault ? [...terms, ...opposite(term)] : terms.filter((one) => textOf(one) !== text);
    return { text, isDefault, without: filterQuery(filter, rest) };
  });
}

function opposite(term: FilterTerm): FilterTerm[] {
  if (term.key === "state") return [{ negated: false, key: "state", states: ["open", "missing", "closed"] }];
  return term.key === "known" ? [{ negated: false, key: "known", known: "show" }] : [];
}

function textOf(term: FilterTerm): string {
  return formatFilter({ terms: [term] });
}

/** Keys that one service has one value of: a narrower value takes the place of a wider one. */
const SINGLE: ReadonlySet<FilterTerm["key"]> = new Set(["port", "state", "known"]);

/** The filter with one more term, `key:value`; null when that is no term. */
export function narrowed(filter: ServicesFilter, text: string): ServicesQuery | null {
  const { filter: more, problem } = readFilter(text);
  const [term] = more.terms;
  if (problem !== null || term === undefined || more.terms.length > 1) return null;
  const kept = filter.filter.terms.filter((one) => one.negated || one.key !== term.key || !SINGLE.has(one.key));
  return filterQuery(filter, readFilter(`${formatFilter({ terms: kept })} ${text}`).filter.terms);
}
