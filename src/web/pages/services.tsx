/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import { EXPORT_FORMATS } from "../../api/export-formats.ts";
import { formatFilter } from "../../core/filter/filter.ts";
import type { Job, ServiceCounts } from "../../ledger/types.ts";
import { isFiltered, nextQuery, previousQuery, type ServicesFilter } from "../filters.ts";
import { formatCount, plural } from "../format.ts";
import { Page, type Frame } from "../layout.tsx";
import type { Listing } from "../listing.ts";
import { Pager, When } from "../parts.tsx";
import { paths } from "../paths.ts";
import type { Surroundings } from "../readers.ts";
import { Nothing } from "./services-empty.tsx";
import { Facets } from "./services-facets.tsx";
import { countText, FilterForm } from "./services-filter.tsx";
import { ServicesTable } from "./services-table.tsx";

export type ServicesPageProps = {
  readonly frame: Frame;
  readonly filter: ServicesFilter;
  /** Null when the filter is wrong: then nothing was found. */
  readonly listing: Listing | null;
  /** Known-good services that are open or missing; `counts` holds them too. */
  readonly knownGood: number;
  readonly counts: ServiceCounts;
  /** Newest first; at most a few. */
  readonly jobs: readonly Job[];
  readonly surroundings: Surroundings | null;
};

/** The register: active open ports first. */
export function ServicesPage(props: ServicesPageProps) {
  const { frame, filter, listing, counts, jobs } = props;
  const active = counts.open + counts.missing - props.knownGood;
  const known = counts.open + counts.missing + counts.closed > 0;
  const title = known || jobs.some((job) => job.tiles.complete > 0) ? plural(active, "open port") : "No open ports known yet";
  return (
    <Page frame={frame} title={title} section="ports">
      <h1>{title}</h1>
      <Lede {...props} />
      {(known || isFiltered(filter) || filter.problem !== null) && (
        <FilterForm filter={filter} hidden={listing?.counts.hiddenKnownGood ?? null} />
      )}
      <Warnings surroundings={props.surroundings} />
      {listing !== null && listing.page.items.length > 0 && <Found frame={frame} filter={filter} listing={listing} />}
      {listing !== null && listing.page.items.length === 0 && <Nothing {...props} listing={listing} known={known} />}
    </Page>
  );
}

/** The rows, the way on, and what they are made of. */
function Found({ frame, filter, listing }: { readonly frame: Frame; readonly filter: ServicesFilter; readonly listing: Listing }) {
  const { page, counts } = listing;
  const back = previousQuery(filter);
  return (
    <div class="found">
      <div>
        <ServicesTable services={page.items} nowMs={frame.nowMs} captionText={captionOf(filter)} filter={filter} />
        <Pager
          label="Pages of ports"
          previous={back === null ? null : paths.services(back)}
          next={page.next === null ? null : paths.services(nextQuery(filter, page.next))}
          where={`${plural(page.items.length, "row")} on this page, ${countText(counts.total)} in all`}
        />
        <p class="exports">
          All of them as{" "}
          {EXPORT_FORMATS.map((format, index) => (
            <>
              {index > 0 && ", "}
              <a href={paths.exportServices(format, formatFilter(filter.filter))} download="">
                {format}
              </a>
            </>
          ))}
        </p>
      </div>
      <Facets filter={filter} listing={listing} />
    </div>
  );
}

function Lede({ counts, jobs, frame, knownGood }: ServicesPageProps) {
  const last = jobs[0];
  return (
    <p class="lede">
      {counts.missing > 0 && (
        <>
          <strong>{formatCount(counts.missing)}</strong> of them missed by the latest look, not yet proven closed.{" "}
        </>
      )}
      {knownGood > 0 && (
        <>
          <a href={paths.services({ q: "known:only" })}>{formatCount(knownGood)} known-good</a> hidden.{" "}
        </>
      )}
      {counts.closed > 0 && (
        <>
          <a href={paths.services({ q: "state:closed" })}>{formatCount(counts.closed)} closed</a>.{" "}
        </>
      )}
      {last === undefined ? (
        "Nothing has been scanned yet."
      ) : (
        <>
          Latest job: <a href={paths.job(last.id)}>{last.plan}</a>, <LatestWords job={last} nowMs={frame.nowMs} />
        </>
      )}
    </p>
  );
}

function LatestWords({ job, nowMs }: { readonly job: Job; readonly nowMs: number }) {
  const tiles = `${formatCount(job.tiles.complete)} of ${plural(job.tiles.total, "tile")} covered`;
  if (job.state === "running") return <>running, {tiles} so far.</>;
  return (
    <>
      {job.state}, {tiles}, ended <When timeMs={job.endedAtMs ?? job.plannedAtMs} nowMs={nowMs} />.
    </>
  );
}

function captionOf(filter: ServicesFilter): string {
  const order = filter.sort.endsWith("port") ? "by port" : "by address";
  return `${isFiltered(filter) ? "Ports that match the filter" : "Active open ports"}, ${order}`;
}

/** What stands between the reader and a complete picture, with the remedy. */
function Warnings({ surroundings }: { readonly surroundings: Surroundings | null }) {
  if (surroundings === null) {
    return <p class="notice">The registry does not answer now, so plans and scanners are unknown. What was found is shown as usual.</p>;
  }
  const { scanners, awake, notReady, holes } = surroundings;
  return (
    <>
      {holes > 0 && (
        <p class="notice">
          {plural(holes, "log")} of a region has a hole: nothing is closed until the missing records have come. Open ports are shown as
          usual.
        </p>
      )}
      {scanners > 0 && awake === 0 && <p class="notice">No scanner was heard within the last 30 seconds; is the daemon running?</p>}
      {notReady.slice(0, 5).map(({ scanner, reason, canConnect }) => (
        <p class="notice">
          Scanner <strong>{scanner}</strong> {canConnect ? "can only use TCP connects" : "claims no work"}: {reason}
        </p>
      ))}
    </>
  );
}
