import { formatAddress, parseAddress } from "../address.ts";
import { PortolanError } from "../errors.ts";
import type { Assignment } from "../messages/job.ts";
import { formatPorts, parsePorts } from "../port.ts";
import { normaliseRanges, parseRange, rangesText, type AddressRange } from "../range.ts";
import type { Sha256Hex } from "../statement.ts";

/** How masscan finds its way out. IPv4 needs nothing of it; IPv6 needs `ipv6` and `routerMac` (masscan 1.3.2 detects neither). */
export type MasscanAdapter = {
  readonly interface?: string | undefined;
  readonly ipv4?: string | undefined;
  readonly ipv6?: string | undefined;
  readonly routerMac?: string | undefined;
};

/** What of an assignment decides which pairs masscan probes. */
export type MasscanTask = Pick<Assignment, "key" | "shardCount" | "ranges" | "ports" | "seed" | "rateLimitPps" | "retries" | "waitS">;

/** Normalised ranges of an assignment; throws `PortolanError("invalid")` when one cannot be read. */
export function assignmentRanges(task: Pick<Assignment, "ranges">): AddressRange[] {
  return normaliseRanges(task.ranges.map(parseRange));
}

/** SHA-256 over the canonical ranges, joined by line feeds: what evidence and assignment are compared by. */
export function rangesDigest(ranges: readonly AddressRange[], sha256: Sha256Hex): string {
  return sha256(rangesText(normaliseRanges(ranges)).join("\n"));
}

/**
 * Files for one run. `ranges` is the content of the `-iL` file, one range per line: masscan cuts configuration lines at
 * 65,535 bytes and ignores bad inline ranges, but stops at a bad `-iL` file.
 */
export function masscanRunFiles(task: Pick<Assignment, "ranges">): { readonly ranges: string } {
  return { ranges: `${rangesText(assignmentRanges(task)).join("\n")}\n` };
}

/**
 * Arguments of masscan for one assignment, to be passed without a shell. Every value is canonical, because masscan goes on
 * silently with another value after a bad rate, shard or seed. Throws `PortolanError("invalid")` when IPv6 lacks its adapter settings.
 */
export function masscanArgv(task: MasscanTask, paths: { readonly rangesFile: string; readonly adapter?: MasscanAdapter }): string[] {
  return [
    "-iL",
    paths.rangesFile,
    "-p",
    formatPorts(parsePorts(task.ports)),
    "--rate",
    String(task.rateLimitPps),
    "--seed",
    task.seed,
    "--shard",
    `${task.key.shard}/${task.shardCount}`,
    "--retries",
    String(task.retries),
    "--wait",
    String(task.waitS),
    ...adapterArgv(task, paths.adapter ?? {}),
    "-oD",
    "-",
  ];
}

function adapterArgv(task: MasscanTask, adapter: MasscanAdapter): string[] {
  const families = rangeFamilies(task);
  const argv = adapter.interface === undefined ? [] : ["--interface", adapter.interface];
  if (families.ipv6) {
    if (adapter.ipv6 === undefined || adapter.routerMac === undefined) {
      throw new PortolanError(
        "invalid",
        "masscan cannot scan IPv6 without the scanner's own address and its router's MAC; set adapter.ipv6 and adapter.routerMac of this scanner",
      );
    }
    if (families.ipv4 && adapter.ipv4 === undefined) {
      throw new PortolanError(
        "invalid",
        "masscan needs adapter.ipv4 too when an assignment holds IPv4 and IPv6 ranges; set it for this scanner",
      );
    }
  }
  if (adapter.ipv4 !== undefined && families.ipv4) argv.push("--adapter-ip", formatAddress(parseAddress(adapter.ipv4)));
  if (adapter.ipv6 !== undefined && families.ipv6) argv.push("--adapter-ip", formatAddress(parseAddress(adapter.ipv6)));
  if (adapter.routerMac !== undefined) argv.push("--router-mac", adapter.routerMac.toLowerCase().replaceAll(":", "-"));
  return argv;
}

/** Which address families an assignment holds. */
function rangeFamilies(task: Pick<Assignment, "ranges">): { readonly ipv4: boolean; readonly ipv6: boolean } {
  const ipv6 = task.ranges.some((text) => text.includes(":"));
  return { ipv4: task.ranges.some((text) => !text.includes(":")), ipv6 };
}
