import { createWriteStream, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { createZstdCompress } from "node:zlib";
import { PortolanError } from "../core/errors.ts";

/** The two databases of a region. */
export const STORES = ["registry", "ledger"] as const;
export type StoreName = (typeof STORES)[number];

/** How often a dump is made, and how much is kept of each store. */
export type BackupOptions = {
  readonly intervalMs: number;
  readonly countMax: number;
  /** Of all dumps of one store together; the newest one is kept whatever its size. */
  readonly bytesMax: number;
};

/** A whole dump of one store: SQL text, compressed with zstd. */
export type Backup = { readonly store: StoreName; readonly file: string; readonly takenAtMs: number; readonly bytes: number };

const NAME = /^(registry|ledger)-(\d{4}-\d{2}-\d{2}T\d{2})-(\d{2})-(\d{2}\.\d{3}Z)\.sql\.zst$/;
const DUMP_MS_MAX = 30 * 60_000;
/** What sqld ends a dump with. */
const END = "COMMIT;";

/**
 * Asks a sqld for a dump (a primary: replicas refuse) and puts it into `dir`, whole or not at all.
 * Throws `unavailable` when the database does not answer or the dump was cut off.
 */
export async function takeBackup(from: {
  readonly store: StoreName;
  readonly url: string;
  readonly authToken?: string;
  readonly dir: string;
  readonly nowMs: number;
}): Promise<Backup> {
  const name = `${from.store}-${new Date(from.nowMs).toISOString().replaceAll(":", "-")}.sql.zst`;
  const file = join(from.dir, name);
  const partial = `${file}.partial`;
  try {
    const headers = from.authToken === undefined ? {} : { authorization: `Bearer ${from.authToken}` };
    const response = await fetch(`${from.url}/dump`, { headers, signal: AbortSignal.timeout(DUMP_MS_MAX) });
    if (!response.ok || response.body === null) throw new Error(`it answered ${response.status}: ${(await response.text()).slice(0, 200)}`);
    const tail = new Tail();
    await pipeline(response.body, tail, createZstdCompress(), createWriteStream(partial, { mode: 0o600 }));
    if (!tail.text.trimEnd().endsWith(END)) throw new Error("the dump was cut off");
    await flush(partial);
    renameSync(partial, file);
    return { store: from.store, file, takenAtMs: from.nowMs, bytes: statSync(file).size };
  } catch (error) {
    rmSync(partial, { force: true });
    const why = error instanceof Error ? error.message : String(error);
    throw new PortolanError(
      "unavailable",
      `no dump of the ${from.store} at ${from.url}: ${why}; the earlier dumps in ${from.dir} are untouched`,
      {
        cause: error,
      },
    );
  }
}

/** The dumps in a folder, newest first; none when there is no such folder. What is only partly written is not listed. */
export function listBackups(dir: string, store?: StoreName): Backup[] {
  const found: Backup[] = [];
  for (const name of namesIn(dir)) {
    const [, of, hours, minutes, seconds] = NAME.exec(name) ?? [];
    const known = STORES.find((one) => one === of);
    const size = known === undefined ? undefined : statSync(join(dir, name), { throwIfNoEntry: false })?.size;
    if (known === undefined || size === undefined || (store !== undefined && known !== store)) continue;
    found.push({ store: known, file: join(dir, name), takenAtMs: Date.parse(`${hours}:${minutes}:${seconds}`), bytes: size });
  }
  return found.toSorted((a, b) => b.takenAtMs - a.takenAtMs || (a.store < b.store ? -1 : 1));
}

/** Deletes the oldest dumps of a store beyond the limits, and what an interrupted dump left. Returns what it deleted. */
export function rotateBackups(dir: string, store: StoreName, limits: Pick<BackupOptions, "countMax" | "bytesMax">): Backup[] {
  for (const name of namesIn(dir)) if (name.startsWith(`${store}-`) && name.endsWith(".partial")) rmSync(join(dir, name), { force: true });
  let bytes = 0;
  const old = listBackups(dir, store).filter((backup, index) => {
    bytes += backup.bytes;
    return index > 0 && (index >= limits.countMax || bytes > limits.bytesMax);
  });
  for (const { file } of old) rmSync(file, { force: true });
  return old;
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

async function flush(file: string): Promise<void> {
  const handle = await open(file, "r+");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Passes bytes on and remembers the last ones. */
class Tail extends Transform {
  text = "";

  override _transform(chunk: Buffer, _encoding: string, done: (error: null, chunk: Buffer) => void): void {
    this.text = (this.text + chunk.subarray(-64).toString("latin1")).slice(-64);
    done(null, chunk);
  }
}
