import { PortolanError } from "../core/errors.ts";
import type { Database } from "./database.ts";
import type { LedgerDurability } from "./types.ts";

/** SQLite's `synchronous` from which on a commit is on disk when it returns. */
const SYNCHRONOUS_FULL = 2;

/** Asks the database itself. Throws `unavailable` when it does not answer; one that does not know the question is `unknown`. */
export async function readDurability(database: Database): Promise<LedgerDurability> {
  try {
    const [rows] = await database.batch([{ sql: "pragma synchronous" }], "read");
    const value = Object.values(rows?.[0] ?? {})[0];
    if (typeof value !== "number") return "unknown";
    return value >= SYNCHRONOUS_FULL ? "strong" : "weak";
  } catch (error) {
    if (error instanceof PortolanError) throw error;
    return "unknown";
  }
}
