/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import { FACETS, type Facet, type FacetCount } from "../../ledger/search/query.ts";
import { narrowed, type ServicesFilter } from "../filters.ts";
import { formatCount } from "../format.ts";
import type { Listing } from "../listing.ts";
import { paths } from "../paths.ts";

const VALUES_SHOWN = 8;
const TITLES: Readonly<Record<Facet, string>> = {
  state: "State",
  port: "Port",
  region: "Seen from",
  scanner: "Last seen by",
  group: "Range group",
};

/** What the matches are made of: each value is a link that narrows the filter to it. */
export function Facets({ filter, listing }: { readonly filter: ServicesFilter; readonly listing: Listing }) {
  const { facets, counts } = listing;
  const shown = FACETS.filter((facet) => (facets[facet]?.length ?? 0) > (facet === "port" ? 0 : 1) || facet === "group").filter(
    (facet) => (facets[facet]?.length ?? 0) > 0,
  );
  if (shown.length === 0) return null;
  return (
    <aside class="facets" aria-labelledby="facets-heading">
      <h2 id="facets-heading" class="visually-hidden">
        Narrow down
      </h2>
      {shown.map((facet) => (
        <FacetList filter={filter} facet={facet} values={facets[facet] ?? []} />
      ))}
      {!counts.total.exact && <p class="quiet">Counted among the first {formatCount(counts.total.count)} matches.</p>}
    </aside>
  );
}

type ListProps = { readonly filter: ServicesFilter; readonly facet: Facet; readonly values: readonly FacetCount[] };

function FacetList({ filter, facet, values }: ListProps) {
  return (
    <section aria-labelledby={`facet-${facet}`}>
      <h3 id={`facet-${facet}`}>{TITLES[facet]}</h3>
      <ul>
        {values.slice(0, VALUES_SHOWN).map(({ value, count }) => {
          const query = narrowed(filter, `${facet}:${value}`);
          const words = (
            <>
              <span class="facet-value">{value}</span>
              <span class="facet-count">
                {formatCount(count)}
                <span class="visually-hidden"> matches</span>
              </span>
            </>
          );
          return (
            <li>
              {query === null ? (
                <span class="facet">{words}</span>
              ) : (
                <a class="facet" href={paths.services(query)}>
                  {words}
                </a>
              )}
            </li>
          );
        })}
      </ul>
      {values.length > VALUES_SHOWN && <p class="quiet">and {formatCount(values.length - VALUES_SHOWN)} more</p>}
    </section>
  );
}
