import type { Filter } from "../../core/filter/filter.ts";
import type { AddressRange } from "../../core/range.ts";

/** What a search needs to know beside the filter itself. */
export type SearchContext = {
  /** With its defaults (`withDefaults`). */
  readonly filter: Filter;
  /** Addresses of the range groups that the filter names; a name that is missing here is unknown. */
  readonly groups: ReadonlyMap<string, readonly AddressRange[]>;
  /** The moment that ages and staleness are judged at. */
  readonly nowMs: number;
  /** Plans that run by themselves, with their intervals: what `label:stale` is judged by. */
  readonly plans: readonly { readonly id: string; readonly intervalMs: number }[];
  /** Services that one statement looks at, at most; default `SEARCH_WINDOW`. */
  readonly window?: number;
};

export const SEARCH_SORTS = ["address", "-address", "port", "-port"] as const;
/** Order of a search: by (address, port, protocol) or by (port, address, protocol); with `-` the other way round. */
export type SearchSort = (typeof SEARCH_SORTS)[number];

export type SearchQuery = SearchContext & {
  readonly sort?: SearchSort;
  /** 1 … 1,000; default 100. */
  readonly limit?: number;
  /** `next` of the page before, of the same filter and sort. */
  readonly cursor?: string;
};

/** What keeps any filter below some tens of milliseconds. */
export const SEARCH_WINDOW = 10_000;
/** The same for filters by label. */
export const LABEL_WINDOW = 3_000;
/** How many services match, counted up to the end of one window. */
export type SearchCount = { readonly count: number; /** False: there are at least so many. */ readonly exact: boolean };
/** Of a filter: its matches, and the known-good ones that it would list as well, were they not hidden. */
export type SearchCounts = { readonly total: SearchCount; readonly hiddenKnownGood: SearchCount };

export const FACETS = ["state", "port", "region", "scanner", "group"] as const;
/** What matches are counted by; `group` are the range groups of the context. */
export type Facet = (typeof FACETS)[number];
/** One value of a facet. */
export type FacetCount = { readonly value: string; readonly count: number };
export type SearchFacets = { readonly total: SearchCount; readonly facets: Readonly<Partial<Record<Facet, readonly FacetCount[]>>> };
