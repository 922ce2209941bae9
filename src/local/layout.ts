import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { newSeed, publicKeyOf } from "../bus/keys.node.ts";
import { PortolanError } from "../core/errors.ts";
import { nameSchema } from "../core/messages/common.ts";

/** What the databases need for their first hour, with their logs. */
const FREE_BYTES_MIN = 128 * 1024 ** 2;

const portSchema = z.int().min(1).max(65_535);

/** Ports that a region took; it takes the same again, because clients and other machines have written them down. */
const portsSchema = z.strictObject({
  api: portSchema.optional(),
  nats: portSchema.optional(),
  registry: portSchema.optional(),
  registryAdmin: portSchema.optional(),
  /** Replication port of the registry while its primary is here. */
  registryGrpc: portSchema.optional(),
  ledger: portSchema.optional(),
  ledgerAdmin: portSchema.optional(),
});
export type RegionPorts = z.infer<typeof portsSchema>;
/** One port for each purpose. */
export type AllPorts = { readonly [Name in keyof RegionPorts]-?: number };

const regionFileSchema = z.strictObject({ version: z.literal(1), region: nameSchema, ports: portsSchema });

/** Where a region keeps what. Everything below `dir` belongs to its owner alone. */
export type Layout = {
  readonly dir: string;
  readonly keys: string;
  readonly logs: string;
  readonly registry: string;
  /** Copy of a registry replica's data, served while its primary is away. */
  readonly registryAlone: string;
  readonly ledger: string;
  readonly nats: string;
  /** Dumps of registry and ledger. */
  readonly backups: string;
  /** State of a daemon: spool, finished assignments. */
  readonly daemon: (name: string) => string;
  readonly daemonConfig: (name: string) => string;
  /** Address and token for the CLI of this machine. */
  readonly credentials: string;
};

/** Makes the folders of a region (mode 0700). Throws `unavailable` that names the folder when it cannot be written. */
export function makeLayout(dir: string): Layout {
  const layout: Layout = {
    dir,
    keys: join(dir, "keys"),
    logs: join(dir, "logs"),
    registry: join(dir, "registry"),
    registryAlone: join(dir, "registry-alone"),
    ledger: join(dir, "ledger"),
    nats: join(dir, "nats"),
    backups: join(dir, "backups"),
    daemon: (name) => join(dir, "daemons", name),
    daemonConfig: (name) => join(dir, "daemons", `${name}.json`),
    credentials: join(dir, "credentials.json"),
  };
  try {
    for (const folder of [
      dir,
      layout.keys,
      layout.logs,
      layout.registry,
      layout.ledger,
      layout.nats,
      layout.backups,
      join(dir, "daemons"),
    ]) {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    }
    chmodSync(dir, 0o700);
    checkRoom(dir);
  } catch (error) {
    throw explainWrite(error, dir);
  }
  return layout;
}

/** Tells a full disk at once, before any database says it in its own words. */
function checkRoom(dir: string): void {
  const { bavail, bsize } = statfsSync(dir);
  if (bavail * bsize >= FREE_BYTES_MIN) return;
  const free = Math.floor((bavail * bsize) / 1024 ** 2);
  throw new PortolanError(
    "unavailable",
    `the disk that holds ${dir} has ${free} MiB left, and ${FREE_BYTES_MIN / 1024 ** 2} MiB are needed; free some space and start again`,
  );
}

/** The nkey seed of this name, made at the first call (file mode 0600). */
export function keySeed(layout: Layout, name: string): { readonly file: string; readonly seed: string; readonly publicKey: string } {
  const file = join(layout.keys, `${name}.seed`);
  if (!existsSync(file)) writeSecret(file, `${newSeed()}\n`);
  const seed = readFileSync(file, "utf8").trim();
  return { file, seed, publicKey: publicKeyOf(seed) };
}

/** Ports of an earlier start; none for a new folder. Throws `conflict` when the folder belongs to another region. */
export function readPorts(layout: Layout, region: string): RegionPorts {
  const file = join(layout.dir, "region.json");
  if (!existsSync(file)) return {};
  const parsed = regionFileSchema.safeParse(parseJson(file));
  if (!parsed.success) throw new PortolanError("invalid", `${file} is damaged; restore it, or delete it to have new ports chosen`);
  if (parsed.data.region !== region) {
    throw new PortolanError(
      "conflict",
      `${layout.dir} belongs to region "${parsed.data.region}"; start with --region ${parsed.data.region}, or choose another folder with --dir`,
    );
  }
  return parsed.data.ports;
}

/** Remembers the ports for the next start. */
export function writePorts(layout: Layout, region: string, ports: RegionPorts): void {
  writeSecret(join(layout.dir, "region.json"), `${JSON.stringify({ version: 1, region, ports }, null, 2)}\n`);
}

/** Writes a file for its owner only (mode 0600), whole or not at all. Throws `unavailable` with the reason. */
export function writeSecret(file: string, text: string): void {
  try {
    writeFileSync(`${file}.new`, text, { mode: 0o600 });
    renameSync(`${file}.new`, file);
  } catch (error) {
    throw explainWrite(error, file);
  }
}

function parseJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return null;
  }
}

function explainWrite(error: unknown, path: string): PortolanError {
  if (error instanceof PortolanError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOSPC" || code === "EDQUOT")
    return new PortolanError("unavailable", `the disk that holds ${path} is full; free some space and start again`);
  if (code === "EACCES" || code === "EPERM" || code === "EROFS" || code === "ENOTDIR" || code === "EEXIST") {
    return new PortolanError("unavailable", `cannot write ${path} (${code}); choose a folder that you own with --dir`);
  }
  return new PortolanError("unavailable", `cannot write ${path}: ${error instanceof Error ? error.message : String(error)}`, {
    cause: error,
  });
}
