import type { Frontier } from "../messages/common.ts";
import type { JobSpec } from "../messages/job.ts";
import type { Statement, TileComplete } from "../messages/record.ts";
import type { Report } from "../messages/report.ts";
import { type Tile, tileCount, tileAt } from "../tile.ts";
import type { Sighting } from "../columns.ts";

/** A record at one of its positions; `sightings` of a part or upload, else empty. */
export type PositionedRecord = {
  readonly id: string;
  readonly log: string;
  readonly rseq: number;
  readonly statement: Statement;
  readonly sightings: readonly Sighting[];
};

/** A tile that counts: its job, what it held when it was planned, and what the tile contains. */
export type Coverage = { readonly job: string; readonly spec: JobSpec; readonly tile: Tile };

/** Whether a position is at or below a frontier (inclusive). */
export function isWithin({ log, rseq }: { readonly log: string; readonly rseq: number }, frontier: Frontier): boolean {
  const upto = frontier[log];
  return upto !== undefined && rseq <= upto;
}

/** Whether every record at or below the frontier is here. */
function isFrontierHeld(records: readonly PositionedRecord[], frontier: Frontier): boolean {
  return Object.entries(frontier).every(([log, upto]) => {
    const held = new Set(records.filter((record) => record.log === log && record.rseq <= upto).map((record) => record.rseq));
    return held.size === upto + 1;
  });
}

/** Rule 2: the tiles whose tile-complete counts, with everything that it needs. One entry for each tile-complete. */
export function coverages(records: readonly PositionedRecord[]): Coverage[] {
  const found: Coverage[] = [];
  for (const { statement } of records) {
    if (statement.kind !== "tile-complete") continue;
    const covered = coverageOf(records, statement.content);
    if (covered !== null) found.push(covered);
  }
  return found;
}

function coverageOf(records: readonly PositionedRecord[], complete: TileComplete): Coverage | null {
  if (complete.held !== null) return null;
  const job = records.find(({ id }) => id === complete.job)?.statement;
  if (job?.kind !== "job" || complete.tile >= tileCount(job.content)) return null;
  const spec = job.content;
  const tile = tileAt(spec, complete.tile);
  const shards = complete.reports.map(({ shard }) => shard).toSorted((a, b) => a - b);
  if (shards.length !== tile.members.length || shards.some((shard, index) => shard !== index + 1)) return null;
  const reportsHold = complete.reports.every(({ shard, id }) => {
    const report = reportOf(records, id);
    return report !== null && isCompleteReportOf(records, report, { job: complete.job, tile: complete.tile, shard });
  });
  return reportsHold && isFrontierHeld(records, spec.frontier) ? { job: complete.job, spec, tile } : null;
}

function reportOf(records: readonly PositionedRecord[], id: string): Report | null {
  const statement = records.find((record) => record.id === id)?.statement;
  return statement?.kind === "report" ? statement.content : null;
}

function isCompleteReportOf(
  records: readonly PositionedRecord[],
  report: Report,
  wanted: { job: string; tile: number; shard: number },
): boolean {
  const { key, outcome, parts, runId } = report;
  if (key.job !== wanted.job || key.tile !== wanted.tile || key.shard !== wanted.shard || outcome.kind !== "complete") return false;
  const reportsOfRun = records.filter(({ statement }) => statement.kind === "report" && statement.content.runId === runId);
  // Two different reports with one run id contradict each other: neither covers anything.
  if (new Set(reportsOfRun.map(({ id }) => id)).size > 1) return false;
  return parts.every((part) => records.some(({ id, statement }) => id === part.id && statement.kind === "part"));
}
