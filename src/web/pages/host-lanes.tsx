/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Interval } from "../../core/history/fold.ts";
import { formatDuration, formatUtc, plural } from "../format.ts";
import { type HostHistory, type Lane, stretchOf } from "../lanes.ts";
import { State } from "../parts.tsx";
import { paths } from "../paths.ts";

export type LanesProps = { readonly address: string; readonly history: HostHistory; readonly nowMs: number };

type Line = { readonly fromMs: number; readonly toMs: number };

const ROWS_MAX = 200;

/** One lane for each port: when it was open, missing, closed. The same as a table below. */
export function Lanes({ address, history, nowMs }: LanesProps) {
  const { lanes, left, problem } = history;
  if (problem !== null) return <p class="notice">The history cannot be read here: {problem}</p>;
  if (lanes.length === 0) return null;
  const fromMs = Math.min(nowMs - 60_000, ...lanes.flatMap(({ intervals }) => intervals.map((interval) => interval.fromMs)));
  const line = { fromMs, toMs: nowMs };
  return (
    <section aria-labelledby="history-heading">
      <h2 id="history-heading">History</h2>
      <ul class="lanes">
        {lanes.map((lane) => (
          <li>
            <a class="plain mono lane-port" href={paths.why({ address, ...lane })}>
              {lane.port}/{lane.protocol}
            </a>
            <Drawing lane={lane} line={line} />
          </li>
        ))}
        <li class="lane-axis">
          <span aria-hidden="true" />
          <span class="lane-ends">
            <time datetime={new Date(fromMs).toISOString()}>{formatUtc(fromMs).slice(0, 16)}</time>
            <span>now</span>
          </span>
        </li>
      </ul>
      <Legend />
      {left > 0 && <p class="quiet">{plural(left, "more port")} without a lane; "why" shows the evidence of each.</p>}
      <details>
        <summary>As a table</summary>
        <IntervalsTable lanes={lanes} nowMs={nowMs} />
      </details>
    </section>
  );
}

/** States differ in height too, not in colour alone. */
const SHAPES = { open: { y: 1, height: 14 }, missing: { y: 5, height: 6 }, closed: { y: 7.25, height: 1.5 } } as const;

function Drawing({ lane, line }: { readonly lane: Lane; readonly line: Line }) {
  return (
    <svg class="lane" role="img" aria-label={wordsOf(lane)} viewBox="0 0 100 16" preserveAspectRatio="none">
      {[25, 50, 75].map((x) => (
        <line class="lane-tick" x1={x} x2={x} y1="0" y2="16" vector-effect="non-scaling-stroke" />
      ))}
      {lane.intervals.map((interval) => (
        <rect class={`lane-${interval.state}`} {...stretchOf(interval, line)} {...SHAPES[interval.state]} />
      ))}
    </svg>
  );
}

function wordsOf({ port, protocol, intervals }: Lane): string {
  const last = intervals.at(-1);
  const now = last === undefined ? "never seen" : `${last.state} since ${formatUtc(last.fromMs)}`;
  return `${port}/${protocol}: ${now}, ${plural(intervals.length, "interval")} in all`;
}

function Legend() {
  return (
    <ul class="legend">
      {(["open", "missing", "closed"] as const).map((state) => (
        <li>
          <svg class="lane-key" viewBox="0 0 16 16" aria-hidden="true" focusable="false">
            <rect class={`lane-${state}`} x="0" width="16" {...SHAPES[state]} />
          </svg>
          {state}
        </li>
      ))}
    </ul>
  );
}

function IntervalsTable({ lanes, nowMs }: { readonly lanes: readonly Lane[]; readonly nowMs: number }) {
  const rows = lanes.flatMap((lane) => lane.intervals.map((interval) => ({ lane, interval }))).slice(0, ROWS_MAX);
  return (
    <table class="stack" role="table">
      <caption>Intervals by port, the oldest first</caption>
      <thead role="rowgroup">
        <tr role="row">
          {["State", "Port", "From", "To", "For"].map((heading) => (
            <th scope="col" role="columnheader">
              {heading}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map(({ lane, interval }) => (
          <IntervalRow lane={lane} interval={interval} nowMs={nowMs} />
        ))}
      </tbody>
    </table>
  );
}

function IntervalRow({ lane, interval, nowMs }: { readonly lane: Lane; readonly interval: Interval; readonly nowMs: number }) {
  const { state, fromMs, toMs } = interval;
  return (
    <tr role="row">
      <td role="cell">
        <State word={state} />
      </td>
      <td role="cell" class="mono">
        {lane.port}/{lane.protocol}
      </td>
      <td role="cell" data-label="from">
        {formatUtc(fromMs)}
      </td>
      <td role="cell" data-label="to">
        {toMs === null ? "now" : formatUtc(toMs)}
      </td>
      <td role="cell" data-label="for">
        {formatDuration(((toMs ?? nowMs) - fromMs) / 1_000)}
      </td>
    </tr>
  );
}
