/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import { formatCount, formatDuration, formatPercent } from "../format.ts";
import { Page, type Frame } from "../layout.tsx";
import { Command, Empty, Pager, State, When } from "../parts.tsx";
import { paths } from "../paths.ts";
import type { Job } from "../../ledger/types.ts";

export type JobsPageProps = {
  readonly frame: Frame;
  readonly jobs: readonly Job[];
  readonly nextCursor: string | null;
  readonly isFirst: boolean;
};

/** Runs of plans, the newest first. */
export function JobsPage({ frame, jobs, nextCursor, isFirst }: JobsPageProps) {
  return (
    <Page frame={frame} title="Jobs" section="jobs">
      <h1>Jobs</h1>
      <p class="lede">One run of a plan each. Only complete tiles are coverage: nothing else can close a port.</p>
      {jobs.length === 0 ? (
        <Empty title="No job has run yet">
          <p>A plan starts its jobs by its schedule; this starts one at once:</p>
          <Command text="npx portolan plan start NAME" />
        </Empty>
      ) : (
        <>
          <JobsTable jobs={jobs} nowMs={frame.nowMs} />
          <Pager
            label="Pages of jobs"
            previous={isFirst ? null : paths.jobs()}
            next={nextCursor === null ? null : paths.jobs(nextCursor)}
            where={`${jobs.length} on this page`}
          />
        </>
      )}
    </Page>
  );
}

function JobsTable({ jobs, nowMs }: { readonly jobs: readonly Job[]; readonly nowMs: number }) {
  return (
    <table class="stack" role="table">
      <caption>Newest first</caption>
      <thead role="rowgroup">
        <tr role="row">
          {["State", "Plan", "Covered", "Tiles", "Started", "Took", "Scanner group"].map((heading) => (
            <th scope="col" role="columnheader">
              {heading}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {jobs.map((job) => (
          <JobRow job={job} nowMs={nowMs} />
        ))}
      </tbody>
    </table>
  );
}

function JobRow({ job, nowMs }: { readonly job: Job; readonly nowMs: number }) {
  const percent = job.tiles.total === 0 ? 0 : (100 * job.tiles.complete) / job.tiles.total;
  return (
    <tr role="row">
      <td role="cell">
        <State word={job.paused && job.state === "running" ? "paused" : job.state} />
      </td>
      <td role="cell">
        <a href={paths.job(job.id)} aria-label={`${job.plan}, job ${job.id.slice(0, 12)}`}>
          {job.plan}
        </a>
      </td>
      <td role="cell" class="bar-cell">
        <progress
          class={job.state === "running" ? undefined : "done"}
          max={100}
          value={percent}
          aria-label={`Covered: ${formatPercent(percent)}`}
        />
      </td>
      <td role="cell" class="nowrap" data-label="tiles">
        {formatCount(job.tiles.complete)} of {formatCount(job.tiles.total)}
        {job.tiles.abandoned > 0 && `, ${formatCount(job.tiles.abandoned)} abandoned`}
      </td>
      <td role="cell" class="nowrap" data-label="started">
        <When timeMs={job.plannedAtMs} nowMs={nowMs} />
      </td>
      <td role="cell" class="nowrap" data-label="took">
        {job.endedAtMs === null ? "…" : formatDuration((job.endedAtMs - job.plannedAtMs) / 1_000)}
      </td>
      <td role="cell" class="quiet" data-label="group">
        {job.group}
      </td>
    </tr>
  );
}
