/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { LabelledService } from "../../api/labels.ts";
import type { Job, Page as LedgerPage, PortCount, ServiceCounts } from "../../ledger/types.ts";
import { hasProblems, isFiltered, nextQuery, previousQuery, rangeText, type ServicesFilter } from "../filters.ts";
import { formatCount, plural } from "../format.ts";
import { Page, type Frame } from "../layout.tsx";
import { Pager, When } from "../parts.tsx";
import { paths } from "../paths.ts";
import type { Surroundings } from "../readers.ts";
import { serviceName } from "../service-names.ts";
import { Nothing } from "./services-empty.tsx";
import { FilterForm } from "./services-filter.tsx";
import { ServicesTable } from "./services-table.tsx";

export type ServicesPageProps = {
  readonly frame: Frame;
  readonly filter: ServicesFilter;
  /** Null when the filter is wrong: then nothing was asked. */
  readonly page: LedgerPage<LabelledService> | null;
  /** Known-good services that the filter matches and the page leaves out. */
  readonly hidden: number;
  /** Known-good services that are open or missing; `counts` holds them too. */
  readonly knownGood: number;
  readonly counts: ServiceCounts;
  /** Most frequent first. */
  readonly ports: readonly PortCount[];
  /** Newest first; at most a few. */
  readonly jobs: readonly Job[];
  readonly surroundings: Surroundings | null;
};

/** The register: active open ports first. */
export function ServicesPage(props: ServicesPageProps) {
  const { frame, filter, page, counts, jobs } = props;
  const active = counts.open + counts.missing - props.knownGood;
  const known = counts.open + counts.missing + counts.closed > 0;
  const back = previousQuery(filter);
  const title = known || jobs.some((job) => job.tiles.complete > 0) ? plural(active, "open port") : "No open ports known yet";
  return (
    <Page frame={frame} title={title} section="ports">
      <h1>{title}</h1>
      <Lede {...props} />
      {(known || isFiltered(filter) || hasProblems(filter)) && <FilterForm filter={filter} hidden={props.hidden} />}
      <Warnings surroundings={props.surroundings} />
      {page !== null && active > 0 && !isFiltered(filter) && filter.cursor === null && <FrequentPorts ports={props.ports} />}
      {page !== null && page.items.length > 0 && (
        <>
          <ServicesTable services={page.items} nowMs={frame.nowMs} captionText={captionOf(filter)} />
          <Pager
            label="Pages of ports"
            previous={back === null ? null : paths.services(back)}
            next={page.next === null ? null : paths.services(nextQuery(filter, page.next))}
            where={`${plural(page.items.length, "row")} on this page`}
          />
        </>
      )}
      {page !== null && page.items.length === 0 && <Nothing {...props} known={known} />}
    </Page>
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
          <a href={paths.services({ known: "only" })}>{formatCount(knownGood)} known-good</a> hidden.{" "}
        </>
      )}
      {counts.closed > 0 && (
        <>
          <a href={paths.services({ state: "closed" })}>{formatCount(counts.closed)} closed</a>.{" "}
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
  const states = {
    active: "Active open ports by address",
    open: "Open ports",
    missing: "Missing ports",
    closed: "Closed ports",
    all: "All ports ever seen open, active ones first",
  };
  const network = rangeText(filter);
  const place = network === null ? "" : ` in ${network}`;
  return `${states[filter.choice]}${place}${filter.port === null ? "" : `, port ${filter.port}`}`;
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

function FrequentPorts({ ports }: { readonly ports: readonly PortCount[] }) {
  const active = ports.filter((port) => port.open + port.missing > 0);
  if (active.length < 2) return null;
  return (
    <section class="frequent" aria-labelledby="frequent-heading">
      <h2 id="frequent-heading" class="visually-hidden">
        Most frequent ports
      </h2>
      <ul>
        {active.map(({ protocol, port, open, missing }) => (
          <li>
            <a href={paths.services({ port: String(port) })}>
              <span class="frequent-port mono">
                {port}/{protocol}
              </span>
              <span class="frequent-name">{serviceName(protocol, port) ?? "\u00a0"}</span>
              <span class="frequent-count">
                {formatCount(open + missing)}
                <span class="visually-hidden"> open</span>
              </span>
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}
