import { z } from "zod";
import { containsAddress } from "../../core/range.ts";
import { parseAddress } from "../../core/address.ts";
import { reportSchema, type Report } from "../../core/messages/report.ts";
import { tilesOf } from "../../core/tile.ts";
import { PortolanError } from "../../core/errors.ts";
import { jobSpec } from "../../ledger/jobs.ts";
import { httpDatabase } from "../../ledger/database.ts";
import type { JobSpec } from "../../core/messages/job.ts";
import type { LabPair } from "../lab/truth.ts";

/** Reads records as they were accepted; the API shows what follows from them. */
export type Records = {
  readonly jobSpec: (job: string) => Promise<JobSpec>;
  /** Reports about one shard, in the order of their acceptance. */
  readonly reports: (key: { readonly job: string; readonly tile: number; readonly shard: number }) => Promise<Report[]>;
  /** The parts (bundles of sightings) that this region itself accepted, and when. */
  readonly acceptedParts: () => Promise<AcceptedPart[]>;
  readonly close: () => void;
};

export type AcceptedPart = { readonly record: string; readonly region: string; readonly stampMs: number };

const partRowSchema = z.object({ record: z.string(), region: z.string(), stampMs: z.number() });

/** Opens the ledger of a region for reading. */
export function openRecords(ledgerUrl: string): Records {
  const database = httpDatabase({ url: ledgerUrl });
  return {
    jobSpec: async (job) => {
      const spec = await jobSpec(database, job);
      if (spec === null) throw new PortolanError("not-found", `the ledger has no job ${job}`);
      return spec;
    },
    reports: async ({ job, tile, shard }) => {
      const sql = `select body from record where kind = 'report' and body->>'$.key.job' = ?1 and body->>'$.key.tile' = ?2
        and body->>'$.key.shard' = ?3 order by log, rseq limit 100`;
      const [rows] = await database.batch([{ sql, args: [job, tile, shard] }], "read");
      return (rows ?? []).map((row) => reportSchema.parse(JSON.parse(z.string().parse(row["body"]))));
    },
    acceptedParts: async () => {
      const sql = `select lower(hex(r.id)) as record, l.region, r.stamp_ms as stampMs from log l cross join record r on r.log = l.n
        where l.own = 1 and r.kind = 'part' limit 100000`;
      const [rows] = await database.batch([{ sql, args: [] }], "read");
      return (rows ?? []).map((row) => partRowSchema.parse(row));
    },
    close: () => database.close(),
  };
}

/** Which tile of a job holds a pair's address; null when none does. */
export function tileFinder(spec: JobSpec): (pair: LabPair) => number | null {
  const tiles = tilesOf(spec);
  return (pair) => tiles.find((tile) => containsAddress(tile.ranges, parseAddress(pair.address)))?.index ?? null;
}
