import { z } from "zod";
import { formatAddress, parseAddress } from "../address.ts";
import { canarySchema } from "./job.ts";
import { digestSchema, engineSchema, frontierSchema, nameSchema, orderIdSchema, publicKeySchema, timeMsSchema } from "./common.ts";
import { canaryEvidenceSchema } from "./report.ts";

/** Targets of one order, results of one probe. */
const CONFIRM_TARGETS_MAX = 1_000;

/** One address has one text, so that texts can be compared. */
function isCanonical(text: string): boolean {
  try {
    return formatAddress(parseAddress(text)) === text;
  } catch {
    return false;
  }
}

/** One (address, protocol, port) in text: the address as `formatAddress` writes it. */
export const serviceRefSchema = z.strictObject({
  address: z.string().max(45).refine(isCanonical, "an address in its shortest text"),
  protocol: z.enum(["tcp", "udp", "sctp"]),
  port: z.int().min(0).max(65_535),
});
export type ServiceRef = z.infer<typeof serviceRefSchema>;

/**
 * A keeper's order to one scanner of its own region: look again at services that a job missed. The frontier is what the
 * keeper held before the first connect; the confirm overrules only what lies at or below it.
 */
export const confirmOrderSchema = z.strictObject({
  version: z.literal(1),
  id: orderIdSchema,
  region: nameSchema,
  /** The missing job that the confirm is wanted for. */
  job: digestSchema,
  scanner: nameSchema,
  /**
   * `sighter`: this scanner was the last of its region to see the targets, and no other one could be asked, so it alone
   * confirms. `others`: two different scanners have to; the last one to see the targets may be one of them.
   */
  basis: z.enum(["sighter", "others"]),
  /** `masscan` for UDP: a run of just these pairs. */
  engine: engineSchema,
  frontier: frontierSchema,
  targets: z.array(serviceRefSchema).min(1).max(CONFIRM_TARGETS_MAX),
  /** Canaries of the missing job, asked before and after the look; absent when it has none. */
  canaries: z.array(canarySchema).min(1).max(16).optional(),
  orderedAtMs: timeMsSchema,
  /** Public key of the keeper, and its signature over `confirmOrderSignedText`, base64url. */
  keeper: publicKeySchema,
  signature: z.string().regex(/^[A-Za-z0-9_-]{86}$/),
});
export type ConfirmOrder = z.infer<typeof confirmOrderSchema>;

/** `closed`: refused; `filtered`: no answer; `error`: could not be asked, so it confirms nothing. */
export const probeAnswerSchema = z.enum(["open", "closed", "filtered", "error"]);
export type ProbeAnswer = z.infer<typeof probeAnswerSchema>;

/** What a scanner found when it looked again. An `open` answer is a sighting at the position of this record. */
export const probeSchema = z.strictObject({
  version: z.literal(1),
  order: confirmOrderSchema,
  results: z
    .array(serviceRefSchema.extend({ answer: probeAnswerSchema, connects: z.int().nonnegative() }))
    .min(1)
    .max(CONFIRM_TARGETS_MAX),
  /** How the order's canaries answered; absent when it has none. Where no majority did, nothing is said to be closed or filtered. */
  evidence: canaryEvidenceSchema.optional(),
  /** Of the look itself, without its canaries. */
  startedAtMs: timeMsSchema,
  endedAtMs: timeMsSchema,
});
export type Probe = z.infer<typeof probeSchema>;

/** Keeper to one scanner on `scan.<region>.<scanner>`. */
export const confirmRequestSchema = z.strictObject({ order: confirmOrderSchema });

/** The scanner's answer at once: it will look, or why not. The probe itself comes on `reports.<region>`. */
export const confirmReplySchema = z.discriminatedUnion("ok", [
  z.strictObject({ ok: z.literal(true) }),
  z.strictObject({ ok: z.literal(false), problem: z.string().max(1_000) }),
]);
export type ConfirmReply = z.infer<typeof confirmReplySchema>;
