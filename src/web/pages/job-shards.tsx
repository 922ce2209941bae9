/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { ShardRow } from "../../ledger/types.ts";
import { formatCount, formatDuration, formatPercent, formatRate } from "../format.ts";
import { State } from "../parts.tsx";

const HEADINGS = ["State", "Tile", "Shard", "Scanner", "Progress", "Rate", "Found", "Time left"] as const;
const NUMBERS: readonly string[] = ["Rate", "Found", "Time left"];

/** One row with a bar for each shard. */
export function ShardsTable({ shards, captionText }: { readonly shards: readonly ShardRow[]; readonly captionText: string }) {
  return (
    <table class="stack" role="table">
      <caption>{captionText}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {HEADINGS.map((heading) => (
            <th scope="col" role="columnheader" class={NUMBERS.includes(heading) ? "num" : undefined}>
              {heading}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {shards.map((shard) => (
          <Row shard={shard} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ shard }: { readonly shard: ShardRow }) {
  const running = shard.state === "running";
  const percent = shard.state === "complete" ? 100 : (shard.percent ?? 0);
  const tone = shard.state === "complete" ? "done" : shard.state === "partial" ? "partial" : undefined;
  const label = `Tile ${shard.tile}, shard ${shard.shard}: ${formatPercent(percent)}`;
  return (
    <tr role="row">
      <td role="cell">
        <State word={shard.state} />
      </td>
      <td role="cell" data-label="tile">
        {shard.tile}
      </td>
      <td role="cell" class="nowrap" data-label="shard">
        {shard.shard}
        {shard.attempt > 1 && <span class="tag">attempt {shard.attempt}</span>}
      </td>
      <td role="cell" data-label="by">
        {shard.scanner}
      </td>
      <td role="cell" class="bar-cell">
        <span class="bar">
          <progress class={tone} max={100} value={percent} aria-label={label} />
          <span class="percent">{formatPercent(percent)}</span>
        </span>
        {shard.problem !== null && shard.state !== "complete" && <div class="quiet">{shard.problem}</div>}
      </td>
      <Fact name="rate" text={running && shard.ratePps !== null ? formatRate(shard.ratePps) : null} />
      <Fact name="found" text={shard.found === null ? null : formatCount(shard.found)} />
      <Fact name="left" text={running && shard.remainingS !== null ? formatDuration(shard.remainingS) : null} />
    </tr>
  );
}

function Fact({ name, text }: { readonly name: string; readonly text: string | null }) {
  return (
    <td role="cell" class={text === null ? "num cell-blank" : "num nowrap"} data-label={name}>
      {text ?? "–"}
    </td>
  );
}
