import { type Client, createClient, type ResultSet } from "@libsql/client/web";
import { PortolanError } from "../core/errors.ts";
import { type Query, type Read, statementOf } from "./query.ts";

/** Where one libSQL database is and how long a call to it may take. */
export type StoreOptions = { readonly url: string; readonly authToken?: string; readonly timeoutMs: number };

/** The few calls that the registry makes; each is one HTTP round trip that ends within the time-out. */
export type Store = {
  readonly url: string;
  /** One read transaction. Throws `unavailable`. */
  read<T extends readonly unknown[]>(...reads: { readonly [K in keyof T]: Read<T[K]> }): Promise<T>;
  /** One write transaction: all or nothing. Throws `unavailable`; refusals by a constraint pass unchanged. After a time-out the outcome is unknown. */
  write(queries: readonly Query[]): Promise<ResultSet[]>;
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
  const run = async (queries: readonly Query[], mode: "read" | "write"): Promise<ResultSet[]> => {
    try {
      return await client.batch(queries.map(statementOf), mode);
    } catch (error) {
      throw explain(error, options);
    }
  };
  return {
    url: options.url,
    read: async <T extends readonly unknown[]>(...reads: { readonly [K in keyof T]: Read<T[K]> }): Promise<T> => {
      const results = await run(
        reads.map(({ query }) => query),
        "read",
      );
      return reads.map(({ parse }, index) => parse(resultAt(results, index))) as unknown as T;
    },
    write: (queries) => run(queries, "write"),
    close: () => client.close(),
  };
}

function resultAt(results: readonly ResultSet[], index: number): ResultSet {
  const result = results[index];
  if (result === undefined) throw new PortolanError("internal", `the registry answered ${results.length} statements only`);
  return result;
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
