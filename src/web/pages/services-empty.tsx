/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Job } from "../../ledger/types.ts";
import { filterQuery, isFiltered, narrowed, nextQuery, type ServicesFilter } from "../filters.ts";
import { formatCount, plural } from "../format.ts";
import type { Frame } from "../layout.tsx";
import type { Listing } from "../listing.ts";
import { Command, Empty, When } from "../parts.tsx";
import { paths } from "../paths.ts";
import type { Surroundings } from "../readers.ts";
import { countText } from "./services-filter.tsx";

export type NothingProps = {
  readonly frame: Frame;
  readonly filter: ServicesFilter;
  readonly listing: Listing;
  readonly jobs: readonly Job[];
  readonly surroundings: Surroundings | null;
  /** Whether the register holds anything at all. */
  readonly known: boolean;
};

/** An empty list in words: what it does and does not prove, and what to do next. */
export function Nothing({ filter, listing, jobs, surroundings, known, frame }: NothingProps) {
  if (listing.page.next !== null) return <NothingYet filter={filter} next={listing.page.next} />;
  if ((isFiltered(filter) || filter.cursor !== null) && known) return <NoMatch filter={filter} hidden={listing.counts.hiddenKnownGood} />;
  const last = jobs[0];
  if (surroundings === null) return null;
  if (surroundings.plans.length === 0 && last === undefined) {
    return (
      <Empty title="No plan yet">
        <p>Nothing is known about any network, because nothing was asked. One command makes a plan and starts its first job:</p>
        <Command text="npx portolan plan add office --range 192.0.2.0/24 -p 1-1024 --every 6h" />
        <p>Scan only networks that you own or may scan.</p>
      </Empty>
    );
  }
  if (surroundings.scanners === 0 && last === undefined) return <NoScanner frame={frame} />;
  if (last === undefined) {
    return (
      <Empty title="No job has run yet">
        <p>There is a plan, but no scan has been started, so nothing is known. Start one:</p>
        <Command text={`npx portolan plan start ${surroundings.plans[0] ?? "NAME"}`} />
      </Empty>
    );
  }
  return <AfterJobs job={last} nowMs={frame.nowMs} />;
}

/** A rare match among very many: the search has come only so far. */
function NothingYet({ filter, next }: { readonly filter: ServicesFilter; readonly next: string }) {
  return (
    <Empty title="No match so far">
      <p>Many services were looked at and none matches yet; more of them follow.</p>
      <p>
        <a class="button" href={paths.services(nextQuery(filter, next))} rel="next">
          Go on looking
        </a>
      </p>
    </Empty>
  );
}

function NoMatch({ filter, hidden }: { readonly filter: ServicesFilter; readonly hidden: Listing["counts"]["hiddenKnownGood"] }) {
  const shown = hidden.count > 0 ? narrowed(filter, "known:show") : null;
  return (
    <Empty title="Nothing matches this filter">
      {shown !== null && (
        <p>
          {countText(hidden)} known-good {hidden.count === 1 ? "service matches and is" : "services match and are"} hidden.{" "}
          <a href={paths.services(shown)}>Show them</a>
        </p>
      )}
      <p>The register holds other ports. Take a part of the filter away, or show everything.</p>
      <p>
        <a class="button" href={paths.services(filterQuery(filter, []))}>
          Clear the filter
        </a>
      </p>
    </Empty>
  );
}

function NoScanner({ frame }: { readonly frame: Frame }) {
  return (
    <Empty title="No scanner yet">
      <p>A plan needs a machine that sends the probes. Register one, then run the daemon on it with the file that this writes:</p>
      <Command text={`npx portolan scanner add NAME --address 192.0.2.10 --region ${frame.region}`} />
    </Empty>
  );
}

function AfterJobs({ job, nowMs }: { readonly job: Job; readonly nowMs: number }) {
  if (job.state === "running") {
    return (
      <Empty title="The scan is under way">
        <p>
          {formatCount(job.tiles.complete)} of {plural(job.tiles.total, "tile")} covered so far, nothing found open in them.{" "}
          <a href={paths.job(job.id)}>Watch the job</a>
        </p>
      </Empty>
    );
  }
  if (job.tiles.complete === 0) {
    return (
      <Empty title="Nothing was covered">
        <p>
          The latest job ended without a single complete tile, so this empty list says nothing about the network.{" "}
          <a href={paths.job(job.id)}>See why</a>
        </p>
      </Empty>
    );
  }
  return (
    <Empty title="Covered and quiet">
      <p>
        {formatCount(job.tiles.complete)} of {plural(job.tiles.total, "tile")} of <a href={paths.job(job.id)}>{job.plan}</a> were completely
        scanned, <When timeMs={job.endedAtMs ?? job.plannedAtMs} nowMs={nowMs} />, and nothing is open there.
      </p>
    </Empty>
  );
}
