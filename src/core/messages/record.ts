import { z } from "zod";
import { digestSchema, engineSchema, logIdSchema, nameSchema, publicKeySchema, timeMsSchema } from "./common.ts";
import { jobSpecSchema } from "./job.ts";
import { probeSchema } from "./probe.ts";
import { partSchema, reportSchema } from "./report.ts";

/** Ranges of one deny at most. */
export const DENY_RANGES_MAX = 1_000;

/** The home keeper's closing record of a tile: one complete report for each of its shards. Only this gives coverage. */
export const tileCompleteSchema = z.strictObject({
  version: z.literal(1),
  job: digestSchema,
  tile: z.int().nonnegative(),
  reports: z
    .array(z.strictObject({ shard: z.int().positive(), id: digestSchema }))
    .min(1)
    .max(1_000),
  /** Why the brake holds the tile; null when it counts at once. */
  held: z.string().max(300).nullable(),
});
export type TileComplete = z.infer<typeof tileCompleteSchema>;

/** Ends open tiles of a job without coverage: cancelled, past the deadline, or newly excluded. */
export const tileAbandonedSchema = z.strictObject({
  version: z.literal(1),
  job: digestSchema,
  /** Inclusive runs of tile numbers. */
  tiles: z
    .array(z.strictObject({ first: z.int().nonnegative(), last: z.int().nonnegative() }))
    .min(1)
    .max(10_000),
  cause: z.enum(["cancelled", "deadline", "excluded", "denied"]),
  detail: z.string().max(300),
});
export type TileAbandoned = z.infer<typeof tileAbandonedSchema>;

/** Sightings without a job: they open, they never close. The columns travel as the statement's payload. */
export const uploadSchema = z.strictObject({
  version: z.literal(1),
  source: z.string().max(200),
  sightings: z.int().positive(),
  payloadSha256: digestSchema,
  payloadBytes: z.int().positive(),
});
export type Upload = z.infer<typeof uploadSchema>;

/** Lets a held tile-complete count: said by an operator, or by the home keeper when the plan's next job agrees. */
export const releaseSchema = z.strictObject({
  version: z.literal(1),
  job: digestSchema,
  tile: z.int().nonnegative(),
  /** Record id of the held tile-complete. */
  tileComplete: digestSchema,
  cause: z.enum(["operator", "next-job"]),
  /** Who released it, for people. */
  by: z.string().max(200),
  /** The tile-complete of the next job that agrees; null for an operator. */
  agreeing: digestSchema.nullable(),
});
export type Release = z.infer<typeof releaseSchema>;

/** A region's keeper has not heard its scanner for too long: other members may run its shards. */
export const scannerLostSchema = z.strictObject({
  version: z.literal(1),
  scanner: nameSchema,
  region: nameSchema,
  /** 0 when it was never heard. */
  lastHeardMs: timeMsSchema,
});
export type ScannerLost = z.infer<typeof scannerLostSchema>;

/**
 * What a scanner can run, said by its region's keeper for the others, who do not hear its heartbeats: when that changes, and when the
 * scanner is heard again after it was lost.
 */
export const scannerHeardSchema = z.strictObject({
  version: z.literal(1),
  scanner: nameSchema,
  region: nameSchema,
  engines: z.array(engineSchema).max(2),
  masscanVersion: z.string().max(60).nullable(),
  /** When it was heard: being heard a second time is another record. */
  atMs: timeMsSchema,
});
export type ScannerHeard = z.infer<typeof scannerHeardSchema>;

/** The home keeper gives one shard to another member, as a new attempt. What the first one still reports is true nevertheless. */
export const reassignmentSchema = z.strictObject({
  version: z.literal(1),
  job: digestSchema,
  tile: z.int().nonnegative(),
  shard: z.int().positive(),
  /** The new attempt. */
  attempt: z.int().positive(),
  from: nameSchema,
  to: nameSchema,
});
export type Reassignment = z.infer<typeof reassignmentSchema>;

/** A key is no longer trusted, from its beginning on: its reports cover nothing, its probes confirm nothing. Its sightings stand. */
export const revokeSchema = z.strictObject({
  version: z.literal(1),
  scanner: nameSchema,
  publicKey: publicKeySchema,
  reason: z.string().max(300),
});
export type Revoke = z.infer<typeof revokeSchema>;

/** The home keeper stops or goes on giving out the shards of a job; the last one in the home's log wins. */
export const jobControlSchema = z.strictObject({
  version: z.literal(1),
  job: digestSchema,
  action: z.enum(["pause", "resume"]),
  /** Who asked for it, for people. */
  by: z.string().max(200),
  /** When it was asked for: pausing a second time is another record. */
  atMs: timeMsSchema,
});
export type JobControl = z.infer<typeof jobControlSchema>;

/**
 * Emergency: from now on nobody probes these addresses, or these ports of them, whatever the registry says. Any region says it, so it also
 * works while the registry is away. Ends by the clock (`expiresAtMs`, exclusive) or by a `deny-lift`.
 */
export const denySchema = z.strictObject({
  version: z.literal(1),
  /** Canonical and normalised (see `rangesText`). */
  ranges: z.array(z.string().min(2).max(100)).min(1).max(DENY_RANGES_MAX),
  /** Canonical; null: every port of the addresses. */
  ports: z.string().min(1).max(65_535).nullable(),
  reason: z.string().max(300),
  /** Who asked for it, for people. */
  by: z.string().max(200),
  expiresAtMs: timeMsSchema.nullable(),
  /** When it was asked for: denying a second time is another record. */
  atMs: timeMsSchema,
});
export type Deny = z.infer<typeof denySchema>;

/** Ends a deny for good, whichever of the two records comes first; a new deny is another record. */
export const denyLiftSchema = z.strictObject({
  version: z.literal(1),
  /** Record id of the deny. */
  deny: digestSchema,
  reason: z.string().max(300),
  by: z.string().max(200),
  atMs: timeMsSchema,
});
export type DenyLift = z.infer<typeof denyLiftSchema>;

/** The way to an address, as somebody's traceroute printed it; for people. */
export const tracerouteSchema = z.strictObject({
  version: z.literal(1),
  /** Canonical address. */
  destination: z.string().max(45),
  region: nameSchema,
  source: z.string().max(200),
  path: z.string().max(65_536),
  /** When it was handed in, Unix seconds: the same path a second time is another record. */
  atS: z.int().nonnegative(),
});
export type TracerouteRecord = z.infer<typeof tracerouteSchema>;

/** What can be said; the record id is the hash of kind and content (see `statementId`). */
export const statementSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("job"), content: jobSpecSchema }),
  z.strictObject({ kind: z.literal("part"), content: partSchema }),
  z.strictObject({ kind: z.literal("report"), content: reportSchema }),
  z.strictObject({ kind: z.literal("tile-complete"), content: tileCompleteSchema }),
  z.strictObject({ kind: z.literal("tile-abandoned"), content: tileAbandonedSchema }),
  z.strictObject({ kind: z.literal("upload"), content: uploadSchema }),
  z.strictObject({ kind: z.literal("probe"), content: probeSchema }),
  z.strictObject({ kind: z.literal("release"), content: releaseSchema }),
  z.strictObject({ kind: z.literal("scanner-lost"), content: scannerLostSchema }),
  z.strictObject({ kind: z.literal("scanner-heard"), content: scannerHeardSchema }),
  z.strictObject({ kind: z.literal("reassignment"), content: reassignmentSchema }),
  z.strictObject({ kind: z.literal("revoke"), content: revokeSchema }),
  z.strictObject({ kind: z.literal("job-control"), content: jobControlSchema }),
  z.strictObject({ kind: z.literal("traceroute"), content: tracerouteSchema }),
  z.strictObject({ kind: z.literal("deny"), content: denySchema }),
  z.strictObject({ kind: z.literal("deny-lift"), content: denyLiftSchema }),
]);
export type Statement = z.infer<typeof statementSchema>;

/** Who says it: Ed25519 signature over the id (domain-separated, see `signedBytes`), base64url. */
export const authorSchema = z.strictObject({
  name: nameSchema,
  publicKey: publicKeySchema,
  signature: z.string().regex(/^[A-Za-z0-9_-]{86}$/),
});
export type Author = z.infer<typeof authorSchema>;

/** A statement with its author, as it travels. Payload bytes (part, upload) follow it on the wire. */
export const signedStatementSchema = z.strictObject({ statement: statementSchema, author: authorSchema });
export type SignedStatement = z.infer<typeof signedStatementSchema>;

/** What the accepting keeper found a report to be, from its evidence; null for every other kind of record. */
export const judgedSchema = z.enum(["complete", "partial"]).nullable();
export type Judged = z.infer<typeof judgedSchema>;

/** Where and when one ledger accepted a statement; `chain` links it to everything before it in the log. */
export const acceptanceSchema = z.strictObject({
  log: logIdSchema,
  rseq: z.int().nonnegative(),
  /** The accepting keeper's stamp: for people and history, never for a verdict. */
  stampMs: timeMsSchema,
  judged: judgedSchema,
  chain: digestSchema,
  /** The accepting keeper's signature over `chain`, base64url. */
  signature: z.string().regex(/^[A-Za-z0-9_-]{86}$/),
});
export type Acceptance = z.infer<typeof acceptanceSchema>;
