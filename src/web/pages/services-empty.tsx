/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Job } from "../../ledger/types.ts";
import { isFiltered, type ServicesFilter } from "../filters.ts";
import { formatCount, plural } from "../format.ts";
import type { Frame } from "../layout.tsx";
import { Command, Empty, When } from "../parts.tsx";
import { paths } from "../paths.ts";
import type { Surroundings } from "../readers.ts";

export type NothingProps = {
  readonly frame: Frame;
  readonly filter: ServicesFilter;
  readonly jobs: readonly Job[];
  readonly surroundings: Surroundings | null;
  /** Whether the register holds anything at all. */
  readonly known: boolean;
};

/** An empty list in words: what it does and does not prove, and what to do next. */
export function Nothing({ filter, jobs, surroundings, known, frame }: NothingProps) {
  if (isFiltered(filter) && known) {
    return (
      <Empty title="Nothing matches this filter">
        <p>The register holds other ports. Take a part of the filter away, or show everything.</p>
        <p>
          <a class="button" href={paths.services()}>
            Clear the filter
          </a>
        </p>
      </Empty>
    );
  }
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
  return <AfterJobs job={last} nowMs={frame.nowMs} closedOnly={filter.choice === "active"} />;
}

function NoScanner({ frame }: { readonly frame: Frame }) {
  return (
    <Empty title="No scanner yet">
      <p>A plan needs a machine that sends the probes. Register one, then run the daemon on it with the file that this writes:</p>
      <Command text={`npx portolan scanner add NAME --address 192.0.2.10 --region ${frame.region}`} />
    </Empty>
  );
}

function AfterJobs({ job, nowMs, closedOnly }: { readonly job: Job; readonly nowMs: number; readonly closedOnly: boolean }) {
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
    <Empty title={closedOnly ? "Covered and quiet" : "Nothing in this state"}>
      <p>
        {formatCount(job.tiles.complete)} of {plural(job.tiles.total, "tile")} of <a href={paths.job(job.id)}>{job.plan}</a> were completely
        scanned, <When timeMs={job.endedAtMs ?? job.plannedAtMs} nowMs={nowMs} />, and nothing is open there.
      </p>
    </Empty>
  );
}
