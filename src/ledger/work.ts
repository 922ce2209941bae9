import { z } from "zod";
import type { AssignmentKey } from "../core/messages/job.ts";
import { type Database, numberOf, textOf } from "./database.ts";
import {
  ATTEMPTS_MAX,
  type CompletableTile,
  type InterruptedJob,
  type OpenAssignment,
  type PlanRun,
  type RunningJob,
  type TileState,
} from "./types.ts";

/**
 * Shards due now for the scanners of one region: the first `perScanner` of each running job and scanner, in the order in
 * which fairness wants them (first of each job, oldest job first, then second of each …).
 */
export async function openAssignments(
  database: Database,
  { region, nowMs, perScanner }: { region: string; nowMs: number; perScanner: number },
): Promise<OpenAssignment[]> {
  const [rows] = await database.batch([{ sql: OPEN, args: [region, nowMs, perScanner, ATTEMPTS_MAX] }], "read");
  return (rows ?? []).map((row) => ({
    job: textOf(row, "job"),
    plan: textOf(row, "plan"),
    tile: numberOf(row, "tile"),
    shard: numberOf(row, "shard"),
    attempt: numberOf(row, "attempt"),
    scanner: textOf(row, "scanner"),
    deadlineAtMs: numberOf(row, "deadline_at_ms"),
  }));
}

/** The statement of `openAssignments`; exported for the test of its plan. */
export const OPEN = `select lower(hex(j.id)) as job, j.plan, a.tile, a.shard, a.attempt, a.scanner, j.deadline_at_ms,
    row_number() over (partition by a.scanner, j.id order by a.tile, a.shard) as turn
  from job j indexed by job_running cross join job_member m on m.job = j.id and m.region = ?1
    cross join assignment a on a.job = j.id and a.scanner = m.scanner and a.state = 0
  where j.ended_at_ms is null and j.paused = 0 and j.deadline_at_ms > ?2 and (a.tile, a.shard) in (
    select b.tile, b.shard from assignment b indexed by assignment_open cross join tile t on t.job = b.job and t.n = b.tile
    where b.job = j.id and b.scanner = m.scanner and b.state = 0 and b.retry_at_ms <= ?2 and b.attempt <= ?4 and t.state = 0
    order by b.tile, b.shard limit ?3)
  order by turn, j.planned_at_ms, j.id, a.tile, a.shard`;

/** See `CompletableTile`: tiles of jobs of this home. */
export async function completableTiles(database: Database, { home, limit }: { home: string; limit: number }): Promise<CompletableTile[]> {
  const [rows] = await database.batch([{ sql: COMPLETABLE, args: [home, limit] }], "read");
  return (rows ?? []).map((row) => {
    const reports: [number, string][] = JSON.parse(textOf(row, "reports"));
    return {
      job: textOf(row, "job"),
      tile: numberOf(row, "tile"),
      reports: reports.toSorted(([a], [b]) => a - b).map(([shard, id]) => ({ shard, id })),
    };
  });
}

// One good report for each shard (the smallest id), all of whose parts are here.
const COMPLETABLE = `select lower(hex(t.job)) as job, t.n as tile, (
    select json_group_array(json_array(shard, lower(hex(id)))) from (
      select r.shard, min(r.id) as id from report r
      where r.job = t.job and r.tile = t.n and r.complete = 1 and r.void = 0 and r.shard <= t.shards
        and not exists (select 1 from report_part p where p.report = r.id and not exists (select 1 from record k where k.id = p.part and k.kind = 'part'))
      group by r.shard)) as reports
  from job j indexed by job_running cross join tile t on t.job = j.id and t.state = 0 and t.shards_left = 0
  where j.ended_at_ms is null and j.home = ?1 and json_array_length(reports) = t.shards limit ?2`;

/** See `Ledger.runningJobs`: oldest first. */
export async function runningJobs(database: Database): Promise<RunningJob[]> {
  const [rows] = await database.batch(
    [
      {
        sql: "select lower(hex(id)) as id, plan, plan_id, home, deadline_at_ms from job where ended_at_ms is null order by planned_at_ms, id limit 1000",
      },
    ],
    "read",
  );
  return (rows ?? []).map((row) => ({
    id: textOf(row, "id"),
    plan: textOf(row, "plan"),
    planId: textOf(row, "plan_id"),
    home: textOf(row, "home"),
    deadlineAtMs: numberOf(row, "deadline_at_ms"),
  }));
}

/** See `Ledger.openTiles`. Tiles that are not cut yet are open too. */
export async function openTiles(database: Database, job: string): Promise<{ first: number; last: number }[]> {
  const [rows, jobs] = await database.batch(
    [
      {
        sql: `select min(n) as first, max(n) as last from (select n, n - row_number() over (order by n) as run from tile where job = unhex(?1) and state = 0)
          group by run order by first limit 9999`,
        args: [job],
      },
      { sql: "select tiles_made, tiles from job where id = unhex(?1)", args: [job] },
    ],
    "read",
  );
  const runs = (rows ?? []).map((row) => ({ first: numberOf(row, "first"), last: numberOf(row, "last") }));
  const [row] = jobs ?? [];
  if (row !== undefined && numberOf(row, "tiles_made") < numberOf(row, "tiles")) {
    runs.push({ first: numberOf(row, "tiles_made"), last: numberOf(row, "tiles") - 1 });
  }
  return runs;
}

const TILE_STATES: readonly TileState[] = ["open", "complete", "abandoned"];

/** See `Ledger.tileState`. */
export async function tileState(database: Database, job: string, tile: number): Promise<TileState | null> {
  const [rows] = await database.batch([{ sql: "select state from tile where job = unhex(?1) and n = ?2", args: [job, tile] }], "read");
  return rows?.[0] === undefined ? null : (TILE_STATES[numberOf(rows[0], "state")] ?? null);
}

/** See `Ledger.interruptedJobs`. A cancelled job is not taken up again. */
export async function interruptedJobs(database: Database, home: string): Promise<InterruptedJob[]> {
  const [rows] = await database.batch([{ sql: INTERRUPTED, args: [home] }], "read");
  return (rows ?? []).map((row) => ({
    id: textOf(row, "id"),
    planId: textOf(row, "plan_id"),
    tiles: runsSchema.parse(JSON.parse(textOf(row, "tiles"))).map(([first, last]) => ({ first, last })),
  }));
}

const runsSchema = z.array(z.tuple([z.number(), z.number()]));
const INTERRUPTED = `select lower(hex(j.id)) as id, j.plan_id, (
      select json_group_array(json_array(first, last)) from (
        select distinct a.first, a.last from tile_abandoned a where a.job = j.id and a.cause in ('excluded', 'denied') limit 10000)) as tiles
  from (select distinct job from tile_abandoned where cause in ('excluded', 'denied')) i cross join job j on j.id = i.job
  where j.home = ?1 and j.ended_at_ms is not null
    and not exists (select 1 from tile_abandoned c where c.job = j.id and c.cause = 'cancelled')
    and not exists (select 1 from job n where n.plan_id = j.plan_id and (n.planned_at_ms, n.id) > (j.planned_at_ms, j.id))
  order by j.planned_at_ms, j.id limit 100`;

/** See `PlanRun`: one for each plan that ever ran, whoever planned it. */
export async function planRuns(database: Database): Promise<PlanRun[]> {
  const [rows] = await database.batch(
    [
      {
        sql: `select plan_id, max(iif(cause = 'follow-up', 0, planned_at_ms)) as last, (select json_group_array(json_array(lower(hex(r.id)), r.home)) from job r where r.plan_id = j.plan_id and r.ended_at_ms is null) as running
          from job j group by plan_id`,
      },
    ],
    "read",
  );
  return (rows ?? []).map((row) => ({
    planId: textOf(row, "plan_id"),
    lastPlannedAtMs: numberOf(row, "last"),
    running: runningSchema.parse(JSON.parse(textOf(row, "running"))).map(([job, home]) => ({ job, home })),
  }));
}

const runningSchema = z.array(z.tuple([z.string(), z.string()]));

/** See `Ledger.isWanted`. */
export async function isWanted(database: Database, { job, tile, shard, attempt }: AssignmentKey): Promise<boolean> {
  const [rows] = await database.batch(
    [
      {
        sql: `select 1 as wanted from assignment a cross join tile t on t.job = a.job and t.n = a.tile cross join job j on j.id = a.job
          where a.job = unhex(?1) and a.tile = ?2 and a.shard = ?3 and a.attempt = ?4 and a.state = 0 and t.state = 0
            and j.ended_at_ms is null and j.paused = 0`,
        args: [job, tile, shard, attempt],
      },
    ],
    "read",
  );
  return (rows ?? []).length > 0;
}
