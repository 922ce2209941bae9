import type { Acceptance, JobControl, Reassignment, ScannerHeard, ScannerLost } from "../core/messages/record.ts";
import type { Sql } from "./database.ts";
import { REFOLD_ASSIGNMENTS } from "./project-report.ts";

/** Who has a shard now: another member, as a new attempt. The row of the shard moves; there never are two. */
export function projectReassignment(id: string, { job, tile, shard, attempt, to }: Reassignment): Sql[] {
  return [
    {
      sql: "insert into reassignment(job, tile, shard, attempt, rec, scanner) values (unhex(?1), ?2, ?3, ?4, unhex(?5), ?6) on conflict do nothing",
      args: [job, tile, shard, attempt, id, to],
    },
    { sql: `${REFOLD_ASSIGNMENTS} where job = unhex(?1) and tile = ?2 and shard = ?3`, args: [job, tile, shard] },
  ];
}

/** Only the newest of a scanner matters. */
export function projectScannerLost({ scanner, region, lastHeardMs }: ScannerLost, stampMs: number): Sql[] {
  return [
    {
      sql: `insert into scanner_lost(scanner, region, last_heard_ms, stamp_ms) values (?1, ?2, ?3, ?4)
        on conflict do update set region = excluded.region, last_heard_ms = excluded.last_heard_ms, stamp_ms = excluded.stamp_ms
        where (excluded.stamp_ms, excluded.last_heard_ms, excluded.region) > (stamp_ms, last_heard_ms, region)`,
      args: [scanner, region, lastHeardMs, stampMs],
    },
  ];
}

/** Only the newest of a scanner matters. */
export function projectScannerHeard({ scanner, region, engines, masscanVersion }: ScannerHeard, stampMs: number): Sql[] {
  return [
    {
      sql: `insert into scanner_heard(scanner, region, engines, masscan_version, stamp_ms) values (?1, ?2, ?3, ?4, ?5)
        on conflict do update set region = excluded.region, engines = excluded.engines, masscan_version = excluded.masscan_version, stamp_ms = excluded.stamp_ms
        where (excluded.stamp_ms, excluded.region, excluded.engines, excluded.masscan_version) > (stamp_ms, region, engines, masscan_version)`,
      args: [scanner, region, JSON.stringify([...engines].toSorted()), masscanVersion ?? "", stampMs],
    },
  ];
}

/** A pause or resumption; the last one in the home's log decides. */
export function projectJobControl(id: string, { job, action, by }: JobControl, { log, rseq, stampMs }: Acceptance): Sql[] {
  return [
    {
      sql: `insert into job_control(job, rec, log, rseq, stamp_ms, pauses, said_by)
        select unhex(?1), unhex(?2), n, ?4, ?5, ?6, ?7 from log where id = ?3 on conflict do nothing`,
      args: [job, id, log, rseq, stampMs, action === "pause" ? 1 : 0, by],
    },
    refoldPaused(job),
  ];
}

/** Sets whether a job is paused to what its home said last. A home that had to begin a new log goes on in it: hence the stamp first. */
export function refoldPaused(job: string): Sql {
  return {
    sql: `update job set paused = coalesce((select c.pauses from job_control c cross join log l on l.n = c.log
      where c.job = job.id and l.region = job.home order by c.stamp_ms desc, c.rseq desc, l.id limit 1), 0) where id = unhex(?1)`,
    args: [job],
  };
}
