/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import { plural } from "../format.ts";
import { Page, type Frame } from "../layout.tsx";
import { Empty } from "../parts.tsx";
import { paths } from "../paths.ts";
import type { LabelledService } from "../../api/labels.ts";
import type { Service } from "../../ledger/types.ts";
import type { HostHistory } from "../lanes.ts";
import { Lanes } from "./host-lanes.tsx";
import type { Vantage } from "../../ledger/vantage.ts";
import { Vantages } from "./vantages.tsx";
import { ServicesTable } from "./services-table.tsx";

export type HostPageProps = {
  readonly frame: Frame;
  readonly address: string;
  readonly services: readonly LabelledService[];
  /** Of each service, in their order. */
  readonly vantages: readonly (readonly Vantage[])[];
  readonly history: HostHistory;
};

const ORDER = { open: 0, missing: 1, closed: 2 } as const;

/** What matters first. */
export function byState(a: Service, b: Service): number {
  return ORDER[a.state] - ORDER[b.state] || a.protocol.localeCompare(b.protocol) || a.port - b.port;
}

/** Everything that the register holds about one address. */
export function HostPage({ frame, address, services, vantages, history }: HostPageProps) {
  const active = services.filter((service) => service.state !== "closed").length;
  return (
    <Page frame={frame} title={address} section="ports">
      <p class="crumb">
        <a href={paths.services()}>Ports</a>
      </p>
      <h1>
        <span class="mono">{address}</span>
      </h1>
      {services.length === 0 ? (
        <Empty title="Nothing known about this address">
          <p>
            No report ever told of an open port here. That alone does not say that none is open: look whether a{" "}
            <a href={paths.jobs()}>job</a> has covered it.
          </p>
        </Empty>
      ) : (
        <>
          <p class="lede">
            {plural(active, "open port")}
            {services.length > active && `, ${services.length - active} closed`}. Everything that was ever seen open is listed.
          </p>
          <ServicesTable services={services} nowMs={frame.nowMs} captionText={`Ports of ${address}`} hideAddress={true} />
          <Vantages rows={services.map((service, index) => ({ service, vantages: vantages[index] ?? [] }))} nowMs={frame.nowMs} />
          <Lanes address={address} history={history} nowMs={frame.nowMs} />
        </>
      )}
    </Page>
  );
}
