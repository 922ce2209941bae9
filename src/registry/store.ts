import { type Client, createClient, type InStatement, type ResultSet } from "@libsql/client/web";
import { PortolanError } from "../core/errors.ts";

/** Where one libSQL database is and how long a call to it may take. */
export type StoreOptions = { readonly url: string; readonly authToken?: string; readonly timeoutMs: number };

/** The few calls that the registry makes; each is one HTTP round trip that ends within the time-out. */
export type Store = {
  readonly url: string;
  /** One read transaction. Throws `unavailable`. */
  read(statements: InStatement[]): Promise<ResultSet[]>;
  /** One write transaction: all or nothing. Throws `unavailable`; refusals by a constraint pass unchanged. After a time-out the outcome is unknown. */
  write(statements: InStatement[]): Promise<ResultSet[]>;
  close(): void;
};

/** Opens nothing yet: the first call connects. */
export function openStore(options: StoreOptions): Store {
  const client: Client = createClient({
    url: options.url,
    ...(options.authToken === undefined ? {} : { authToken: options.authToken }),
    // A frozen or dead primary would otherwise hang the caller for ever.
    fetch: (request: Request) => fetch(request, { signal: AbortSignal.timeout(options.timeoutMs) }),
  });
  const run = async (statements: InStatement[], mode: "read" | "write"): Promise<ResultSet[]> => {
    try {
      return await client.batch(statements, mode);
    } catch (error) {
      throw explain(error, options);
    }
  };
  return {
    url: options.url,
    read: (statements) => run(statements, "read"),
    write: (statements) => run(statements, "write"),
    close: () => client.close(),
  };
}

function explain(error: unknown, options: StoreOptions): unknown {
  const text = error instanceof Error ? error.message : String(error);
  // A refusal by a constraint or a statement of ours that is wrong: not a matter of reachability.
  if ((text.includes("CONSTRAINT") || text.startsWith("SQL_")) && !text.includes("no such")) return error;
  if (text.includes("no such table") || text.includes("no such column")) {
    return new PortolanError("unavailable", `the registry at ${options.url} lacks this version's tables; apply migrations/registry first`, {
      cause: error,
    });
  }
  const isTimeout = error instanceof Error && (error.name === "TimeoutError" || text.includes("timeout"));
  const what = isTimeout ? `did not answer within ${options.timeoutMs} ms` : `cannot be reached (${text.slice(0, 200)})`;
  return new PortolanError(
    "unavailable",
    `the registry at ${options.url} ${what}; check that its sqld runs, then repeat: repeating is safe`,
    { cause: error },
  );
}
