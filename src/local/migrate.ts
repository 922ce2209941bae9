import { createHash } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Client, createClient } from "@libsql/client/web";
import { z } from "zod";
import { PortolanError } from "../core/errors.ts";

/** Where to apply which migrations. */
export type MigrateOptions = {
  readonly url: string;
  readonly authToken?: string;
  /** Folder with files `0000_name.sql`, applied in the order of their numbers. */
  readonly folder: string;
  /** Time-out of one file; default 30,000. */
  readonly timeoutMs?: number;
};

type Migration = { readonly name: string; readonly sql: string; readonly sha256: string };

const rowsSchema = z.array(z.object({ name: z.string(), sha256: z.string() }));

const NAME = /^\d{4}_[a-z0-9_]+\.sql$/;

/**
 * Brings a database to the newest migration and returns the names of the files that were applied now.
 * Each file is one transaction together with its row in `schema_migration`, so a crash leaves it applied or not, and a repeat does nothing.
 * Throws `conflict` when a file that was applied has since changed or vanished.
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const client = createClient({
    url: options.url,
    ...(options.authToken === undefined ? {} : { authToken: options.authToken }),
    fetch: (request: Request) => fetch(request, { signal: AbortSignal.timeout(options.timeoutMs ?? 30_000) }),
  });
  try {
    await client.execute(
      "create table if not exists schema_migration(name text primary key not null, sha256 text not null, applied_at_s integer not null) strict, without rowid",
    );
    const files = readMigrations(options.folder);
    const applied = await readApplied(client);
    for (const name of applied.keys()) {
      if (files.some((file) => file.name === name)) continue;
      throw new PortolanError(
        "conflict",
        `the database at ${options.url} has migration ${name}, which ${options.folder} lacks; it was made by a newer version: use that one`,
      );
    }
    const done: string[] = [];
    for (const file of files) {
      if (await applyFile(client, file, applied)) done.push(file.name);
    }
    return done;
  } finally {
    client.close();
  }
}

function readMigrations(folder: string): Migration[] {
  const names = readdirSync(folder)
    .filter((name) => name.endsWith(".sql"))
    .toSorted();
  const numbers = new Set(names.map((name) => name.slice(0, 4)));
  for (const name of names) {
    if (!NAME.test(name)) throw new PortolanError("invalid", `migration "${name}" in ${folder} is not named like 0000_name.sql`);
  }
  if (numbers.size !== names.length) throw new PortolanError("invalid", `two migrations in ${folder} have the same number`);
  return names.map((name) => {
    const sql = readFileSync(join(folder, name), "utf8");
    return { name, sql, sha256: createHash("sha256").update(sql).digest("hex") };
  });
}

async function readApplied(client: Client): Promise<Map<string, string>> {
  const result = await client.execute("select name, sha256 from schema_migration");
  const rows = rowsSchema.parse(result.rows);
  return new Map(rows.map(({ name, sha256 }) => [name, sha256]));
}

/** Whether the file was applied by this call. */
async function applyFile(client: Client, file: Migration, applied: Map<string, string>): Promise<boolean> {
  if (isApplied(file, applied)) return false;
  // The row comes first: of two processes that migrate at once, the second one's key is refused and its transaction undone.
  const script = `begin immediate;
insert into schema_migration(name, sha256, applied_at_s) values ('${file.name}', '${file.sha256}', unixepoch());
${file.sql}
;commit;`;
  try {
    await client.executeMultiple(script);
    return true;
  } catch (error) {
    // Another process, or the reply was lost after the commit: what counts is what stands there now.
    if (isApplied(file, await readApplied(client))) return false;
    throw new PortolanError("internal", `migration ${file.name} failed: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
  }
}

function isApplied(file: Migration, applied: Map<string, string>): boolean {
  const before = applied.get(file.name);
  if (before === undefined) return false;
  if (before !== file.sha256) {
    throw new PortolanError(
      "conflict",
      `migration ${file.name} was changed after it had been applied; restore the file and write a new migration instead`,
    );
  }
  return true;
}
