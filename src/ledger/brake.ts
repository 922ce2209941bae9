import type { BrakeCount } from "../core/verdict/brake.ts";
import { type Database, numberOf, type SqlRow, textOf } from "./database.ts";
import { HAS_PORT, OVERRULED } from "./deferred-tile.ts";
import type { HeldTile, WouldMiss } from "./keeper-types.ts";

const HELD_MAX = 1_000;

/** What a tile would miss, with the conditions of its closing pass; exported for the test of its plan. */
export const WOULD_MISS = `select count(*) filter (where state = 0) as open, count(*) filter (where state = 0 and overruled) as missed,
    count(*) filter (where overruled) as overruled from (
  select s.state, (${OVERRULED}) as overruled
  from tile t cross join range_set a on a.id = t.range_set cross join service s on s.ip >= a.lo and s.ip <= a.hi
  where t.job = unhex(?1) and t.n = ?2 and s.state < 2 and ${HAS_PORT})`;

/** See `KeeperQueries.wouldMiss`. */
export async function wouldMiss(
  database: Database,
  { job, tile }: { job: string; tile: number },
): Promise<{ tile: WouldMiss; jobSoFar: BrakeCount }> {
  const [rows, before] = await database.batch(
    [
      { sql: WOULD_MISS, args: [job, tile] },
      {
        sql: "select coalesce(sum(open), 0) as open, coalesce(sum(missed), 0) as missed from tile_look where job = unhex(?1) and tile <> ?2",
        args: [job, tile],
      },
    ],
    "read",
  );
  const own = lookOf(rows?.[0]);
  return {
    tile: own,
    jobSoFar: { open: own.open + numberOf(before?.[0], "open"), missed: own.missed + numberOf(before?.[0], "missed") },
  };
}

/** See `KeeperQueries.shardFinds`. */
export async function shardFinds(
  database: Database,
  { job, tile }: { job: string; tile: number },
): Promise<{ shard: number; found: number }[]> {
  const [rows] = await database.batch(
    [
      {
        // Beside a bare min(), SQLite takes the other columns from the same row.
        sql: `select shard, sightings as found, min(id) from report r
          where r.job = unhex(?1) and r.tile = ?2 and r.complete = 1 and r.void = 0
            and not exists (select 1 from report_part p where p.report = r.id and not exists (select 1 from record k where k.id = p.part and k.kind = 'part'))
          group by shard order by shard`,
        args: [job, tile],
      },
    ],
    "read",
  );
  return (rows ?? []).map((row) => ({ shard: numberOf(row, "shard"), found: numberOf(row, "found") }));
}

/** See `KeeperQueries.heldTiles`. */
export async function heldTiles(database: Database, { home, job }: { home?: string; job?: string } = {}): Promise<HeldTile[]> {
  const [rows] = await database.batch([{ sql: HELD, args: [HELD_MAX, home ?? null, job ?? null] }], "read");
  return (rows ?? []).map((row) => ({
    job: textOf(row, "job"),
    plan: textOf(row, "plan"),
    planId: textOf(row, "plan_id"),
    home: textOf(row, "home"),
    tile: numberOf(row, "tile"),
    tileComplete: textOf(row, "id"),
    reason: textOf(row, "held"),
    heldAtMs: numberOf(row, "held_at_ms"),
    look: row["open"] === null ? null : lookOf(row),
    next: row["next"] === null ? null : textOf(row, "next"),
  }));
}

// The next job agrees or not on the same pairs only: a tile with the same addresses and ports, planned with the held one known.
const HELD = `select lower(hex(c.id)) as id, lower(hex(c.job)) as job, c.tile, c.held, j.plan, j.plan_id, j.home, k.open, k.missed, k.overruled,
    (select min(r.stamp_ms) from record r where r.id = c.id) as held_at_ms,
    (select lower(hex(d.id)) from job n indexed by job_plan cross join tile u on u.job = n.id and u.n = c.tile and u.range_set = t.range_set and u.port_set = t.port_set
        cross join tile_complete d on d.job = n.id and d.tile = u.n
      where n.plan_id = j.plan_id and n.planned_at_ms >= j.planned_at_ms and n.id <> j.id and exists (
        select 1 from record r cross join frontier f on f.rec = n.id and f.log = r.log where r.id = c.id and r.rseq <= f.upto)
      order by n.planned_at_ms, d.id limit 1) as next
  from tile_complete c indexed by tile_complete_held cross join job j on j.id = c.job cross join tile t on t.job = c.job and t.n = c.tile
    left join tile_look k on k.job = c.job and k.tile = c.tile
  where c.done = 5 and j.home = coalesce(?2, j.home) and (?3 is null or c.job = unhex(?3)) order by held_at_ms, c.id limit ?1`;

function lookOf(row: SqlRow | undefined): WouldMiss {
  return { open: numberOf(row, "open"), missed: numberOf(row, "missed"), overruled: numberOf(row, "overruled") };
}
