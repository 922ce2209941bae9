import { addressToHex } from "../../core/address.ts";
import type { FilterKey, FilterTerm } from "../../core/filter/filter.ts";
import type { AddressRange } from "../../core/range.ts";
import { type Database, numberOf, optionalTextOf, type Sql, type SqlRow, type SqlValue, textOf } from "../database.ts";
import { conditionOf } from "./conditions.ts";
import type { Place } from "./driver.ts";
import type { Facet, FacetCount, SearchContext, SearchCount, SearchCounts, SearchFacets } from "./query.ts";
import { built } from "./search.ts";

const FACET_VALUES_MAX = 50;
/** Range groups that a facet looks at, by name. */
const FACET_GROUPS_MAX = 1_000;
/** A region has several logs, and several of them may have seen one service. */
const EACH_ONCE = "count(distinct hex(s.ip) || s.port || '/' || s.proto)";
const OWN_SIGHTINGS = "cross join sighting x on x.ip = s.ip and x.port = s.port and x.proto = s.proto and x.own_rseq >= 0";
const FACET_SQL: Readonly<Record<Exclude<Facet, "group">, { readonly value: string; readonly join: string }>> = {
  state: { value: "case s.state when 0 then 'open' when 1 then 'missing' else 'closed' end", join: "" },
  port: { value: "case s.proto when 6 then 'tcp/' when 17 then 'udp/' else 'sctp/' end || s.port", join: "" },
  region: { value: "l.region", join: `${OWN_SIGHTINGS} cross join log l on l.n = x.log` },
  scanner: { value: "k.name", join: `${OWN_SIGHTINGS} cross join signer k on k.n = x.signer` },
};

/** Number of matches and, for each facet, its most frequent values among them; counted over the first 10,000 services that the walk meets. */
export async function facetsOf(database: Database, context: SearchContext, facets: readonly Facet[]): Promise<SearchFacets> {
  const { statements, goOn } = facetsSql(context, facets);
  const [totals = [], ends = [], ...rows] = await database.batch(statements, "read");
  const counted = facets.map((facet, index) => {
    const found = rows[index] ?? [];
    const values = facet === "group" ? groupCounts(context, found[0]) : found.map(valueOf);
    return [facet, values] as const;
  });
  return { total: { count: numberOf(totals[0], "n"), exact: ends.length === 0 && goOn === null }, facets: Object.fromEntries(counted) };
}

function valueOf(row: SqlRow): FacetCount {
  return { value: textOf(row, "value"), count: numberOf(row, "n") };
}

/** The statements of `facetsOf`; exported for the test of their plans. */
export function facetsSql(context: SearchContext, facets: readonly Facet[]): { readonly statements: Sql[]; readonly goOn: Place | null } {
  const { windowOf, rest, args, walkArgs, goOn, size } = built(context, "address", null);
  const where = rest.length === 0 ? "" : ` where ${rest.join(" and ")}`;
  const window = windowOf(size);
  const matches = `select s.ip, s.port, s.proto, s.state from (${window}) s${where}`;
  const counted = (facet: Facet): Sql => {
    // Addresses with their numbers as one text: thousands of rows would cost more to send than to count.
    const perAddress = `select s.ip, count(*) as n from (${matches}) s group by s.ip`;
    if (facet === "group") return { sql: `select group_concat(lower(hex(s.ip)) || ' ' || s.n) as found from (${perAddress}) s`, args };
    const { value, join } = FACET_SQL[facet];
    return {
      sql: `select ${value} as value, ${join === "" ? "count(*)" : EACH_ONCE} as n from (${matches}) s ${join} group by 1 order by n desc, value limit ${FACET_VALUES_MAX}`,
      args,
    };
  };
  const more = { sql: `select 1 as more from (${windowOf(size + 1)}) limit 1 offset ${size}`, args: walkArgs };
  return { statements: [{ sql: `select count(*) as n from (${window}) s${where}`, args }, more, ...facets.map(counted)], goOn };
}

/** The range groups of the context that hold some of the matches. */
function groupCounts({ groups }: SearchContext, row: SqlRow | undefined): FacetCount[] {
  const found = (optionalTextOf(row, "found") ?? "")
    .split(",")
    .filter((text) => text !== "")
    .sort();
  const addresses = found.map((text) => text.slice(0, 32));
  // How many matches lie before each address.
  const before = [0];
  for (const text of found) before.push((before.at(-1) ?? 0) + Number(text.slice(33)));
  const countIn = ({ first, last }: AddressRange): number =>
    // What follows the last address begins with it and goes on.
    (before[placeOf(addresses, `${addressToHex(last)} `)] ?? 0) - (before[placeOf(addresses, addressToHex(first))] ?? 0);
  return [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .slice(0, FACET_GROUPS_MAX)
    .map(([value, ranges]) => ({ value, count: ranges.reduce((sum, range) => sum + countIn(range), 0) }))
    .filter(({ count }) => count > 0)
    .toSorted((a, b) => b.count - a.count)
    .slice(0, FACET_VALUES_MAX);
}

/** How many of the sorted texts come before `text`. */
function placeOf(sorted: readonly string[], text: string): number {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? "") < text) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Keys whose counts are kept ready, for the whole register. */
const TALLIED: ReadonlySet<FilterKey> = new Set(["state", "known", "port", "proto"]);

/** See `LedgerReader.searchCounts`. */
export async function searchCounts(database: Database, context: SearchContext): Promise<SearchCounts> {
  const hides = context.filter.terms.some((term) => term.key === "known" && term.known === "hide");
  const only = { ...context, filter: { terms: context.filter.terms.map(knownOnly) } };
  const [total, hidden] = [countSql(context), hides ? countSql(only) : null];
  const rows = await database.batch([...total.statements, ...(hidden?.statements ?? [])], "read");
  const count = ({ goOn, statements }: Counting, from: number): SearchCount => ({
    count: numberOf(rows[from]?.[0], "n"),
    exact: statements.length === 1 || (rows[from + 1]?.length === 0 && goOn === null),
  });
  const hiddenKnownGood = hidden === null ? { count: 0, exact: true } : count(hidden, total.statements.length);
  return { total: count(total, 0), hiddenKnownGood };
}

type Counting = ReturnType<typeof facetsSql>;

function knownOnly(term: FilterTerm): FilterTerm {
  return term.key === "known" ? { ...term, known: "only" } : term;
}

/** One statement when the tally tells, else the count of a window and whether that is all. Exported for the test of their plans. */
export function countSql(context: SearchContext): Counting {
  const { terms } = context.filter;
  if (!terms.every(({ key }) => TALLIED.has(key))) return facetsSql(context, []);
  const args: SqlValue[] = [];
  const conditions = terms.map((term) => conditionOf(term, context, (value) => `?${args.push(value)}`));
  const where = conditions.length === 0 ? "" : ` where ${conditions.join(" and ")}`;
  return { statements: [{ sql: `select coalesce(sum(s.n), 0) as n from tally s${where}`, args }], goOn: null };
}
