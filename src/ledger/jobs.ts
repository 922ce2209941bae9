import { PortolanError } from "../core/errors.ts";
import { type JobSpec, jobSpecSchema } from "../core/messages/job.ts";
import { progressSchema } from "../core/messages/bus.ts";
import { type Database, numberOf, optionalTextOf, type SqlRow, type SqlValue, textOf } from "./database.ts";
import { PROGRESS_FRESH_MS } from "./live.ts";
import { limitOf, numberedCursor, page, pairCursor } from "./page.ts";
import {
  ATTEMPTS_MAX,
  type Job,
  type JobState,
  type Page,
  type ShardQuery,
  type ShardRow,
  type ShardState,
  type TileRow,
  type TileState,
} from "./types.ts";

const JOB_COLUMNS = `lower(hex(j.id)) as id, j.plan, j.scanner_group, j.home, j.cause, j.planned_at_ms, j.deadline_at_ms, j.ended_at_ms,
  j.tiles, j.tiles_complete, j.tiles_abandoned, j.pairs,
  j.paused, coalesce((select b.why from job_blocked b where j.ended_at_ms is null and b.id = j.id),
    (select a.cause || ': ' || a.detail from tile_abandoned a where a.job = j.id order by a.rec limit 1)) as why`;

/** See `LedgerReader.listJobs`. */
export async function listJobs(
  database: Database,
  query: { limit?: number; cursor?: string; plan?: string; state?: JobState },
): Promise<Page<Job>> {
  const limit = limitOf(query.limit);
  const args: SqlValue[] = [];
  const bind = (value: SqlValue): string => `?${args.push(value)}`;
  const where = ["true"];
  if (query.plan !== undefined) where.push(`j.plan = ${bind(query.plan)}`);
  if (query.state !== undefined) where.push(STATE_CONDITIONS[query.state]);
  if (query.cursor !== undefined) {
    const [plannedAtMs, id] = pairCursor(query.cursor);
    where.push(`(j.planned_at_ms, j.id) < (${bind(plannedAtMs)}, unhex(${bind(id)}))`);
  }
  const sql = `select ${JOB_COLUMNS} from job j where ${where.join(" and ")} order by j.planned_at_ms desc, j.id desc limit ${bind(limit + 1)}`;
  const [rows] = await database.batch([{ sql, args }], "read");
  return page((rows ?? []).map(jobOf), limit, (last) => `${last.plannedAtMs}.${last.id}`);
}

const STATE_CONDITIONS: Readonly<Record<JobState, string>> = {
  running: "j.ended_at_ms is null",
  complete: "j.ended_at_ms is not null and j.tiles_complete = j.tiles",
  incomplete: "j.ended_at_ms is not null and j.tiles_complete < j.tiles",
};

/** See `LedgerReader.job`. */
export async function job(database: Database, id: string): Promise<Job | null> {
  const [rows] = await database.batch([{ sql: `select ${JOB_COLUMNS} from job j where j.id = unhex(?1)`, args: [id] }], "read");
  const [row] = rows ?? [];
  return row === undefined ? null : jobOf(row);
}

/** See `LedgerReader.jobSpec`. */
export async function jobSpec(database: Database, id: string): Promise<JobSpec | null> {
  const [rows] = await database.batch(
    [{ sql: "select body from record where id = unhex(?1) and kind = 'job' limit 1", args: [id] }],
    "read",
  );
  const [row] = rows ?? [];
  return row === undefined ? null : jobSpecSchema.parse(JSON.parse(textOf(row, "body")));
}

/** See `LedgerReader.listTiles`: in the order of their numbers. */
export async function listTiles(database: Database, query: { job: string; limit?: number; cursor?: string }): Promise<Page<TileRow>> {
  const limit = limitOf(query.limit);
  const after = query.cursor === undefined ? -1 : numberedCursor(query.cursor);
  const [rows] = await database.batch(
    [
      {
        sql: `select t.n, t.state, t.shards, t.shards_left, t.pairs, t.engine,
            (select min(c.held) from tile_complete c where c.job = t.job and c.tile = t.n and c.done = 5) as held
          from tile t where t.job = unhex(?1) and t.n > ?2 order by t.n limit ?3`,
        args: [query.job, after, limit + 1],
      },
    ],
    "read",
  );
  return page((rows ?? []).map(tileOf), limit, (last) => String(last.tile));
}

/** See `LedgerReader.listShards`: ordered by tile and shard. */
export async function listShards(database: Database, query: ShardQuery): Promise<Page<ShardRow>> {
  const limit = limitOf(query.limit);
  const [tile, shard] = query.cursor === undefined ? [-1, "0"] : pairCursor(query.cursor);
  const only = `${query.tile === undefined ? "" : "and a.tile = ?6"} ${query.state === undefined ? "" : SHARD_CONDITIONS[query.state]}`;
  const args = [query.job, tile, Number(shard), limit + 1, query.nowMs - PROGRESS_FRESH_MS];
  const [rows] = await database.batch(
    [
      {
        sql: `select a.tile, a.shard, a.scanner, a.attempt, a.state, a.problem, t.state as tile_state,
            iif(a.state = 1, (select r.sightings from report r where r.job = a.job and r.tile = a.tile and r.shard = a.shard and r.complete = 1 and r.void = 0
              order by r.id limit 1), null) as sightings, p.body as live,
            coalesce((select m.region from job_member m where m.job = a.job and m.scanner = a.scanner), '') as region
          from assignment a cross join tile t on t.job = a.job and t.n = a.tile
            left join progress p on p.job = a.job and p.tile = a.tile and p.shard = a.shard and p.attempt = a.attempt and p.at_ms > ?5
          where a.job = unhex(?1) and (a.tile, a.shard) > (?2, ?3) ${only} order by a.tile, a.shard limit ?4`,
        args: query.tile === undefined ? args : [...args, query.tile],
      },
    ],
    "read",
  );
  return page((rows ?? []).map(shardOf), limit, (last) => `${last.tile}.${last.shard}`);
}

/** As `shardStateOf` tells them apart. */
const SHARD_CONDITIONS: Readonly<Record<ShardState, string>> = {
  complete: "and a.state = 1",
  abandoned: "and a.state = 0 and t.state = 2",
  running: "and a.state = 0 and t.state <> 2 and p.body is not null",
  partial: `and a.state = 0 and t.state <> 2 and p.body is null and a.attempt > ${ATTEMPTS_MAX}`,
  waiting: `and a.state = 0 and t.state <> 2 and p.body is null and a.attempt <= ${ATTEMPTS_MAX}`,
};

function jobOf(row: SqlRow): Job {
  const total = numberOf(row, "tiles");
  const complete = numberOf(row, "tiles_complete");
  const endedAtMs = row["ended_at_ms"] === null ? null : numberOf(row, "ended_at_ms");
  const state: JobState = endedAtMs === null ? "running" : complete === total ? "complete" : "incomplete";
  return {
    id: textOf(row, "id"),
    plan: textOf(row, "plan"),
    group: textOf(row, "scanner_group"),
    home: textOf(row, "home"),
    cause: jobSpecSchema.shape.cause.parse(textOf(row, "cause")),
    state,
    paused: numberOf(row, "paused") === 1,
    why: optionalTextOf(row, "why"),
    plannedAtMs: numberOf(row, "planned_at_ms"),
    deadlineAtMs: numberOf(row, "deadline_at_ms"),
    endedAtMs,
    tiles: { total, complete, abandoned: numberOf(row, "tiles_abandoned") },
    pairs: numberOf(row, "pairs"),
  };
}

const TILE_STATES: readonly TileState[] = ["open", "complete", "abandoned"];

function tileStateOf(number: number): TileState {
  const state = TILE_STATES[number];
  if (state === undefined) throw new PortolanError("internal", `the ledger has a tile in the unknown state ${number}`);
  return state;
}

function tileOf(row: SqlRow): TileRow {
  const shards = numberOf(row, "shards");
  return {
    tile: numberOf(row, "n"),
    state: tileStateOf(numberOf(row, "state")),
    shards,
    shardsComplete: shards - numberOf(row, "shards_left"),
    pairs: numberOf(row, "pairs"),
    engine: textOf(row, "engine") === "connect" ? "connect" : "masscan",
    held: optionalTextOf(row, "held"),
  };
}

function shardOf(row: SqlRow): ShardRow {
  const text = optionalTextOf(row, "live");
  const live = text === null ? null : progressSchema.parse(JSON.parse(text));
  const attempt = numberOf(row, "attempt");
  const complete = numberOf(row, "state") === 1;
  return {
    tile: numberOf(row, "tile"),
    shard: numberOf(row, "shard"),
    scanner: textOf(row, "scanner"),
    region: textOf(row, "region"),
    attempt: Math.min(attempt, ATTEMPTS_MAX),
    state: shardStateOf({
      complete,
      tile: tileStateOf(numberOf(row, "tile_state")),
      running: live !== null,
      exhausted: attempt > ATTEMPTS_MAX,
    }),
    percent: complete ? 100 : (live?.percent ?? null),
    ratePps: live?.ratePps ?? null,
    found: row["sightings"] === null ? (live?.found ?? null) : numberOf(row, "sightings"),
    remainingS: live?.remainingS ?? null,
    problem: optionalTextOf(row, "problem"),
  };
}

function shardStateOf({
  complete,
  tile,
  running,
  exhausted,
}: {
  complete: boolean;
  tile: TileState;
  running: boolean;
  exhausted: boolean;
}): ShardState {
  if (complete) return "complete";
  if (tile === "abandoned") return "abandoned";
  if (running) return "running";
  return exhausted ? "partial" : "waiting";
}
