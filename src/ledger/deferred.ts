import { jobSpecSchema } from "../core/messages/job.ts";
import type { Sha256Hex } from "../core/statement.ts";
import { type Database, numberOf, type Sql, textOf } from "./database.ts";
import { lookAgain, RELOOK_DUE } from "./deferred-relook.ts";
import { REVOKE_DUE, takeBackKey } from "./deferred-revoke.ts";
import { passTile, TILE_DUE } from "./deferred-tile.ts";
import { cutTiles } from "./project-job.ts";
import { claimLease, SETTLE } from "./settle.ts";
import { passSilent, SILENT_DUE } from "./vantage.ts";

/** Window (of services) and lease of one step of deferred work. */
export type DeferredContext = { readonly epoch: number; readonly sha256: Sha256Hex; readonly window?: number };

const JOB_DUE: Sql = {
  sql: `select lower(hex(j.id)) as id, j.tiles_made, r.body from job j cross join record r on r.id = j.id
    where j.tiles_made < j.tiles order by j.planned_at_ms limit 1`,
};

const PROBE_DUE: Sql = { sql: "select lower(hex(id)) as id, done from probe where done < 3 and done > 0 order by done desc, id limit 1" };

/**
 * Does one window of what was put off so that no transaction is long: tiles of big jobs, closing passes, confirms, and the
 * taking back of what counted. Where it stands is committed with the window, so any keeper resumes it. Returns whether it
 * found something to do. Exact whatever comes in between: a new sighting lies above every frontier that counts already.
 */
export async function runDeferred(database: Database, context: DeferredContext): Promise<boolean> {
  const due = await database.batch([JOB_DUE, REVOKE_DUE, TILE_DUE, PROBE_DUE, RELOOK_DUE, SILENT_DUE], "read");
  const [job, revoke, tile, probe, relook, silent] = due.map((rows) => rows[0]);
  if (job !== undefined) {
    const spec = jobSpecSchema.parse(JSON.parse(textOf(job, "body")));
    const tiles = cutTiles(textOf(job, "id"), spec, numberOf(job, "tiles_made"), context.sha256);
    await database.batch([claimLease(context.epoch, 0), ...tiles, ...SETTLE], "write");
    return true;
  }
  if (revoke !== undefined) await takeBackKey(database, revoke, context.epoch);
  else if (tile !== undefined) await passTile(database, tile, context);
  else if (probe !== undefined) {
    const step = numberOf(probe, "done") === 1 ? applyProbe(textOf(probe, "id")) : takeBackProbe(textOf(probe, "id"));
    await database.batch([claimLease(context.epoch, 0), ...step], "write");
  } else if (relook !== undefined) await lookAgain(database, relook, context.epoch);
  else if (silent !== undefined) await passSilent(database, silent, context);
  else return false;
  return true;
}

/** Confirms of a ripe probe: negative answers whose frontier overrules every sighting. What is not overruled now never will be. */
export const CONFIRM = `insert into confirm(ip, port, proto, probe) select distinct s.ip, s.port, s.proto, p.probe
  from probe q cross join probe_result p on p.probe = q.id cross join service s on s.ip = p.ip and s.port = p.port and s.proto = p.proto
  where q.id = unhex(?1) and q.done = 1 and p.answer in (1, 2)
    and not exists (select 1 from sighting g where g.ip = s.ip and g.port = s.port and g.proto = s.proto
      and g.last_rseq > coalesce((select f.upto from frontier f where f.rec = q.id and f.log = g.log), -1))
  on conflict do nothing`;

function applyProbe(id: string): Sql[] {
  return [
    { sql: CONFIRM, args: [id] },
    { sql: "update probe set done = 3 where id = unhex(?1) and done = 1", args: [id] },
  ];
}

function takeBackProbe(id: string): Sql[] {
  return [
    {
      sql: `delete from confirm where probe = unhex(?1) and (ip, port, proto) in (select ip, port, proto from probe_result where probe = unhex(?1))`,
      args: [id],
    },
    { sql: "update probe set done = 4 where id = unhex(?1) and done = 2", args: [id] },
  ];
}
