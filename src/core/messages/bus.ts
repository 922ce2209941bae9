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

/** Keeper to its region's scanners on `cancel.<scanner>`: stop this job's work, report it as partial. */
export const cancelSchema = z.strictObject({ job: digestSchema, reason: z.string().max(300) });
export type Cancel = z.infer<typeof cancelSchema>;
