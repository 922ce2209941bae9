import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { PortolanError } from "../core/errors.ts";
import { nameSchema } from "../core/messages/common.ts";
import { writeSecret } from "./layout.ts";

const schema = z.strictObject({ version: z.literal(1), home: nameSchema, regions: z.array(nameSchema).min(1).max(256) });

/** Which regions share a folder, and which of them holds the registry's primary. */
export type Topology = { readonly home: string; readonly regions: readonly string[] };

const fileOf = (dir: string): string => join(dir, "regions.json");

/** Null when no regions were ever started in this folder. Throws `invalid` for a damaged file. */
export function readTopology(dir: string): Topology | null {
  const file = fileOf(dir);
  if (!existsSync(file)) return null;
  try {
    return schema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    throw new PortolanError("invalid", `${file} is damaged; restore it: it says which region holds the registry's primary`, {
      cause: error,
    });
  }
}

/** From now on, and after every start, `home` holds the primary. */
export function writeTopology(dir: string, { home, regions }: Topology): void {
  writeSecret(fileOf(dir), `${JSON.stringify({ version: 1, home, regions }, null, 2)}\n`);
}

const DATABASE = "dbs/default";
/** Only a replica has this: how far it has followed which primary. */
const REPLICA_MARK = join(DATABASE, "client_wal_index");
/** Only a primary has this: the history that replicas follow. */
const PRIMARY_MARK = join(DATABASE, "wallog");
const SET_ASIDE_MAX = 2;

/**
 * Makes the folder of a sqld that does not run fit for its role. A replica's data becomes a primary's with a history of its own; a former
 * primary's folder is set aside (`NAME-before-…`, the newest two are kept), because what it wrote last may never have reached anybody.
 * Repeatable, also after a crash in the middle.
 */
export function fitRole(dir: string, role: "primary" | "replica", nowMs: number): void {
  if (role === "primary") {
    if (!existsSync(join(dir, REPLICA_MARK))) return;
    for (const part of ["metastore", ".version", `${DATABASE}/stats.json`, `${DATABASE}/data-shm`, `${DATABASE}/.sentinel`]) {
      rmSync(join(dir, part), { recursive: true, force: true });
    }
    // The mark goes last: until then a crash leaves a folder that is made fit again.
    rmSync(join(dir, REPLICA_MARK));
  } else if (existsSync(join(dir, PRIMARY_MARK))) {
    setAside(dir, nowMs);
  }
}

/** Renames a folder to `NAME-before-TIME` and makes an empty one; the newest two such folders are kept. Returns the new name, or null when there was none. */
export function setAside(dir: string, nowMs: number): string | null {
  const prefix = `${dir}-before-`;
  const aside = existsSync(dir) ? `${prefix}${new Date(nowMs).toISOString().replaceAll(":", "-")}` : null;
  if (aside !== null) renameSync(dir, aside);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const parent = join(dir, "..");
  const names = readdirSync(parent).map((name) => join(parent, name));
  const old = names.filter((name) => name.startsWith(prefix)).toSorted();
  for (const name of old.slice(0, -SET_ASIDE_MAX)) rmSync(name, { recursive: true, force: true });
  return aside;
}
