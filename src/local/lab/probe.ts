import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { runCommand } from "./command.ts";

const TOOLS: readonly (readonly [tool: string, debianPackage: string])[] = [
  ["ip", "iproute2"],
  ["nft", "nftables"],
  ["ethtool", "ethtool"],
  ["masscan", "masscan"],
  ["setpriv", "util-linux"],
];

/** Whether a program of this name lies in one of the folders of PATH. */
async function hasProgram(name: string): Promise<boolean> {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const found = await access(join(folder, name)).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

/**
 * Why a lab of network namespaces cannot be had here, with the remedy; null when it can. Finds out by making and removing one
 * empty namespace with one nft table.
 */
export async function labProblem(): Promise<string | null> {
  const missing: string[] = [];
  for (const [tool, debianPackage] of TOOLS) if (!(await hasProgram(tool))) missing.push(`${tool} (package ${debianPackage})`);
  if (missing.length > 0) return `not installed: ${missing.join(", ")}; install what is missing`;
  if (process.getuid?.() !== 0) return "network namespaces need root; run it as root";
  const name = `probe${process.pid}`;
  try {
    await runCommand(["ip", "netns", "add", name]);
  } catch (error) {
    return `no network namespaces: ${String(error)}; run where CAP_SYS_ADMIN and CAP_NET_ADMIN are granted`;
  }
  try {
    const table = "table inet probe { set s { type ipv4_addr . inet_service; flags dynamic; counter; }; }\n";
    await runCommand(["ip", "netns", "exec", name, "nft", "-f", "-"], table);
    return null;
  } catch (error) {
    return `nft does not work: ${String(error)}; the kernel needs nf_tables`;
  } finally {
    await runCommand(["ip", "netns", "del", name]).catch(() => undefined);
  }
}

let labsMade = 0;

/** A lab name that no other running process uses: `prefix` (at most 3 letters), the process id and a counter. */
export function uniqueLabName(prefix: string): string {
  labsMade += 1;
  return `${prefix}${process.pid.toString(36)}x${labsMade.toString(36)}`;
}
