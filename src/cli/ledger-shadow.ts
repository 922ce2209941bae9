import { readFileSync, readdirSync } from "node:fs";
import type { SQLInputValue } from "node:sqlite";
import { fileURLToPath } from "node:url";
import type { Database, Sql, SqlRow } from "../ledger/database.ts";

const MIGRATIONS = new URL("../../migrations/ledger/", import.meta.url);

/** An empty ledger in this process's memory, to replay records into; gone when it is closed. */
export async function openShadow(): Promise<Database> {
  const { DatabaseSync } = await import("node:sqlite");
  const sqlite = new DatabaseSync(":memory:");
  const files = readdirSync(fileURLToPath(MIGRATIONS)).filter((name) => name.endsWith(".sql"));
  for (const file of files.toSorted()) sqlite.exec(readFileSync(new URL(file, MIGRATIONS), "utf8"));
  const prepared = new Map<string, ReturnType<typeof sqlite.prepare>>();
  const run = ({ sql, args = [] }: Sql): SqlRow[] => {
    const statement = prepared.get(sql) ?? sqlite.prepare(sql);
    prepared.set(sql, statement);
    return statement.all(...(args as SQLInputValue[])).map((row) => ({ ...row }));
  };
  return {
    async batch(statements, mode) {
      sqlite.exec(mode === "write" ? "begin immediate" : "begin");
      try {
        const rows = statements.map(run);
        sqlite.exec("commit");
        return rows;
      } catch (error) {
        sqlite.exec("rollback");
        throw error;
      }
    },
    close: () => sqlite.close(),
  };
}
