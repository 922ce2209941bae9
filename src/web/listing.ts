import { type LabelledService, withLabels } from "../api/labels.ts";
import { groupRanges, searchContext } from "../api/search.ts";
import { PortolanError } from "../core/errors.ts";
import type { SearchContext, SearchCounts, SearchFacets } from "../ledger/search/query.ts";
import { FACETS } from "../ledger/search/query.ts";
import type { Page, Service } from "../ledger/types.ts";
import type { ServicesFilter } from "./filters.ts";
import { readPlans, type WebLedger, type WebRegistry } from "./readers.ts";

const SERVICES_PER_PAGE = 50;
/** A page of the ledger may be empty although more follow: so many are looked at before the reader is asked whether to go on. */
const WINDOWS_MAX = 8;
const LOOK_FOR_MS = 700;

/** What a filter finds. */
export type Listing = {
  readonly page: Page<LabelledService>;
  readonly counts: SearchCounts;
  readonly facets: SearchFacets["facets"];
};
type Sources = { readonly ledger: WebLedger; readonly registry: WebRegistry; readonly now: () => number };

/** Lists a filter; what the stores refuse in it is its problem, as a wrong word is. */
export async function readListing(sources: Sources, filter: ServicesFilter): Promise<{ listing: Listing | null; problem: string | null }> {
  if (filter.problem !== null) return { listing: null, problem: filter.problem };
  try {
    return { listing: await list(sources, filter), problem: null };
  } catch (error) {
    if (error instanceof PortolanError && (error.code === "invalid" || error.code === "not-found"))
      return { listing: null, problem: error.message };
    throw error;
  }
}

async function list({ ledger, registry, now }: Sources, filter: ServicesFilter): Promise<Listing> {
  const context = await searchContext(filter.filter, registry, now());
  const [rows, counts, { facets }, plans] = await Promise.all([
    readPage({ ledger, now }, context, filter),
    ledger.searchCounts(context),
    readGroups(registry, context).then((groups) => ledger.facets({ ...context, groups }, FACETS)),
    readPlans(registry),
  ]);
  const items = await withLabels({ ledger, plans, nowMs: now() }, rows.items);
  return { page: { items, next: rows.next }, counts, facets };
}

/** All range groups; when the registry does not answer, those that the filter names. */
async function readGroups(registry: WebRegistry, context: SearchContext): Promise<SearchContext["groups"]> {
  return registry.state().then(
    (state) => groupRanges(state),
    () => context.groups,
  );
}

/** The first page that has rows. */
async function readPage(
  { ledger, now }: Pick<Sources, "ledger" | "now">,
  context: SearchContext,
  { sort, cursor }: ServicesFilter,
): Promise<Page<Service>> {
  const untilMs = now() + LOOK_FOR_MS;
  const query = { ...context, sort, limit: SERVICES_PER_PAGE };
  let page = await ledger.search(cursor === null ? query : { ...query, cursor });
  for (let windows = 1; windows < WINDOWS_MAX && page.items.length === 0 && page.next !== null && now() < untilMs; windows += 1)
    page = await ledger.search({ ...query, cursor: page.next });
  return page;
}
