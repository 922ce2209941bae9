import type { Sql } from "./database.ts";

/** First statement of every keeper transaction: undone as a whole when another keeper has taken the lease. */
export function claimLease(epoch: number, stampMs: number): Sql {
  return { sql: "update keeper set claim = ?1, stamp_ms = max(stamp_ms, ?2) where id = 1", args: [epoch, stampMs] };
}

/** Whether a write was refused because another keeper has the lease: the error itself, or what it was caused by. */
export function isLeaseLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return error.message.includes("portolan: the keeper lease was taken over") || isLeaseLost(error.cause);
}

// A log's prefix moves to the first rseq above it that has no successor.
const PREFIX = `update log set prefix = (select r.rseq from record r where r.log = log.n and r.rseq > log.prefix
    and not exists (select 1 from record q where q.log = r.log and q.rseq = r.rseq + 1) order by r.rseq limit 1)
  where exists (select 1 from record r where r.log = log.n and r.rseq = log.prefix + 1)`;

// The frontier gate: a tile counts when its job, every report that it names with all parts, and every record at or below
// the job's frontier are here, and the brake does not hold the tile (done = 5). It names exactly the shards 1 … n ("shards" is 0
// otherwise). The partial index needs "done < 3" literally.
const READY = `update tile_complete set done = 1 where done < 3 and done = 0
  and not exists (select 1 from tile_complete h where h.job = tile_complete.job and h.tile = tile_complete.tile and h.done = 5)
  and exists (select 1 from tile t where t.job = tile_complete.job and t.n = tile_complete.tile and t.shards = tile_complete.shards)
  and not exists (select 1 from frontier f cross join log l on l.n = f.log where f.rec = tile_complete.job and f.upto > l.prefix)
  and not exists (select 1 from tile_need n where n.tc = tile_complete.id and not exists (select 1 from report r
    where r.id = n.report and r.job = tile_complete.job and r.tile = tile_complete.tile and r.shard = n.shard and r.complete = 1 and r.void = 0))
  and not exists (select 1 from tile_need n cross join report_part p on p.report = n.report
    where n.tc = tile_complete.id and not exists (select 1 from record k where k.id = p.part and k.kind = 'part'))`;

// A probe may confirm when every record at or below its order's frontier is here.
const RIPE = `update probe set done = 1 where done < 3 and done = 0
  and not exists (select 1 from frontier f cross join log l on l.n = f.log where f.rec = probe.id and f.upto > l.prefix)`;

/** Last statements of every transaction that brings records or tiles, in this order. */
export const SETTLE: readonly Sql[] = [{ sql: PREFIX }, { sql: READY }, { sql: RIPE }];
