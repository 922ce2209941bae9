import { readlink, statfs } from "node:fs/promises";
import type { Engine } from "../../src/core/messages/common.ts";
import { parseMasscanVersion, TESTED_FAMILIES, versionFamily } from "../../src/core/masscan/echo.ts";
import type { MasscanAdapter } from "../../src/core/masscan/argv.ts";
import { errorText } from "../log.ts";
import { capture, type Launch } from "./launch.ts";
import { ethtoolRemedy, readOffloads } from "./place.ts";
import { startProber } from "./prober-client.ts";
import type { ProberView } from "./prober-protocol.ts";

/** What this scanner can do now. */
export type Readiness = {
  readonly engines: readonly Engine[];
  readonly masscanVersion: string | null;
  /** What stands in the way of masscan, each with its remedy; empty when "masscan" is among the engines. */
  readonly masscanProblems: readonly string[];
  /** What stands in the way of any engine. */
  readonly problems: readonly string[];
};

/** What readiness depends on. */
export type ReadyInput = {
  readonly how: Launch;
  readonly adapter: MasscanAdapter;
  readonly labMode: boolean;
  readonly dataDir: string;
  readonly diskFreeBytesMin: number;
  /** Creates the reserved room for last words; false when the disk is full. */
  readonly reserve: () => Promise<boolean>;
  readonly spoolBytes: () => number;
  readonly spoolBytesMax: number;
};

const TOOL_TIMEOUT_MS = 10_000;
const MEBIBYTE = 1024 * 1024;

/** Looks at everything that decides whether work may be claimed. Never throws. */
export async function checkReady(input: ReadyInput): Promise<Readiness> {
  const disk = await diskProblems(input);
  const looked = await lookAround(input);
  if (looked.kind === "problem") return { engines: [], masscanVersion: null, masscanProblems: [], problems: [...disk, looked.reason] };
  const problems = [...disk, ...(await placeProblems(input, looked.view))];
  const masscan = await checkMasscan(input, looked.view);
  const engines: Engine[] = masscan.problems.length === 0 ? ["masscan", "connect"] : ["connect"];
  return { engines: problems.length === 0 ? engines : [], masscanVersion: masscan.version, masscanProblems: masscan.problems, problems };
}

/** One text for the heartbeat; null when everything is ready. */
export function readinessText({ problems, masscanProblems }: Readiness): string | null {
  const all = [...problems, ...masscanProblems];
  return all.length === 0 ? null : all.join("; ").slice(0, 1_000);
}

async function diskProblems({ dataDir, diskFreeBytesMin, reserve, spoolBytes, spoolBytesMax }: ReadyInput): Promise<string[]> {
  const problems: string[] = [];
  try {
    const { bavail, bsize } = await statfs(dataDir);
    const [free, needed] = [bavail * bsize, diskFreeBytesMin];
    if (free < needed || !(await reserve())) {
      problems.push(`the disk that holds ${dataDir} has ${inMebibytes(free)} MiB free; free at least ${inMebibytes(needed)} MiB there`);
    }
  } catch (error) {
    problems.push(`${dataDir} cannot be written (${errorText(error)}); make it a directory that the daemon's user owns`);
  }
  if (spoolBytes() >= spoolBytesMax) {
    const held = `${inMebibytes(spoolBytes())} MiB of results wait for the keeper, the limit is ${inMebibytes(spoolBytesMax)} MiB`;
    problems.push(`${held}; bring the region's keeper back, or raise scanner.spoolBytesMax`);
  }
  return problems;
}

function inMebibytes(bytes: number): number {
  return Math.ceil(bytes / MEBIBYTE);
}

type Looked = { readonly kind: "view"; readonly view: ProberView } | { readonly kind: "problem"; readonly reason: string };

async function lookAround({ how, adapter }: ReadyInput): Promise<Looked> {
  const prober = startProber(how);
  try {
    return { kind: "view", view: await prober.look(adapter.interface ?? null) };
  } catch (error) {
    const line = [...how.launcher, how.tools.setpriv, "--pdeathsig", "KILL", how.tools.node ?? "node"].join(" ");
    return { kind: "problem", reason: `${errorText(error)}; check the scanner's launcher: it is started as "${line} …"` };
  } finally {
    await prober.end();
  }
}

async function placeProblems({ labMode }: ReadyInput, view: ProberView): Promise<string[]> {
  if (!labMode) return [];
  const own = await readlink("/proc/self/ns/net").catch(() => "");
  if (own !== "" && own !== view.network) return [];
  return [
    'lab mode is on, but the prober runs in the network of this host; set scanner.launcher to the lab\'s namespace, such as ["ip", "netns", "exec", "NAME"]',
  ];
}

async function checkMasscan(input: ReadyInput, view: ProberView): Promise<{ version: string | null; problems: string[] }> {
  const { how } = input;
  const said = await capture(how, [how.tools.masscan, "--version"], { timeoutMs: TOOL_TIMEOUT_MS });
  const version = parseMasscanVersion(said.stdout);
  if (version === null) {
    return { version, problems: [`masscan is missing (${how.tools.masscan}); install it, on Debian with: apt-get install masscan`] };
  }
  const problems: string[] = [];
  if (!TESTED_FAMILIES.includes(versionFamily(version))) {
    problems.push(`masscan ${version} is not tested; install one of ${TESTED_FAMILIES.map((family) => `${family}.x`).join(", ")}`);
  }
  if (view.ambientConfig) problems.push("masscan would read /etc/masscan/masscan.conf; remove it, or hide it from the scanner");
  if (!view.rawSockets && !(await hasFileCapability(input.how))) {
    problems.push(
      "masscan has no right to raw sockets; start the daemon with the ambient capability CAP_NET_RAW, as the systemd unit does",
    );
  }
  return { version, problems: [...problems, ...(await interfaceProblems(input, view))] };
}

/** Whether masscan's own file grants raw sockets (`setcap cap_net_raw=ep`). */
export async function hasFileCapability(how: Launch): Promise<boolean> {
  const found = await capture(how, ["sh", "-c", 'getcap "$(command -v "$1")"', "sh", how.tools.masscan], { timeoutMs: TOOL_TIMEOUT_MS });
  return found.stdout.includes("cap_net_raw");
}

async function interfaceProblems({ how }: ReadyInput, view: ProberView): Promise<string[]> {
  if (view.interface === null)
    return ["there is no default route, so masscan finds no interface; add a route, or set scanner.adapter.interface"];
  const offloads = await readOffloads(how, view.interface);
  if (offloads.kind === "problem") return [`${offloads.reason}; install ethtool, or set scanner.tools.ethtool to its path`];
  if (offloads.on.length === 0) return [];
  const remedy = ethtoolRemedy(how, view.interface, offloads.on);
  return [`offloads of ${view.interface} are on, so masscan would lose 2 to 25 % of the answers; run as root: ${remedy}`];
}
