import { createReadStream, existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import type { DatabaseSync } from "node:sqlite";
import { createZstdDecompress } from "node:zlib";
import { PortolanError } from "../core/errors.ts";
import type { StoreName } from "./backup.ts";
import { makeLayout } from "./layout.ts";
import { lockFolder } from "./lock.ts";
import { createStatementSplitter } from "./statements.ts";
import { setAside } from "./topology.ts";

/** What a restore did. `setAside`: where the data went that was there before; null when there was none. */
export type Restored = { readonly store: StoreName; readonly dir: string; readonly statements: number; readonly setAside: string | null };

const VERSIONS_SKIPPED = 1_000_000;

/** A table that only this store has, and that each of its dumps has. */
const OWN_TABLE: Readonly<Record<StoreName, string>> = { registry: "range_group", ledger: "record" };

/**
 * Makes the database of a stopped region anew from a dump (SQL text, or the same compressed with zstd). Which store it is, the dump says
 * itself. The new database appears whole or not at all; the old one is set aside beside it. A restored ledger never continues its log:
 * the keeper begins a new one at its first start, because peers may hold more of the old one than the dump does.
 * Throws `conflict` while the region runs, `not-found` without the file, `invalid` for a dump that is damaged or of something else.
 */
export async function restoreBackup(input: {
  readonly file: string;
  readonly dir: string;
  readonly nowMs: number;
  /** Refuses dumps of the other store. */
  readonly only?: StoreName;
}): Promise<Restored> {
  if (!existsSync(input.file)) throw new PortolanError("not-found", `there is no file ${input.file}; "portolan backup ls" lists the dumps`);
  const layout = makeLayout(input.dir);
  const lock = await lockFolder(layout.dir);
  const fresh = join(layout.dir, "restoring");
  try {
    rmSync(fresh, { recursive: true, force: true });
    const data = join(fresh, "dbs/default/data");
    mkdirSync(join(data, ".."), { recursive: true, mode: 0o700 });
    const { store, statements } = await load(input, data);
    if (input.only !== undefined && store !== input.only) {
      throw new PortolanError("invalid", `${input.file} is a dump of the ${store}, which is not restored here but in the registry's home`);
    }
    await flush(data);
    const target = store === "registry" ? layout.registry : layout.ledger;
    const hadData = existsSync(join(target, "dbs"));
    const aside = setAside(target, input.nowMs);
    rmSync(target, { recursive: true, force: true });
    renameSync(fresh, target);
    if (!hadData && aside !== null) rmSync(aside, { recursive: true, force: true });
    return { store, dir: target, statements, setAside: hadData ? aside : null };
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    await lock.release();
  }
}

type Input = { readonly file: string; readonly nowMs: number };

async function load(input: Input, data: string): Promise<{ store: StoreName; statements: number }> {
  const { DatabaseSync } = await import("node:sqlite");
  const database = new DatabaseSync(data, { enableForeignKeyConstraints: false });
  try {
    // Written once and flushed at the end: until then a crash leaves a folder that nobody uses.
    database.exec("pragma journal_mode = off; pragma synchronous = off");
    const statements = await execute(database, input.file);
    const [integrity] = database.prepare("pragma integrity_check").all();
    if (integrity?.["integrity_check"] !== "ok") throw new Error(`it makes a damaged database: ${JSON.stringify(integrity)}`);
    const store = storeOf(database);
    if (store === "ledger") {
      const reason = `restored from a dump at ${new Date(input.nowMs).toISOString()}`;
      database.prepare("update log set own = 0, retired = ? where own = 1").run(reason);
      database.exec("delete from published; update keeper set holder = '', until_ms = 0");
    } else {
      // Versions that were given since the dump must not be given again: what is remembered of them is of other contents.
      database.exec(`update meta set version = version + ${VERSIONS_SKIPPED}`);
    }
    return { store, statements };
  } catch (error) {
    if (error instanceof PortolanError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw new PortolanError("invalid", `${input.file} cannot be restored: ${why}; nothing was changed, try another dump`, { cause: error });
  } finally {
    database.close();
  }
}

/** Runs a dump piece by piece; throws when it does not end with its commit. */
async function execute(database: DatabaseSync, file: string): Promise<number> {
  const splitter = createStatementSplitter();
  let statements = 0;
  const source = createReadStream(file);
  const text = file.endsWith(".zst") ? source.pipe(createZstdDecompress()) : source;
  source.on("error", (error) => text.destroy(error));
  text.setEncoding("utf8");
  for await (const chunk of text) {
    const { sql, count } = splitter.push(String(chunk));
    statements += count;
    if (sql !== "") database.exec(sql);
  }
  if (database.isTransaction || splitter.rest().trim() !== "") throw new Error("the dump was cut off");
  return statements;
}

function storeOf(database: DatabaseSync): StoreName {
  const names = new Set(
    database
      .prepare("select name from sqlite_master where type = 'table'")
      .all()
      .map((row) => row["name"]),
  );
  for (const store of ["registry", "ledger"] as const) {
    if (names.has(OWN_TABLE[store]) && names.has("schema_migration")) return store;
  }
  throw new PortolanError("invalid", "the dump is of no registry and of no ledger; nothing was changed");
}

async function flush(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
