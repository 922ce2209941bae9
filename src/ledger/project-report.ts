import type { Release, TileAbandoned, TileComplete } from "../core/messages/record.ts";
import type { Report } from "../core/messages/report.ts";
import type { Sql } from "./database.ts";

/** Why nothing of a report counts whose key was revoked. */
export const REVOKED = "the key that signed it was revoked";

const OF_SHARD = "from report r where r.job = assignment.job and r.tile = assignment.tile and r.shard = assignment.shard";
const GIVEN = "from reassignment g where g.job = assignment.job and g.tile = assignment.tile and g.shard = assignment.shard";
const GOOD = "r.complete = 1 and r.void = 0";
const GIVEN_ATTEMPT = `coalesce((select max(g.attempt) ${GIVEN}), 1)`;

/**
 * Sets assignments to what the reports and reassignments about them say, whatever order they came in: complete by any good
 * report, else due as attempt (last failed one) + 1, after a wait that doubles from 2 s to 256 s, or at once as the attempt that was
 * last given to another member, if that is higher. A `where` follows.
 */
export const REFOLD_ASSIGNMENTS = `update assignment set
  scanner = coalesce((select g.scanner ${GIVEN} order by g.attempt desc, g.rec limit 1), original),
  state = exists (select 1 ${OF_SHARD} and ${GOOD}),
  attempt = coalesce((select max(r.attempt) ${OF_SHARD} and ${GOOD}), max(coalesce((select max(r.attempt) + 1 ${OF_SHARD}), 1), ${GIVEN_ATTEMPT})),
  retry_at_ms = coalesce((select iif(max(r.attempt) < ${GIVEN_ATTEMPT}, 0, max(r.stamp_ms) + 1000 * (1 << min(8, max(r.attempt)))) ${OF_SHARD}), 0),
  problem = (select r.problem ${OF_SHARD} and not (${GOOD}) order by r.attempt desc, r.id limit 1)`;

/**
 * A report, its parts by name, and what it does to its shard. It is complete when any keeper that accepted it says so. Two reports
 * of one key and run void each other's coverage.
 */
export function projectReport(id: string, report: Report, signer: string, stampMs: number): Sql[] {
  const { key, outcome } = report;
  return [
    {
      sql: `insert into report(id, job, tile, shard, attempt, scanner, signer, run, complete, void, problem, sightings, probes_sent, started_at_ms, ended_at_ms, stamp_ms)
        select unhex(?1), unhex(?2), ?3, ?4, ?5, ?6, s.n, ?7, ?8, iif(s.revoked > 0, 2, 0), iif(s.revoked > 0, '${REVOKED}', ?9), ?11, ?12, ?13, ?14, ?10
        from signer s where s.key = ?15
        on conflict do update set complete = 1, problem = iif(void = 0, null, problem) where complete = 0 and excluded.complete = 1`,
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
        report.sightings,
        report.probesSent,
        report.startedAtMs,
        report.endedAtMs,
        signer,
      ],
    },
    {
      sql: "insert into report_part(report, part) select unhex(?1), unhex(value) from json_each(?2) where true on conflict do nothing",
      args: [id, JSON.stringify(report.parts.map((part) => part.id))],
    },
    {
      // Found by its run (the plus): a signer has made all the reports of a scanner's life.
      sql: `update report set void = void | 1, problem = 'two different reports have one run id'
        where run = ?1 and void & 1 = 0 and exists (select 1 from report o where o.run = ?1 and +o.signer = report.signer and o.id <> report.id)`,
      args: [report.runId],
    },
    {
      sql: `${REFOLD_ASSIGNMENTS} where (job, tile, shard) in (select job, tile, shard from report where run = ?1)`,
      args: [report.runId],
    },
    {
      sql: `${VOID_TILES} and id in (select n.tc from report r cross join tile_need n on n.report = r.id where r.run = ?1 and r.void > 0)`,
      args: [report.runId],
    },
  ];
}

/** Tile-completes whose reports became void, and that counted or waited: never again. A condition follows. */
export const VOID_TILES = "update tile_complete set done = iif(done = 0, 4, 2), cursor = null where done in (0, 1, 3)";

/** A tile-complete with what it names. One that does not name exactly the shards 1 … n never counts. */
export function projectTileComplete(id: string, { job, tile, reports, held }: TileComplete): Sql[] {
  const named = new Set(reports.map(({ shard }) => shard));
  const whole = named.size === reports.length && Math.max(...named) === named.size;
  return [
    {
      sql: `insert into tile_complete(id, job, tile, shards, held, done)
        select unhex(?1), unhex(?2), ?3, ?4, ?5, iif(?5 is null or exists (select 1 from tile_release where tc = unhex(?1)), 0, 5) where true on conflict do nothing`,
      args: [id, job, tile, whole ? named.size : 0, held],
    },
    {
      sql: "insert into tile_need(tc, shard, report) select unhex(?1), value->>0, unhex(value->>1) from json_each(?2) where true on conflict do nothing",
      args: [id, JSON.stringify(reports.map(({ shard, id: report }) => [shard, report]))],
    },
    { sql: "update tile set state = 1 where job = unhex(?1) and n = ?2 and state <> 1", args: [job, tile] },
    // The brake holds the tile, not only this record.
    {
      sql: `update tile_complete set done = 2, cursor = null where job = unhex(?1) and tile = ?2 and done in (1, 3)
        and exists (select 1 from tile_complete h where h.job = unhex(?1) and h.tile = ?2 and h.done = 5)`,
      args: [job, tile],
    },
  ];
}

/** A held tile-complete counts from now on, or as soon as it comes. */
export function projectRelease(id: string, { job, tile, tileComplete, cause, by, agreeing }: Release): Sql[] {
  return [
    {
      sql: `insert into tile_release(tc, rec, job, tile, cause, said_by, agreeing)
        values (unhex(?1), unhex(?2), unhex(?3), ?4, ?5, ?6, unhex(?7)) on conflict do nothing`,
      args: [tileComplete, id, job, tile, cause, by, agreeing],
    },
    { sql: "update tile_complete set done = 0 where id = unhex(?1) and done = 5", args: [tileComplete] },
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
