import { z } from "zod";
import { digestSchema, engineSchema, logIdSchema, nameSchema, timeMsSchema } from "./common.ts";
import { assignmentKeySchema, assignmentSchema } from "./job.ts";

/** Where a record stands after acceptance; a repeat gets the position it already has. */
export const receiptSchema = z.strictObject({ id: digestSchema, log: logIdSchema, rseq: z.int().nonnegative() });
export type Receipt = z.infer<typeof receiptSchema>;

/** The keeper's answer to a statement sent on `reports.<region>`. `retry` tells whether the same bytes may succeed later. */
export const submitReplySchema = z.discriminatedUnion("ok", [
  z.strictObject({ ok: z.literal(true), receipt: receiptSchema }),
  z.strictObject({ ok: z.literal(false), retry: z.boolean(), problem: z.string().max(1_000) }),
]);
export type SubmitReply = z.infer<typeof submitReplySchema>;

/** An assignment as it lies in the work queue: scanners refuse one that their region's keeper did not sign. */
export const signedAssignmentSchema = z.strictObject({ assignment: assignmentSchema, keeper: z.string(), signature: z.string() });
export type SignedAssignment = z.infer<typeof signedAssignmentSchema>;

/** Lossy, about once a second while a scanner lives, on `heartbeat.<scanner>`. */
export const heartbeatSchema = z.strictObject({
  scanner: nameSchema,
  region: nameSchema,
  version: z.string().max(40),
  engines: z.array(engineSchema),
  masscanVersion: z.string().max(40).nullable(),
  /** Why it claims nothing, with the remedy; null when it is ready. */
  notReady: z.string().max(1_000).nullable(),
  running: assignmentKeySchema.nullable(),
  spoolBytes: z.int().nonnegative(),
  sentAtMs: timeMsSchema,
});
export type Heartbeat = z.infer<typeof heartbeatSchema>;

/** Lossy, about once a second while an assignment runs, on `progress.<scanner>.<job>.<tile>.<shard>`. */
export const progressSchema = z.strictObject({
  key: assignmentKeySchema,
  scanner: nameSchema,
  phase: z.enum(["starting", "probing", "waiting", "sending"]),
  /** 0 … 100. */
  percent: z.number().min(0).max(100),
  ratePps: z.number().nonnegative(),
  found: z.int().nonnegative(),
  /** Null when masscan does not know yet. */
  remainingS: z.number().nonnegative().nullable(),
  sentAtMs: timeMsSchema,
});
export type Progress = z.infer<typeof progressSchema>;

/** Logs of one region that one message may name: the newest ones. */
export const KEPT_LOGS_MAX = 500;

/**
 * Keeper to its region's scanners on `kept.<region>`, every few seconds: what became of what was acknowledged. Numbers are the highest up to which
 * nothing is missing, -1 for none; a log that is not named is held by nobody.
 */
export const keptSchema = z.strictObject({
  /** No other region is registered: an acknowledged run is kept nowhere else, and need not be. */
  alone: z.boolean(),
  /** The log that the ledger continues. */
  log: logIdSchema,
  /** All peers have said what they hold: what nobody holds is lost, and only the scanners can bring it back. */
  certain: z.boolean(),
  logs: z.array(z.strictObject({ log: logIdSchema, here: z.int().min(-1), peers: z.int().min(-1) })).max(KEPT_LOGS_MAX),
});
export type Kept = z.infer<typeof keptSchema>;

/** Keeper to its region's scanners on `cancel.<scanner>`: stop this job's work, or that of one tile of it, and report it as partial. */
export const cancelSchema = z.strictObject({ job: digestSchema, tile: z.int().nonnegative().optional(), reason: z.string().max(300) });
export type Cancel = z.infer<typeof cancelSchema>;

/**
 * Keeper to its region's scanners, also on `cancel.<scanner>`, at each change and now and then: all that is denied. It replaces what was
 * said before. `statedAtMs` is the keeper's clock: an older list that comes later is passed over.
 */
export const deniedSchema = z.strictObject({
  denied: z
    .array(z.strictObject({ ranges: z.array(z.string().min(2).max(100)).max(65_536), ports: z.string().min(1).max(65_535).nullable() }))
    .max(10_000),
  statedAtMs: timeMsSchema,
});
export type DeniedList = z.infer<typeof deniedSchema>;
