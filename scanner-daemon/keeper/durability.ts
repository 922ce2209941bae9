import { createClient } from "@libsql/client/web";
import { PortolanError } from "../../src/core/errors.ts";
import { applyDurability } from "../../src/local/sqld.ts";
import type { Log } from "../log.ts";
import { errorText } from "../log.ts";

/**
 * Whether the ledger commits with one fsync each. sqld forgets that setting at every restart, so it is looked at
 * before the first commit and after each one: only then may a receipt go out.
 * `check` answers "strong", or "restored" when it had to be switched on again (commits before may not be on disk yet);
 * it throws `PortolanError("unavailable")` when the ledger does not answer or the setting cannot be had.
 */
export type Durability = { check(): Promise<"strong" | "restored"> };

/** What the provider of a remote database does about durability is the provider's affair. */
export const providerDurability: Durability = { check: () => Promise.resolve("strong") };

const SYNCHRONOUS_FULL = 2;
const CALL_TIMEOUT_MS = 2_000;

/** Durability of one sqld whose admin port we may use. */
export function sqldDurability(options: {
  readonly url: string;
  readonly authToken?: string;
  readonly adminUrl: string;
  readonly log: Log;
}): Durability {
  const client = createClient({
    url: options.url,
    ...(options.authToken === undefined ? {} : { authToken: options.authToken }),
    fetch: (request: Request) => fetch(request, { signal: AbortSignal.timeout(CALL_TIMEOUT_MS) }),
  });
  const synchronous = async (): Promise<number> => Number((await client.execute("pragma synchronous")).rows[0]?.[0]);
  return {
    check: async () => {
      try {
        if ((await synchronous()) === SYNCHRONOUS_FULL) return "strong";
        await applyDurability(options.adminUrl);
        const now = await synchronous();
        if (now !== SYNCHRONOUS_FULL) throw new PortolanError("unavailable", `pragma synchronous is ${now} instead of 2`);
        options.log.info("the ledger commits with strong durability again; it had forgotten it, as sqld does at each start");
        return "restored";
      } catch (error) {
        const problem = `cannot make sure that the ledger at ${options.url} commits durably (admin port ${options.adminUrl}): ${errorText(error)}`;
        throw new PortolanError("unavailable", problem, { cause: error });
      }
    },
  };
}
