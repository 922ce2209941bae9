import { bothFilters, type Filter, type FilterTerm, parseFilter, withDefaults } from "../core/filter/filter.ts";
import type { Protocol } from "../core/port.ts";
import { type AddressRange, parseRange } from "../core/range.ts";
import type { SearchContext } from "../ledger/search/query.ts";
import { allRangeGroups, rangesOfGroup } from "../registry/rules/resolve.ts";
import type { RegistryState } from "../registry/types.ts";
import { plansThatRepeat } from "./labels.ts";

/** The parameters of a list of services that say what is wanted: the filter as text, and single ones that add a term each. */
export type FilterQuery = {
  readonly q?: string | undefined;
  readonly cidr?: string | undefined;
  readonly port?: number | undefined;
  readonly protocol?: Protocol | undefined;
  readonly state?: "open" | "missing" | "closed" | "active" | "all" | undefined;
  readonly known?: "hide" | "show" | "only" | undefined;
  readonly vantage?: "disagree" | undefined;
};

/** The filter of a request, without the defaults. Throws `invalid`. */
export function filterOf({ q, cidr, port, protocol, state, known, vantage }: FilterQuery): Filter {
  const terms: FilterTerm[] = [];
  const negated = false;
  if (cidr !== undefined) terms.push({ negated, key: "net", ranges: [parseRange(cidr)] });
  if (port !== undefined) terms.push({ negated, key: "port", ports: [{ protocol: null, first: port, last: port }] });
  if (protocol !== undefined) terms.push({ negated, key: "proto", protocols: [protocol] });
  if (state === "all") terms.push({ negated, key: "state", states: ["open", "missing", "closed"] });
  else if (state === "active") terms.push({ negated, key: "state", states: ["open", "missing"] });
  else if (state !== undefined) terms.push({ negated, key: "state", states: [state] });
  if (known !== undefined) terms.push({ negated, key: "known", known });
  if (vantage !== undefined) terms.push({ negated, key: "vantage", vantage });
  return bothFilters(parseFilter(q ?? ""), { terms });
}

type StateReader = { state(): Promise<RegistryState> };

/** What a search needs beside its filter, which gets its defaults. The registry is asked only when the filter speaks of what it holds. */
export async function searchContext(filter: Filter, registry: StateReader, nowMs: number): Promise<SearchContext> {
  const whole = withDefaults(filter);
  if (!whole.terms.some(({ key }) => key === "group" || key === "label")) return { filter: whole, groups: new Map(), nowMs, plans: [] };
  const state = await registry.state();
  return { filter: whole, groups: groupsNamedIn(whole, state), nowMs, plans: plansThatRepeat(state.plans) };
}

/** Ranges of the groups that a filter names; one that nobody registered is missing. */
export function groupsNamedIn(filter: Filter, state: RegistryState): ReadonlyMap<string, readonly AddressRange[]> {
  const named = new Set(filter.terms.flatMap((term) => (term.key === "group" ? term.names : [])));
  return groupRanges(state, (name) => named.has(name));
}

/** Ranges of range groups by name: of all, or of those that are wanted. */
export function groupRanges(
  state: RegistryState,
  isWanted: (name: string) => boolean = () => true,
): ReadonlyMap<string, readonly AddressRange[]> {
  const wanted = allRangeGroups(state).filter(({ name }) => isWanted(name));
  return new Map(wanted.map((group) => [group.name, rangesOfGroup(group)]));
}
