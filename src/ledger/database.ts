import { createClient } from "@libsql/client/web";
import { PortolanError } from "../core/errors.ts";

export type SqlValue = string | number | null | Uint8Array;
/** Parameters are numbered (`?1`) and counted from 1. Bytes travel as hex, or as base64 by the client. */
export type Sql = { readonly sql: string; readonly args?: readonly SqlValue[] };
export type SqlRow = Readonly<Record<string, unknown>>;

/** What the ledger needs of a database: atomic batches. sqld over HTTP in earnest, SQLite in memory for long property tests. */
export type Database = {
  /** All or nothing; the rows of each statement. A write takes the lock at once. */
  batch(statements: readonly Sql[], mode: "read" | "write"): Promise<SqlRow[][]>;
  close(): void;
};

/** Where a ledger is. */
export type DatabaseOptions = {
  readonly url: string;
  readonly authToken?: string;
  /** Of one call; default 10,000. */ readonly timeoutMs?: number;
};

/** A libSQL database over HTTP. Errors: `unavailable` when it does not answer in time (a write may then have happened), else what SQLite said. */
export function httpDatabase({ url, authToken, timeoutMs = 10_000 }: DatabaseOptions): Database {
  const client = createClient({
    url,
    ...(authToken === undefined ? {} : { authToken }),
    fetch: (request: Request) => fetch(request, { signal: AbortSignal.timeout(timeoutMs) }),
  });
  return {
    async batch(statements, mode) {
      try {
        const results = await client.batch(
          statements.map(({ sql, args }) => ({ sql, args: [...(args ?? [])] })),
          mode,
        );
        return results.map(({ rows }) => rows);
      } catch (error) {
        throw translate(error, url);
      }
    },
    close: () => client.close(),
  };
}

function translate(error: unknown, url: string): Error {
  const message = error instanceof Error ? error.message : String(error);
  if (/SQLITE_|SQL_|ARGS_INVALID|portolan:/.test(message)) return error instanceof Error ? error : new Error(message);
  return new PortolanError("unavailable", `the ledger at ${url} does not answer (${message}); check that its sqld runs`, { cause: error });
}

/** A number from a row; throws on anything else (a bug). */
export function numberOf(row: SqlRow | undefined, name: string): number {
  const value = row?.[name];
  if (typeof value !== "number") throw new PortolanError("internal", `the ledger's column ${name} is not a number`);
  return value;
}

/** A text from a row; throws on anything else (a bug). */
export function textOf(row: SqlRow | undefined, name: string): string {
  const value = row?.[name];
  if (typeof value !== "string") throw new PortolanError("internal", `the ledger's column ${name} is not a text`);
  return value;
}

/** A text, or null where the column is null. */
export function optionalTextOf(row: SqlRow | undefined, name: string): string | null {
  const value = row?.[name];
  return value === null || value === undefined ? null : textOf(row, name);
}
