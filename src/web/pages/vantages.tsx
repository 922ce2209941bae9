/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Service } from "../../ledger/types.ts";
import type { Vantage } from "../../ledger/vantage.ts";
import { State, When } from "../parts.tsx";
import { paths } from "../paths.ts";

export type ServiceVantages = {
  readonly service: Pick<Service, "address" | "protocol" | "port">;
  readonly vantages: readonly Vantage[];
};

/** What each region says of some services. Nothing where no second region has said anything: there is nothing to compare. */
export function Vantages({ rows, nowMs }: { readonly rows: readonly ServiceVantages[]; readonly nowMs: number }) {
  const shown = rows.filter(({ vantages }) => vantages.length > 1 || vantages.some(({ says }) => says === "silent"));
  if (shown.length === 0) return null;
  const isOne = rows.length === 1;
  return (
    <section aria-labelledby="vantages-heading">
      <h2 id="vantages-heading">From each region</h2>
      <p class="lede">
        Silent: another region had seen it, and a complete look by this region's scanners alone, or a confirm of theirs, did not. A look
        that regions shared says nothing about one of them.
      </p>
      <table class="stack" role="table">
        <thead role="rowgroup">
          <tr role="row">
            {[...(isOne ? [] : ["Port"]), "Region", "Says", "Last seen there", "Missed by its look"].map((heading) => (
              <th scope="col" role="columnheader">
                {heading}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {shown.flatMap(({ service, vantages }) =>
            vantages.map((vantage) => <VantageRow service={isOne ? null : service} vantage={vantage} nowMs={nowMs} />),
          )}
        </tbody>
      </table>
    </section>
  );
}

type RowProps = { readonly service: ServiceVantages["service"] | null; readonly vantage: Vantage; readonly nowMs: number };

function VantageRow({ service, vantage: { region, says, lastSeenMs, missed }, nowMs }: RowProps) {
  return (
    <tr role="row">
      {service !== null && (
        <td role="cell">
          <a class="mono" href={paths.why(service)}>
            {service.port}/{service.protocol}
          </a>
        </td>
      )}
      <td role="cell" data-label="region">
        {region}
      </td>
      <td role="cell">
        <State word={says} />
      </td>
      <td role="cell" class="nowrap" data-label="last seen">
        {lastSeenMs === null ? "never" : <When timeMs={lastSeenMs} nowMs={nowMs} />}
      </td>
      <td role="cell" class="nowrap" data-label="missed">
        {missed === null ? (
          "–"
        ) : (
          <>
            <When timeMs={missed.atMs} nowMs={nowMs} />, {missed.by === "probe" ? "confirm after" : "complete look of"}{" "}
            <a href={paths.job(missed.job)}>job {missed.job.slice(0, 12)}</a>
          </>
        )}
      </td>
    </tr>
  );
}
