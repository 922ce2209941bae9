/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import { LabelTag, State, When } from "../parts.tsx";
import { paths } from "../paths.ts";
import type { LabelledService } from "../../api/labels.ts";
import { serviceName } from "../service-names.ts";

export type ServicesTableProps = {
  readonly services: readonly LabelledService[];
  readonly nowMs: number;
  readonly captionText: string;
  /** On the page of one host. */
  readonly hideAddress?: boolean;
};

/** Rows with everything that a reader needs to judge a finding; on narrow screens each row becomes a small card. */
export function ServicesTable({ services, nowMs, captionText, hideAddress = false }: ServicesTableProps) {
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
          <ServiceRow service={service} nowMs={nowMs} hideAddress={hideAddress} />
        ))}
      </tbody>
    </table>
  );
}

function ServiceRow({
  service,
  nowMs,
  hideAddress,
}: {
  readonly service: LabelledService;
  readonly nowMs: number;
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
        <a class="plain mono" href={paths.services({ port: String(service.port) })} title={`All addresses with port ${service.port}`}>
          {portText}
        </a>
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
        {service.seenBy.join(", ")}
      </td>
      <td role="cell" class="nowrap cell-why">
        <a href={paths.why(service)} aria-label={`Why ${service.address} ${portText} is ${service.state}`}>
          why
        </a>
      </td>
    </tr>
  );
}
