import { z } from "zod";

/** Lower-case hex of a SHA-256: record ids, job ids, digests. */
export const digestSchema = z.string().regex(/^[0-9a-f]{64}$/, "64 lower-case hex digits");

/** Names of regions, scanners, groups, plans: safe as a NATS subject token, a file name and an interface label. */
export const nameSchema = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/, "1 to 63 of a-z, 0-9, - and _, beginning and ending with a letter or digit");

/** Names of range groups keep the user's own spelling ("CF-Anycast"); built-in ones begin with "@". */
export const groupNameSchema = z
  .string()
  .regex(/^@?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/, "1 to 63 letters, digits, dots, - and _; built-in groups begin with @");

/** Public Ed25519 key of a scanner or keeper in nkey spelling (prefix U). */
export const publicKeySchema = z.string().regex(/^U[A-Z2-7]{55}$/, "an nkey user public key: U and 55 base32 characters");

/** Identifies one start of one engine (16 random bytes, hex). Two different reports with one run id contradict each other. */
export const runIdSchema = z.string().regex(/^[0-9a-f]{32}$/, "32 lower-case hex digits");

/** Identifies one confirm order (16 random bytes, hex). */
export const orderIdSchema = z.string().regex(/^[0-9a-f]{32}$/, "32 lower-case hex digits");

/** Log ids (16 random bytes, hex) are minted whenever a ledger is created, restored or found to be behind. */
export const logIdSchema = z.string().regex(/^[0-9a-f]{32}$/, "32 lower-case hex digits");

/** For each log, the highest `rseq` (inclusive) up to which every record was held. */
export const frontierSchema = z.record(logIdSchema, z.int().nonnegative());
export type Frontier = z.infer<typeof frontierSchema>;

export const timeMsSchema = z.int().nonnegative();

/** masscan turns seeds of 0, negative and hexadecimal seeds silently into random ones (measured with 1.3.2). */
export const seedSchema = z
  .string()
  // Ends the checks there: BigInt would throw a SyntaxError for what is not a number.
  .regex(/^[1-9][0-9]{0,19}$/, { error: "a decimal number from 1 to 18446744073709551615", abort: true })
  .refine((text) => BigInt(text) < 1n << 64n, "at most 18446744073709551615");

export const engineSchema = z.enum(["masscan", "connect"]);
export type Engine = z.infer<typeof engineSchema>;
