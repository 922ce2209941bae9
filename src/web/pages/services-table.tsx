/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import { LabelTag, State, When } from "../parts.tsx";
import { paths } from "../paths.ts";
import { narrowed, parseServicesFilter, type ServicesFilter } from "../filters.ts";
import type { LabelledService } from "../../api/labels.ts";
import { serviceName } from "../../core/service-names.ts";

export type ServicesTableProps = {
  readonly services: readonly LabelledService[];
  readonly nowMs: number;
  readonly captionText: string;
  /** Narrowed by the links in the table; without it they begin a filter. */
  readonly filter?: ServicesFilter;
  /** On the page of one host. */
  readonly hideAddress?: boolean;
};

/** Rows with everything that a reader needs to judge a finding; on narrow screens each row becomes a small card. */
export function ServicesTable({ services, nowMs, captionText, filter = parseServicesFilter({}), hideAddress = false }: ServicesTableProps) {
  return (
    <table class="stack" role="table">
      <caption>{captionText}</caption>
      <thead role="rowgroup">
        <tr role="row">
          <th scope="col" role="columnheader">
            State
          </th>
          {!hideAddress && (
            <th scope="col" role="columnheader">
              Address
            </th>
          )}
          <th scope="col" role="columnheader">
            Port
          </th>
          <th scope="col" role="columnheader">
            Registered for
          </th>
          <th scope="col" role="columnheader">
            First seen
          </th>
          <th scope="col" role="columnheader">
            Last seen
          </th>
          <th scope="col" role="columnheader">
            Seen by
          </th>
          <th scope="col" role="columnheader">
            <span class="visually-hidden">Evidence</span>
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {services.map((service) => (
          <ServiceRow service={service} nowMs={nowMs} filter={filter} hideAddress={hideAddress} />
        ))}
      </tbody>
    </table>
  );
}

function ServiceRow({
  service,
  nowMs,
  filter,
  hideAddress,
}: {
  readonly service: LabelledService;
  readonly nowMs: number;
  readonly filter: ServicesFilter;
  readonly hideAddress: boolean;
}) {
  const portText = `${service.port}/${service.protocol}`;
  return (
    <tr role="row">
      <td role="cell" class="cell-state">
        <State word={service.state} />
        {service.labels.map((label) => (
          <LabelTag label={label} />
        ))}
        {service.known && <span class="tag">known-good</span>}
      </td>
      {!hideAddress && (
        <td role="cell" class="cell-address cell-full">
          <a class="plain address" href={paths.host(service.address)}>
            {service.address}
          </a>
        </td>
      )}
      <td role="cell" class="cell-port">
        <Narrow filter={filter} term={`port:${service.protocol}/${service.port}`} text={portText} />
      </td>
      <td role="cell" class="quiet cell-name">
        {serviceName(service.protocol, service.port) ?? ""}
      </td>
      <td role="cell" class="nowrap" data-label="first">
        <When timeMs={service.firstSeenMs} nowMs={nowMs} />
      </td>
      <td role="cell" class="nowrap" data-label="last">
        <When timeMs={service.lastSeenMs} nowMs={nowMs} />
      </td>
      <td role="cell" data-label="by">
        {service.seenBy.map((region, index) => (
          <>
            {index > 0 && ", "}
            <Narrow filter={filter} term={`region:${region}`} text={region} />
          </>
        ))}
      </td>
      <td role="cell" class="nowrap cell-why">
        <a href={paths.why(service)} aria-label={`Why ${service.address} ${portText} is ${service.state}`}>
          why
        </a>
      </td>
    </tr>
  );
}

/** A value as a link that adds it to the filter. */
function Narrow({ filter, term, text }: { readonly filter: ServicesFilter; readonly term: string; readonly text: string }) {
  const query = narrowed(filter, term);
  if (query === null) return <>{text}</>;
  return (
    <a class="plain mono" href={paths.services(query)} title={`Add ${term} to the filter`}>
      {text}
    </a>
  );
}
