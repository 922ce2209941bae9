import { z } from "zod";
import { assignmentKeySchema } from "./job.ts";
import { digestSchema, nameSchema, runIdSchema, seedSchema, timeMsSchema } from "./common.ts";

/** Sightings of one run, at most `SIGHTINGS_PER_PART_MAX`; the columns travel as the statement's payload. */
export const partSchema = z.strictObject({
  version: z.literal(1),
  key: assignmentKeySchema,
  scanner: nameSchema,
  runId: runIdSchema,
  /** Counts from 0 within the run. */
  index: z.int().nonnegative(),
  sightings: z.int().positive(),
  payloadSha256: digestSchema,
  payloadBytes: z.int().positive(),
});
export type Part = z.infer<typeof partSchema>;

export const SIGHTINGS_PER_PART_MAX = 20_000;
export const PAYLOAD_BYTES_MAX = 512 * 1024;

/** Answers of the configured canaries to one round of checks. */
const canaryRoundSchema = z.strictObject({ asked: z.int().nonnegative(), answered: z.int().nonnegative() });

/** Both rounds of one look: whether the scanner could hear answers when it began and when it ended. */
export const canaryEvidenceSchema = z.strictObject({ canariesBefore: canaryRoundSchema, canariesAfter: canaryRoundSchema });
export type CanaryEvidence = z.infer<typeof canaryEvidenceSchema>;

/** What masscan itself said it would do (`--echo`): has to equal the assignment. */
export const effectiveSchema = z.strictObject({
  seed: seedSchema,
  rateLimitPps: z.number().nonnegative(),
  shard: z.int().positive(),
  shardCount: z.int().positive(),
  retries: z.int().nonnegative(),
  /** Canonical ports text. */
  ports: z.string(),
  /** SHA-256 of the canonical ranges, one per line. */
  rangesSha256: digestSchema,
  version: z.string().max(40),
});
export type Effective = z.infer<typeof effectiveSchema>;

/** Facts about one masscan run from which every reader can decide for itself whether it was complete. */
export const masscanEvidenceSchema = z.strictObject({
  engine: z.literal("masscan"),
  exitCode: z.int().nullable(),
  signal: z.string().max(20).nullable(),
  /** Whether the daemon itself sent a signal, for whatever reason. */
  signalSent: z.boolean(),
  reachedWaiting: z.boolean(),
  savedResume: z.boolean(),
  /** stderr lines with CONF:, ERROR: or FAIL:, first ones only. */
  errorLines: z.array(z.string().max(500)).max(20),
  stdoutEnded: z.boolean(),
  lastLineWhole: z.boolean(),
  linesRefused: z.int().nonnegative(),
  /** The first of them, and why it was refused; for people. */
  firstRefused: z.string().max(400).nullable(),
  waitedS: z.number().nonnegative(),
  pokes: z.int().nonnegative(),
  effective: effectiveSchema.nullable(),
  offloadsOn: z.array(z.string().max(60)).max(16),
  interfaceDrops: z.int().nonnegative(),
  canariesBefore: canaryRoundSchema,
  canariesAfter: canaryRoundSchema,
});
export type MasscanEvidence = z.infer<typeof masscanEvidenceSchema>;

/** Facts about one run of the connect engine: every pair of the shard has to have one of three answers. */
export const connectEvidenceSchema = z.strictObject({
  engine: z.literal("connect"),
  rangesSha256: digestSchema,
  ports: z.string(),
  shard: z.int().positive(),
  shardCount: z.int().positive(),
  pairs: z.int().nonnegative(),
  open: z.int().nonnegative(),
  closed: z.int().nonnegative(),
  filtered: z.int().nonnegative(),
  /** Local errors (no route, out of descriptors …): such a pair was not probed. */
  errors: z.int().nonnegative(),
  errorText: z.string().max(500).nullable(),
  /** Whether the prober ended by itself after its last pair. */
  ended: z.boolean(),
  canariesBefore: canaryRoundSchema,
  canariesAfter: canaryRoundSchema,
});
export type ConnectEvidence = z.infer<typeof connectEvidenceSchema>;

export const evidenceSchema = z.discriminatedUnion("engine", [masscanEvidenceSchema, connectEvidenceSchema]);
export type Evidence = z.infer<typeof evidenceSchema>;

/** What a finished run is entitled to say. */
export const outcomeSchema = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("complete") }),
  z.strictObject({ kind: z.literal("partial"), reasons: z.array(z.string().max(300)).min(1).max(20) }),
]);
export type Outcome = z.infer<typeof outcomeSchema>;

/** Signed, immutable statement of one scanner about one assignment. */
export const reportSchema = z.strictObject({
  version: z.literal(1),
  key: assignmentKeySchema,
  scanner: nameSchema,
  runId: runIdSchema,
  outcome: outcomeSchema,
  /** Null when the scanner died before it could know (a restart reports what the spool holds). */
  evidence: evidenceSchema.nullable(),
  /** Record ids of all parts, in the order of their index. */
  parts: z.array(z.strictObject({ id: digestSchema, sightings: z.int().positive() })).max(100_000),
  sightings: z.int().nonnegative(),
  probesSent: z.int().nonnegative(),
  startedAtMs: timeMsSchema,
  endedAtMs: timeMsSchema,
});
export type Report = z.infer<typeof reportSchema>;
