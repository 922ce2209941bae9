import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DaemonConfig } from "../../../scanner-daemon/config.ts";
import { capture, type Launch } from "../../../scanner-daemon/scanner/launch.ts";
import { ethtoolRemedy, readOffloads } from "../../../scanner-daemon/scanner/place.ts";
import { startProber } from "../../../scanner-daemon/scanner/prober-client.ts";
import type { ProberView } from "../../../scanner-daemon/scanner/prober-protocol.ts";
import { hasFileCapability } from "../../../scanner-daemon/scanner/ready.ts";
import { sha256Hex } from "../../bus/keys.node.ts";
import { type MasscanTask, masscanArgv } from "../../core/masscan/argv.ts";
import { parseEcho, parseMasscanVersion, TESTED_FAMILIES, versionFamily } from "../../core/masscan/echo.ts";
import { findTool } from "../../local/tools.ts";
import { fail, type Finding, ok, warn } from "./finding.ts";

const TOOL_TIMEOUT_MS = 10_000;
const CONNECT_ONLY = "without it this machine scans with TCP connects only";

/** Of documentation's own network, and only echoed: nothing is ever sent to it. */
const REHEARSAL: MasscanTask = {
  key: { job: "0".repeat(64), tile: 0, shard: 2, attempt: 1 },
  shardCount: 3,
  ranges: ["192.0.2.0/24"],
  ports: "1-2,80,U:53",
  seed: "1234567890123456789",
  rateLimitPps: 1_000,
  retries: 1,
  waitS: 5,
};

/** How the scanner of a configuration starts its programs; without one, as `npm start` would on this machine. */
export function launchOf(scanner: DaemonConfig["scanner"]): Launch {
  if (scanner !== undefined) return { launcher: scanner.launcher, tools: scanner.tools };
  const found = (name: string): string => findTool(name) ?? name;
  const tools = { masscan: found("masscan"), ethtool: found("ethtool"), stdbuf: found("stdbuf"), setpriv: found("setpriv") };
  return { launcher: [], tools };
}

/** What decides whether this machine can scan: masscan, its rights, the network card. Starts programs, sends nothing. Never throws. */
export async function checkMachine(how: Launch, interfaceName: string | null): Promise<Finding[]> {
  const prober = startProber(how);
  let view: ProberView;
  try {
    view = await prober.look(interfaceName);
  } catch (error) {
    const line = [...how.launcher, how.tools.setpriv].join(" ");
    const detail = error instanceof Error ? error.message : String(error);
    return [fail("machine", detail, `check that "${line}" can be run here (package util-linux), and the scanner's launcher`)];
  } finally {
    await prober.end();
  }
  return [...(await checkMasscan(how, view)), await checkRights(how, view), await checkOffloads(how, view)];
}

async function checkMasscan(how: Launch, view: ProberView): Promise<Finding[]> {
  const said = await capture(how, [how.tools.masscan, "--version"], { timeoutMs: TOOL_TIMEOUT_MS });
  const version = parseMasscanVersion(said.stdout);
  if (version === null)
    return [warn("masscan", `${how.tools.masscan} cannot be run; ${CONNECT_ONLY}`, "on Debian: apt-get install masscan")];
  const tested = TESTED_FAMILIES.map((family) => `${family}.x`).join(", ");
  if (!TESTED_FAMILIES.includes(versionFamily(version))) {
    return [warn("masscan", `version ${version} is not tested, so it is not used`, `install one of ${tested}`)];
  }
  const findings = [ok("masscan", `version ${version} (${how.tools.masscan})`), await checkFlags(how, version)];
  if (view.ambientConfig) {
    findings.push(
      fail("masscan settings", "masscan would read /etc/masscan/masscan.conf unasked", "remove that file, or hide it from the scanner"),
    );
  }
  return findings;
}

/** Has masscan say what it would do with the flags of an assignment, as before every real run. */
async function checkFlags(how: Launch, version: string): Promise<Finding> {
  const dir = mkdtempSync(join(tmpdir(), "portolan-doctor-"));
  try {
    const rangesFile = join(dir, "ranges");
    writeFileSync(rangesFile, `${REHEARSAL.ranges.join("\n")}\n`);
    const argv = [how.tools.masscan, ...masscanArgv(REHEARSAL, { rangesFile }), "--echo"];
    const said = await capture(how, argv, { cwd: dir, timeoutMs: TOOL_TIMEOUT_MS });
    const echo = parseEcho(said.stdout, { version, sha256: sha256Hex });
    const remedy = `install masscan ${TESTED_FAMILIES.map((family) => `${family}.x`).join(", ")} from your distribution`;
    if (echo.kind === "problem")
      return fail("masscan flags", `${echo.reason}${said.stderr === "" ? "" : ` (${said.stderr.trim().slice(0, 200)})`}`, remedy);
    const { effective } = echo;
    const isSame =
      effective.seed === REHEARSAL.seed &&
      effective.shard === REHEARSAL.key.shard &&
      effective.shardCount === REHEARSAL.shardCount &&
      effective.rateLimitPps === REHEARSAL.rateLimitPps;
    return isSame
      ? ok("masscan flags", "shard, seed, rate and ports are taken exactly as given")
      : fail("masscan flags", "masscan would run with other values than it is given", remedy);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function checkRights(how: Launch, view: ProberView): Promise<Finding> {
  if (view.rawSockets) return ok("raw sockets", "CAP_NET_RAW is there");
  if (await hasFileCapability(how)) return ok("raw sockets", "masscan's own file grants CAP_NET_RAW");
  const remedy = "run the scanner by its systemd unit, which grants CAP_NET_RAW, or run this as the user of the scanner";
  return warn("raw sockets", `no CAP_NET_RAW here; ${CONNECT_ONLY}`, remedy);
}

async function checkOffloads(how: Launch, view: ProberView): Promise<Finding> {
  if (view.interface === null) {
    return warn("offloads", "there is no default route, so masscan finds no interface", "add a route, or set scanner.adapter.interface");
  }
  const offloads = await readOffloads(how, view.interface);
  if (offloads.kind === "problem") return warn("offloads", offloads.reason, "install ethtool, or set scanner.tools.ethtool to its path");
  if (offloads.on.length === 0) return ok("offloads", `those of ${view.interface} are off, as masscan needs it`);
  const detail = `${offloads.on.join(", ")} of ${view.interface} are on: masscan would lose 2 to 25 % of the answers, so it is not used`;
  return warn("offloads", detail, `run as root: ${ethtoolRemedy(how, view.interface, offloads.on)}`);
}
