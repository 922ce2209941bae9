import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";
import { PortolanError } from "../core/errors.ts";

/** Top folder of this clone. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

// Debian keeps some of the tools where an ordinary user's PATH does not look.
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin", "/usr/local/bin", "/usr/bin", "/bin"];
/** Wrappers of the programs that the setup step unpacked without root. */
const UNPACKED = join(ROOT, ".cache/tools/bin");

const PACKAGES: Readonly<Record<string, string>> = {
  nft: "nftables",
  ip: "iproute2",
  setpriv: "util-linux",
  stdbuf: "coreutils",
  openssl: "openssl",
};

/** Full path of a program: from PATH, the system's own folders, or what the setup step unpacked; null when there is none. */
export function findTool(name: string): string | null {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...SYSTEM_FOLDERS, UNPACKED];
  return folders.map((folder) => join(folder, name)).find((path) => path.startsWith("/") && isExecutable(path)) ?? null;
}

/** Like `findTool`, but throws `unavailable` with the remedy. */
export function needTool(name: string): string {
  const path = findTool(name);
  if (path !== null) return path;
  const remedy = `run "node src/local/setup.mjs --for=test", or install the package ${PACKAGES[name] ?? name}`;
  throw new PortolanError("unavailable", `${name} is not installed: ${remedy}`);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
