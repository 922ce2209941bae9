import { canonicalJson } from "../core/canonical.ts";
import type { JobSpec } from "../core/messages/job.ts";
import type { Sha256Hex } from "../core/statement.ts";
import type { Sql } from "./database.ts";

/** Tells the ledger, before the tiles of a job are cut, which other jobs are cut alike. Repeatable. */
export function projectLayout(id: string, spec: JobSpec, sha256: Sha256Hex): Sql[] {
  const shape = canonicalJson({ blocks: spec.blocks.map(({ ranges, ports }) => ({ ranges, ports })), tiling: spec.tiling });
  const layout = sha256(`portolan/layout/1\n${shape}`);
  return [
    { sql: "insert into layout(id) values (unhex(?1)) on conflict do nothing", args: [layout] },
    {
      sql: "insert into job_layout(job, layout) select unhex(?1), n from layout where id = unhex(?2) on conflict do nothing",
      args: [id, layout],
    },
  ];
}
