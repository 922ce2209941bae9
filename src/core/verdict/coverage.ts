import type { Sighting } from "../columns.ts";
import type { Frontier } from "../messages/common.ts";
import type { JobSpec } from "../messages/job.ts";
import type { Judged, Statement, TileComplete } from "../messages/record.ts";
import { type Tile, tileCount, tileAt } from "../tile.ts";

/** A record at one of its positions; `sightings` of a part or upload, else empty (a probe's open answers stand in its statement). */
export type PositionedRecord = {
  readonly id: string;
  readonly log: string;
  readonly rseq: number;
  /** The region that the log belongs to. */
  readonly region: string;
  /** Public key of the record's author. */
  readonly author: string;
  readonly statement: Statement;
  /** What the keeper of this log found a report to be; null for other kinds. */
  readonly judged: Judged;
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
export function isFrontierHeld(records: readonly PositionedRecord[], frontier: Frontier): boolean {
  return Object.entries(frontier).every(([log, upto]) => {
    const held = new Set(records.filter((record) => record.log === log && record.rseq <= upto).map((record) => record.rseq));
    return held.size === upto + 1;
  });
}

/** Keys that are trusted no more: where the revoke stands in relation to what they said does not matter. */
export function revokedKeys(records: readonly PositionedRecord[]): ReadonlySet<string> {
  return new Set(records.flatMap(({ statement }) => (statement.kind === "revoke" ? [statement.content.publicKey] : [])));
}

/** Rules 2 and 8: the tiles whose tile-complete counts, with everything that it needs. One entry for each tile-complete. */
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
  if (isHeld(records, complete)) return null;
  const job = records.find(({ id }) => id === complete.job)?.statement;
  if (job?.kind !== "job" || complete.tile >= tileCount(job.content)) return null;
  const spec = job.content;
  const tile = tileAt(spec, complete.tile);
  const shards = complete.reports.map(({ shard }) => shard).toSorted((a, b) => a - b);
  if (shards.length !== tile.members.length || shards.some((shard, index) => shard !== index + 1)) return null;
  const reportsHold = complete.reports.every(({ shard, id }) =>
    isGoodReport(records, id, { job: complete.job, tile: complete.tile, shard }),
  );
  return reportsHold && isFrontierHeld(records, spec.frontier) ? { job: complete.job, spec, tile } : null;
}

/** Rule 8: a tile with a held tile-complete that nobody has released counts nothing, also by another tile-complete. */
function isHeld(records: readonly PositionedRecord[], { job, tile }: TileComplete): boolean {
  return records.some(
    ({ id, statement }) =>
      statement.kind === "tile-complete" &&
      statement.content.job === job &&
      statement.content.tile === tile &&
      statement.content.held !== null &&
      !records.some((other) => other.statement.kind === "release" && other.statement.content.tileComplete === id),
  );
}

/** Whether the record is a complete report of the wanted shard, also for a keeper that accepted it, by a trusted key, contradicted by none, with all its parts here. */
function isGoodReport(records: readonly PositionedRecord[], id: string, wanted: { job: string; tile: number; shard: number }): boolean {
  const record = records.find((one) => one.id === id);
  if (record?.statement.kind !== "report" || revokedKeys(records).has(record.author)) return false;
  const { key, outcome, parts, runId } = record.statement.content;
  if (key.job !== wanted.job || key.tile !== wanted.tile || key.shard !== wanted.shard || outcome.kind !== "complete") return false;
  if (!records.some((one) => one.id === id && one.judged === "complete")) return false;
  // Two different reports of one key with one run id contradict each other: neither covers anything.
  const ofRun = records.filter(
    ({ statement, author }) => statement.kind === "report" && statement.content.runId === runId && author === record.author,
  );
  if (new Set(ofRun.map((one) => one.id)).size > 1) return false;
  return parts.every((part) => records.some((one) => one.id === part.id && one.statement.kind === "part"));
}
