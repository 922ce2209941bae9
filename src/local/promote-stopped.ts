import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { PortolanError } from "../core/errors.ts";
import { makeLayout } from "./layout.ts";
import { lockFolder } from "./lock.ts";
import type { Promotion } from "./promote.ts";
import { copyData, hasData } from "./registry-child.ts";
import { readTopology, writeTopology } from "./topology.ts";

/** See `promote`, for regions that do not run: only says where the primary will be; the data is made fit for that at the next start. */
export async function promoteStopped(dir: string, name: string): Promise<Promotion> {
  const topology = readTopology(dir);
  if (topology === null) throw new PortolanError("not-found", `${dir} holds no regions; name the folder of the supervisor with --dir`);
  if (!topology.regions.includes(name)) {
    throw new PortolanError("not-found", `there is no region "${name}" in ${dir}; there are ${topology.regions.join(", ")}`);
  }
  const lock = await lockFolder(dir);
  try {
    const { home: was } = topology;
    const next = makeLayout(join(dir, name)).registry;
    if (!hasData(next))
      throw new PortolanError("unavailable", `region "${name}" has never copied the registry; start it once with its primary`);
    const versions = await Promise.all([versionOf(dir, next), versionOf(dir, join(dir, was, "registry"))]);
    const [version, before] = versions;
    writeTopology(dir, { ...topology, home: name });
    return { home: name, was, caughtUp: before !== null && version !== null && version >= before, version };
  } finally {
    await lock.release();
  }
}

/** Version of a registry whose sqld does not run, read from a copy, so that nothing is changed; null when it cannot be read. */
async function versionOf(dir: string, registry: string): Promise<number | null> {
  if (!hasData(registry)) return null;
  const { DatabaseSync } = await import("node:sqlite");
  const copy = mkdtempSync(join(dir, ".version-"));
  try {
    copyData(registry, copy);
    const database = new DatabaseSync(join(copy, "dbs/default/data"));
    try {
      const version = database.prepare("select version from meta").get()?.["version"];
      return typeof version === "number" ? version : null;
    } finally {
      database.close();
    }
  } catch {
    return null;
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
