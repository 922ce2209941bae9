/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { showRegion } from "../../api/regions.ts";
import type { PeerState } from "../../ledger/peer-types.ts";
import { formatCount, plural } from "../format.ts";
import { Page, type Frame } from "../layout.tsx";
import { Command, Empty, State, When } from "../parts.tsx";

export type RegionRow = ReturnType<typeof showRegion>;
export type RegionsPageProps = {
  readonly frame: Frame;
  /** Null when the registry does not answer. */
  readonly regions: readonly RegionRow[] | null;
  /** Known without the registry too. */
  readonly peers: readonly PeerState[];
};

/** The regions as the one that answers sees them: contact, lag, and what is wrong. */
export function RegionsPage({ frame, regions, peers }: RegionsPageProps) {
  return (
    <Page frame={frame} title="Regions" section="regions" reloadS={30}>
      <h1>Regions</h1>
      <p class="lede">
        As region <strong>{frame.region}</strong> sees them. Each goes on by itself while it hears nobody; what it missed comes later.
      </p>
      {peers
        .filter(({ alarm }) => alarm !== null)
        .map(({ region, alarm }) => (
          <p class="problem" role="alert">
            <strong>{region}</strong>: {alarm}
          </p>
        ))}
      {regions === null && <p class="notice">The registry does not answer now, so the list of regions is unknown.</p>}
      {regions !== null && regions.length === 0 && (
        <Empty title="No region yet">
          <p>The first one is made by its own start:</p>
          <Command text="npm start" />
        </Empty>
      )}
      {regions !== null && regions.length > 0 && <RegionsTable regions={regions} frame={frame} />}
    </Page>
  );
}

function RegionsTable({ regions, frame }: { readonly regions: readonly RegionRow[]; readonly frame: Frame }) {
  return (
    <table class="stack" role="table">
      <caption>{plural(regions.length, "region")}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {["Region", "State", "Scanners", "Last contact", "Lag", "Last proven equal", "Alarm"].map((heading) => (
            <th scope="col" role="columnheader">
              {heading}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {regions.map((region) => (
          <Row region={region} nowMs={frame.nowMs} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ region: { name, state, scanners, answering, home, live }, nowMs }: { readonly region: RegionRow; readonly nowMs: number }) {
  return (
    <tr role="row">
      <td role="cell">
        <strong>{name}</strong>
        {answering && <span class="quiet"> answers here</span>}
        {home && <span class="quiet"> holds the registry</span>}
      </td>
      <td role="cell">
        <State word={state} />
      </td>
      <td role="cell" data-label="scanners">
        {formatCount(scanners)}
      </td>
      <td role="cell" class="nowrap" data-label="last contact">
        {answering ? "–" : <Moment timeMs={live?.contactMs ?? null} nowMs={nowMs} />}
      </td>
      <td role="cell" class="nowrap" data-label="lag">
        {live === null ? "–" : live.behind === 0 ? "none" : plural(live.behind, "record")}
      </td>
      <td role="cell" class="nowrap" data-label="proven equal">
        {answering ? "–" : <Moment timeMs={live?.equalAtMs ?? null} nowMs={nowMs} />}
      </td>
      <td role="cell" data-label="alarm">
        {live === null || live.alarm === null ? "none" : "see above"}
      </td>
    </tr>
  );
}

function Moment({ timeMs, nowMs }: { readonly timeMs: number | null; readonly nowMs: number }) {
  return timeMs === null ? <>never</> : <When timeMs={timeMs} nowMs={nowMs} />;
}
