/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Progress } from "../../core/messages/bus.ts";
import type { Accounting } from "../../api/accounting.ts";
import type { HeldTile, Job, Page as LedgerPage, ShardRow } from "../../ledger/types.ts";
import { formatCount, formatDuration, formatPercent, formatRate, plural, shortId } from "../format.ts";
import { Page, type Frame } from "../layout.tsx";
import { Pager, State, When } from "../parts.tsx";
import { paths } from "../paths.ts";
import { AccountingSection } from "./job-accounting.tsx";
import { HeldTiles, PauseForm } from "./job-held.tsx";
import { ShardsTable } from "./job-shards.tsx";

export type JobPageProps = {
  readonly frame: Frame;
  readonly job: Job;
  readonly page: LedgerPage<ShardRow>;
  /** Of the whole job, fresh ones only. */
  readonly progress: readonly Progress[];
  /** Of this page of shards. */
  readonly cursor: string | null;
  readonly held: readonly HeldTile[];
  readonly accounting: Accounting | null;
};

const POLL_S = 2;

/** One job while it runs and for ever after. The live part fetches this same page again, and its poller is gone when the job has ended. */
export function JobPage(props: JobPageProps) {
  const { frame, job, cursor, held } = props;
  const running = job.state === "running";
  return (
    <Page frame={frame} title={`Job ${shortId(job.id)} of ${job.plan}`} section="jobs" reloadS={running ? 5 : null}>
      <p class="crumb">
        <a href={paths.jobs()}>Jobs</a>
      </p>
      <h1>{job.plan}</h1>
      <p id="job-status" role="status" class="visually-hidden">
        {`${job.state}, ${tilesText(job)}`}
      </p>
      <PauseForm job={job} />
      <div id="live">
        {running && <Poller url={paths.job(job.id, cursor === null ? {} : { shards: cursor })} />}
        <Summary {...props} />
        <HeldTiles job={job} held={held} nowMs={frame.nowMs} />
        <TileScale job={job} />
        <Shards {...props} />
        <AccountingSection accounting={props.accounting} />
      </div>
    </Page>
  );
}

/** Morphs the live part, so that focus and selected text stay; the status line is read aloud only when its words change. */
function Poller({ url }: { readonly url: string }) {
  const polling = {
    "hx-get": url,
    "hx-trigger": `every ${POLL_S}s`,
    "hx-select": "#live",
    "hx-target": "#live",
    "hx-swap": "outerMorph",
    "hx-select-oob": "#job-status:innerHTML",
  };
  return <span id="poller" hidden {...polling} />;
}

function tilesText({ tiles }: Job): string {
  return `${formatCount(tiles.complete)} of ${plural(tiles.total, "tile")} complete, ${formatCount(tiles.abandoned)} abandoned`;
}

function Summary({ job, frame, progress }: JobPageProps) {
  const ratePps = progress.reduce((sum, shard) => sum + shard.ratePps, 0);
  const leftS = job.endedAtMs === null ? remainingS(job, { progress, nowMs: frame.nowMs }) : null;
  return (
    <>
      {job.why !== null && job.state === "running" && (
        <div class="notice">
          <p>
            <strong>It cannot go on. </strong>
            {job.why}
          </p>
        </div>
      )}
      {job.why !== null && job.state !== "running" && (
        <div class={job.state === "incomplete" ? "problem" : "notice"}>
          <p>
            {job.state === "incomplete" && <strong>Ended incomplete. </strong>}
            {job.why}
          </p>
          {job.state === "incomplete" && <p>Tiles that are not complete cover nothing: no port was closed because of them.</p>}
        </div>
      )}
      <dl class="facts">
        <Fact name="State">
          <State word={job.paused && job.state === "running" ? "paused" : job.state} />
        </Fact>
        <Fact name="Started">
          <When timeMs={job.plannedAtMs} nowMs={frame.nowMs} />
        </Fact>
        {job.endedAtMs === null ? (
          <>
            <Fact name="Rate now">{progress.length === 0 ? "–" : formatRate(ratePps)}</Fact>
            <Fact name="Running for">{formatDuration((frame.nowMs - job.plannedAtMs) / 1_000)}</Fact>
            <Fact name="Time left">
              {leftS === null ? "not known yet" : `about ${formatDuration(leftS < 60 ? leftS : Math.ceil(leftS / 60) * 60)}`}
            </Fact>
          </>
        ) : (
          <Fact name="Took">{formatDuration((job.endedAtMs - job.plannedAtMs) / 1_000)}</Fact>
        )}
        <Fact name="Pairs">{formatCount(job.pairs)}</Fact>
        <Fact name="Scanner group">{job.group}</Fact>
        <Fact name="Home">{job.home}</Fact>
        <Fact name="Job">
          <span class="mono" title={job.id}>
            {shortId(job.id)}
          </span>
        </Fact>
      </dl>
    </>
  );
}

/** From the pace so far, or from the scanners while no tile is complete. Null while neither can tell. */
function remainingS(job: Job, now: { readonly progress: readonly Progress[]; readonly nowMs: number }): number | null {
  const { total, complete, abandoned } = job.tiles;
  if (complete > 0) return (((now.nowMs - job.plannedAtMs) / 1_000) * (total - complete - abandoned)) / complete;
  const known = now.progress.flatMap((shard) => (shard.remainingS === null ? [] : [shard.remainingS]));
  return total === 1 && known.length > 0 ? Math.max(...known) : null;
}

function Fact({ name, children }: { readonly name: string; readonly children?: unknown }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** Coverage of the job, drawn like the scale bar of a chart. Abandoned tiles stand at its far end. */
function TileScale({ job }: { readonly job: Job }) {
  const { total, complete, abandoned } = job.tiles;
  const percentOf = (count: number) => (total === 0 ? 0 : (100 * count) / total);
  const open = total - complete - abandoned;
  return (
    <section aria-labelledby="tiles-heading">
      <h2 id="tiles-heading">Tiles</h2>
      <svg class="scale" role="img" aria-label={tilesText(job)} preserveAspectRatio="none" viewBox="0 0 100 10">
        <rect class="scale-complete" x="0" y="0" width={percentOf(complete)} height="10" />
        <rect class="scale-abandoned" x={100 - percentOf(abandoned)} y="0" width={percentOf(abandoned)} height="10" />
        {total <= 100 &&
          Array.from({ length: Math.max(0, total - 1) }, (_, index) => (
            <line
              class="scale-tick"
              x1={percentOf(index + 1)}
              x2={percentOf(index + 1)}
              y1="0"
              y2="10"
              vector-effect="non-scaling-stroke"
            />
          ))}
      </svg>
      <ul class="legend">
        <li>
          <Swatch name="scale-complete" />
          {formatCount(complete)} complete ({formatPercent(percentOf(complete))})
        </li>
        {abandoned > 0 && (
          <li>
            <Swatch name="scale-abandoned" />
            {formatCount(abandoned)} abandoned
          </li>
        )}
        {open > 0 && <li>{formatCount(open)} open</li>}
      </ul>
    </section>
  );
}

function Swatch({ name }: { readonly name: string }) {
  return (
    <svg viewBox="0 0 12 12" aria-hidden="true" focusable="false">
      <rect class={name} width="12" height="12" />
    </svg>
  );
}

function Shards({ job, page, progress, cursor }: JobPageProps) {
  const rows = page.items.toSorted((a, b) => Number(b.state === "running") - Number(a.state === "running"));
  // Of a big job one page shows only some shards: those under way are then listed of their own.
  const isWhole = page.next === null && cursor === null;
  if (rows.length === 0) {
    const text =
      job.state === "running" ? "No shard has been handed out yet; the keeper does that within seconds." : "No shard was handed out.";
    return <p class="quiet">{text}</p>;
  }
  return (
    <section aria-labelledby="shards-heading">
      <h2 id="shards-heading">Shards</h2>
      {!isWhole && progress.length > 0 && <ShardsTable shards={progress.map(rowOf)} captionText="Under way now" />}
      <ShardsTable shards={rows} captionText={isWhole ? "Those under way first, then by tile" : "By tile"} />
      <Pager
        label="Pages of shards"
        previous={cursor === null ? null : paths.job(job.id)}
        next={page.next === null ? null : paths.job(job.id, { shards: page.next })}
        where={`${plural(rows.length, "shard")} on this page`}
      />
    </section>
  );
}

function rowOf({ key, scanner, percent, ratePps, found, remainingS }: Progress): ShardRow {
  const { tile, shard, attempt } = key;
  return { tile, shard, attempt, scanner, region: "", state: "running", percent, ratePps, found, remainingS, problem: null };
}
