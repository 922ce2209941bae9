import type { TileAbandoned, TileComplete } from "../core/messages/record.ts";
import type { Report } from "../core/messages/report.ts";
import type { Sql } from "./database.ts";

const OF_SHARD = "from report r where r.job = assignment.job and r.tile = assignment.tile and r.shard = assignment.shard";
const GOOD = "r.complete = 1 and r.void = 0";

/**
 * Sets assignments to what the reports about them say, whatever order they came in: complete by any good report, else due
 * as attempt (last failed one) + 1, after a wait that doubles from 2 s. A `where` follows.
 */
export const REFOLD_ASSIGNMENTS = `update assignment set
  state = exists (select 1 ${OF_SHARD} and ${GOOD}),
  attempt = coalesce((select max(r.attempt) ${OF_SHARD} and ${GOOD}), (select max(r.attempt) + 1 ${OF_SHARD}), 1),
  retry_at_ms = coalesce((select max(r.stamp_ms) + 1000 * (1 << min(6, max(r.attempt))) ${OF_SHARD}), 0),
  problem = (select r.problem ${OF_SHARD} and not (${GOOD}) order by r.attempt desc, r.id limit 1)`;

/** A report, its parts by name, and what it does to its shard. Two reports of one run void each other's coverage. */
export function projectReport(id: string, report: Report, stampMs: number): Sql[] {
  const { key, outcome } = report;
  return [
    {
      sql: `insert into report(id, job, tile, shard, attempt, scanner, run, complete, problem, stamp_ms)
        values (unhex(?1), unhex(?2), ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) on conflict do nothing`,
      args: [
        id,
        key.job,
        key.tile,
        key.shard,
        key.attempt,
        report.scanner,
        report.runId,
        outcome.kind === "complete" ? 1 : 0,
        outcome.kind === "complete" ? null : (outcome.reasons[0] ?? null),
        stampMs,
      ],
    },
    {
      sql: "insert into report_part(report, part) select unhex(?1), unhex(value) from json_each(?2) where true on conflict do nothing",
      args: [id, JSON.stringify(report.parts.map((part) => part.id))],
    },
    {
      sql: `update report set void = 1, problem = 'two different reports have one run id'
        where run = ?1 and void = 0 and exists (select 1 from report o where o.run = ?1 and o.id <> report.id)`,
      args: [report.runId],
    },
    {
      sql: `${REFOLD_ASSIGNMENTS} where (job, tile, shard) in (select job, tile, shard from report where run = ?1)`,
      args: [report.runId],
    },
    {
      sql: `update tile_complete set done = 2, cursor = null where done in (1, 3)
        and id in (select n.tc from report r cross join tile_need n on n.report = r.id where r.run = ?1 and r.void = 1)`,
      args: [report.runId],
    },
  ];
}

/** A tile-complete with what it names. One that does not name exactly the shards 1 … n never counts. */
export function projectTileComplete(id: string, { job, tile, reports, held }: TileComplete): Sql[] {
  const named = new Set(reports.map(({ shard }) => shard));
  const whole = named.size === reports.length && Math.max(...named) === named.size;
  return [
    {
      sql: "insert into tile_complete(id, job, tile, shards, held) values (unhex(?1), unhex(?2), ?3, ?4, ?5) on conflict do nothing",
      args: [id, job, tile, whole ? named.size : 0, held],
    },
    {
      sql: "insert into tile_need(tc, shard, report) select unhex(?1), value->>0, unhex(value->>1) from json_each(?2) where true on conflict do nothing",
      args: [id, JSON.stringify(reports.map(({ shard, id: report }) => [shard, report]))],
    },
    { sql: "update tile set state = 1 where job = unhex(?1) and n = ?2 and state <> 1", args: [job, tile] },
  ];
}

/** Open tiles end; a tile that is complete stays so. */
export function projectTileAbandoned(id: string, { job, tiles, cause, detail }: TileAbandoned): Sql[] {
  const runs = JSON.stringify(tiles.map(({ first, last }) => [first, last]));
  return [
    {
      sql: `insert into tile_abandoned(job, first, last, rec, cause, detail)
        select unhex(?1), value->>0, value->>1, unhex(?2), ?3, ?4 from json_each(?5) where true on conflict do nothing`,
      args: [job, id, cause, detail, runs],
    },
    {
      sql: `update tile set state = 2 where job = unhex(?1) and state = 0
        and n in (select t.n from json_each(?2) cross join tile t on t.job = unhex(?1) and t.n >= value->>0 and t.n <= value->>1 where t.state = 0)`,
      args: [job, runs],
    },
  ];
}
