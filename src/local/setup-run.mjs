// Small helpers of setup.mjs: plain JavaScript without dependencies.
import { spawnSync } from "node:child_process";
import { accessSync, constants, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** Top of the clone. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), "../..");
const COMMAND_MS_MAX = 15 * 60_000;

/** Standard output belongs to the command that follows. */
export const say = (text) => process.stderr.write(`portolan setup: ${text}\n`);

/** Runs a command to its end and keeps what it says. */
export function run(command, args, { cwd = ROOT, env = {} } = {}) {
  const options = { cwd, timeout: COMMAND_MS_MAX, stdio: ["ignore", "pipe", "pipe"], encoding: "utf8", maxBuffer: 64 << 20 };
  const done = spawnSync(command, args, { ...options, env: { ...process.env, ...env } });
  return { ok: done.status === 0, output: `${done.stdout ?? ""}${done.stderr ?? ""}${done.error?.message ?? ""}` };
}

export function executable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Entries of a folder; none when it cannot be read. */
export function listed(folder) {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
