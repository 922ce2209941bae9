import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import BetterSqlite3 from "better-sqlite3";
import type { Database, SqlRow, SqlValue } from "../../src/ledger/database.ts";
import { LEDGER_MIGRATIONS } from "./sqld-ledger.ts";

export type MemoryDatabase = Database & { readonly sqlite: BetterSqlite3.Database; /** Empties all tables. */ clear(): void };

/**
 * The same tables, triggers and statements in SQLite's memory: for many short histories. `mutate` breaks them on purpose; a path that
 * is a serialized database is a copy of that one.
 */
export function openMemoryDatabase(mutate: (sql: string) => string = (sql) => sql, path: string | Buffer = ":memory:"): MemoryDatabase {
  const sqlite = new BetterSqlite3(path);
  for (const name of typeof path === "string" ? migrationFiles() : []) {
    sqlite.exec(mutate(readFileSync(join(LEDGER_MIGRATIONS, name), "utf8")));
  }
  const prepared = new Map<string, BetterSqlite3.Statement>();
  const run = (sql: string, args: readonly SqlValue[]): SqlRow[] => {
    const statement = prepared.get(sql) ?? sqlite.prepare(mutate(sql));
    prepared.set(sql, statement);
    const bound = args.length === 0 ? [] : [Object.fromEntries(args.map((value, index) => [String(index + 1), value]))];
    if (statement.reader) return statement.all(...bound).map((row) => ({ ...(row as object) }));
    statement.run(...bound);
    return [];
  };
  const tables = sqlite
    .prepare("select name from sqlite_master where type = 'table' and name not in ('keeper') and name not like 'sqlite%'")
    .pluck()
    .all();
  return {
    sqlite,
    async batch(statements, mode) {
      const work = sqlite.transaction(() => statements.map(({ sql, args }) => run(sql, args ?? [])));
      return mode === "write" ? work.immediate() : work();
    },
    clear() {
      sqlite.transaction(() => {
        for (const table of tables) sqlite.exec(`delete from ${String(table)}`);
        sqlite.exec("update keeper set holder = '', until_ms = 0");
      })();
    },
    close: () => sqlite.close(),
  };
}

function migrationFiles(): string[] {
  return readdirSync(LEDGER_MIGRATIONS)
    .filter((file) => file.endsWith(".sql"))
    .toSorted();
}
