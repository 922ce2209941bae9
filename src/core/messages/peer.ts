import { z } from "zod";
import { digestSchema, frontierSchema, logIdSchema, nameSchema, timeMsSchema } from "./common.ts";

/** Logs that one ledger may name: one for each creation, restore or loss of a ledger of any region. */
const LOGS_MAX = 10_000;

/** What one keeper asks another on `repair.<region>`. Any region answers about any log that it holds. */
export const repairRequestSchema = z.discriminatedUnion("kind", [
  /** Which logs are held, and what the register says: answered by `standsReplySchema`. */
  z.strictObject({ kind: z.literal("stands") }),
  /** Records from number `from` on without a hole between them: answered by `packRecords`, about 4 MB at most, empty when the first one is not held. */
  z.strictObject({
    kind: z.literal("get"),
    log: logIdSchema,
    from: z.int().nonnegative(),
    limit: z.int().min(1).max(256),
  }),
  /** Chain hash of one record: answered by `chainReplySchema`. */
  z.strictObject({ kind: z.literal("chain"), log: logIdSchema, rseq: z.int().nonnegative() }),
]);
export type RepairRequest = z.infer<typeof repairRequestSchema>;

/** See `LogStand` of the ledger. */
const logStandSchema = z.strictObject({
  log: logIdSchema,
  region: nameSchema.or(z.literal("")),
  own: z.boolean(),
  prefix: z.int().min(-1),
  highest: z.int().min(-1),
  chain: digestSchema.or(z.literal("")),
});

/** `hash` is the state hash at `frontier`; null while something is put off (`settled` is false then). */
export const standsReplySchema = z.strictObject({
  stands: z.array(logStandSchema).max(LOGS_MAX),
  settled: z.boolean(),
  hash: digestSchema.nullable(),
  frontier: frontierSchema,
  /** The answering keeper's clock. */
  nowMs: timeMsSchema,
});
export type StandsReply = z.infer<typeof standsReplySchema>;

/** Null when the record is not held. */
export const chainReplySchema = z.strictObject({ chain: digestSchema.nullable() });
export type ChainReply = z.infer<typeof chainReplySchema>;
