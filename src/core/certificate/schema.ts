import { z } from "zod";
import { digestSchema, frontierSchema, logIdSchema, nameSchema, publicKeySchema, timeMsSchema } from "../messages/common.ts";
import { serviceRefSchema } from "../messages/probe.ts";
import { authorSchema, judgedSchema, statementSchema } from "../messages/record.ts";

/**
 * Where one ledger holds a record. `previous` is the chain hash of `rseq - 1` in the log, "" at `rseq` 0; null, above what was
 * held without a hole, when that record was not there.
 */
const positionSchema = z.strictObject({
  log: logIdSchema,
  rseq: z.int().nonnegative(),
  stampMs: timeMsSchema,
  judged: judgedSchema,
  previous: digestSchema.or(z.literal("")).nullable(),
  chain: digestSchema,
});

/** A record as its author signed it (payload columns left out), with every position that is known of it. */
const recordSchema = z.strictObject({
  id: digestSchema,
  statement: statementSchema,
  author: authorSchema,
  positions: z.array(positionSchema).min(1).max(256),
});
export type CertificateRecord = z.infer<typeof recordSchema>;

/** A job that covered the service and overruled every sighting of it. */
const missSchema = z.strictObject({
  job: digestSchema,
  tile: z.int().nonnegative(),
  /** The tile-complete that counts. */
  tileComplete: digestSchema,
  /** All tile-completes of that tile, this one too: none of them may be held without a release. */
  tileCompletes: z.array(digestSchema).min(1).max(64),
});

/**
 * Why the register says what it says about one service: enough for somebody who trusts the logs, and nothing else of the
 * ledger, to follow the rules to the same verdict. What it cannot show is that nothing was left out; for that it names what was
 * held (`logs`), so that any ledger that holds as much can be asked.
 */
export const certificateSchema = z.strictObject({
  version: z.literal(1),
  service: serviceRefSchema,
  verdict: z.enum(["open", "missing", "closed"]),
  /** Region of each log. */
  regions: z.record(logIdSchema, nameSchema.or(z.literal(""))),
  /** For each log, the highest `rseq` up to which every record was held. */
  held: frontierSchema,
  /** For each log that has one, the last sighting; `ownRseq` is the last one by a scanner of that log's region, -1 for none. */
  sightings: z
    .array(z.strictObject({ log: logIdSchema, rseq: z.int().nonnegative(), ownRseq: z.int().min(-1), record: digestSchema }))
    .min(1)
    .max(256),
  /** Closed: a chain that meets the last one's policy, in sequence. Missing: the misses known, at most ten. Open: none. */
  misses: z.array(missSchema).max(10),
  /** Probes that confirm the last miss. */
  confirms: z.array(digestSchema).max(512),
  /** Keys that are no longer trusted. */
  revoked: z.array(publicKeySchema).max(10_000),
  records: z.array(recordSchema).min(1).max(20_000),
});
export type Certificate = z.infer<typeof certificateSchema>;
