/** @jsxRuntime automatic @jsxImportSource hono/jsx */
import type { Accounting } from "../../api/accounting.ts";
import { formatCount, formatDuration, formatRate } from "../format.ts";

/** What was sent, by whom and to how many: for abuse limits. */
export function AccountingSection({ accounting }: { readonly accounting: Accounting | null }) {
  if (accounting === null || accounting.scanners.length === 0) return null;
  const { probesSent, probesPlanned, perHost, perNetwork } = accounting;
  return (
    <section aria-labelledby="accounting-heading">
      <h2 id="accounting-heading">Probes sent</h2>
      <dl class="facts">
        <Fact name="Sent" value={formatCount(probesSent)} of={`of ${formatCount(probesPlanned)} planned`} />
        <Fact name="To each host" value={countText(perHost.sent)} of={`on average; at most ${formatCount(perHost.planned)} a run`} />
        <Fact name="To each /24" value={countText(perNetwork.sent)} of={`on average; at most ${formatCount(perNetwork.planned)} a run`} />
      </dl>
      <table class="stack" role="table">
        <caption>By scanner, from its reports</caption>
        <thead role="rowgroup">
          <tr role="row">
            {["Scanner", "Reports", "Probes", "Worked", "Rate", "Found"].map((heading) => (
              <th scope="col" role="columnheader" class={heading === "Scanner" ? undefined : "num"}>
                {heading}
              </th>
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {accounting.scanners.map((row) => (
            <tr role="row">
              <td role="cell" class="cell-full">
                {row.scanner}
              </td>
              <Cell name="reports" text={`${formatCount(row.complete)} of ${formatCount(row.reports)} complete`} />
              <Cell name="probes" text={formatCount(row.probesSent)} />
              <Cell name="worked" text={formatDuration(row.workedMs / 1_000)} />
              <Cell name="rate" text={row.ratePps === null ? "–" : formatRate(row.ratePps)} />
              <Cell name="found" text={formatCount(row.found)} />
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

function countText(count: number): string {
  return count >= 100 ? formatCount(Math.round(count)) : String(count);
}

function Fact({ name, value, of }: { readonly name: string; readonly value: string; readonly of: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>
        {value} <span class="quiet fact-note">{of}</span>
      </dd>
    </div>
  );
}

function Cell({ name, text }: { readonly name: string; readonly text: string }) {
  return (
    <td role="cell" class="num nowrap" data-label={name}>
      {text}
    </td>
  );
}
