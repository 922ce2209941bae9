import type { Command } from "commander";
import { plural } from "../../web/format.ts";
import type { Finding } from "../doctor/finding.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import type { Tone } from "../output.ts";

const EXAMPLES = `
Examples:
  portolan doctor                                       this machine, and the installation that the settings name
  portolan doctor --config berlin-1.json                as that scanner: its key, its rights, its launcher and interface
  portolan doctor --no-machine --json                   only what is reached over the network

It scans nothing, claims no work and changes nothing. Exit code 0 when nothing failed (warnings may be left), 1 when something did,
2 when the configuration file cannot be used.`;

type Options = { readonly config?: string; readonly machine: boolean; readonly network: boolean };

/** `portolan doctor`: is everything there that scanning needs? */
export function registerDoctor(program: Command, session: Session): void {
  program
    .command("doctor")
    .description("look for what is missing or wrong, and say the remedy; scans nothing")
    .option("--config <file>", "configuration of a scanner or keeper: look with its key, rights and programs")
    .option("--no-machine", "leave out masscan, its rights and the network card")
    .option("--no-network", "leave out API and NATS")
    .addHelpText("after", EXAMPLES)
    .action(async (options: Options) => session.finish(await examine(session.context(), options)));
}

async function examine(context: Context, { config: file, machine, network }: Options): Promise<number> {
  // What it looks with takes longer to load than all the rest.
  const [{ checkApi }, { checkGreeting, checkRights }, { checkMachine, launchOf }, { readDaemonConfig }, { resolve }] = await Promise.all([
    import("../doctor/api.ts"),
    import("../doctor/nats.ts"),
    import("../doctor/machine.ts"),
    import("../../../scanner-daemon/config.ts"),
    import("node:path"),
  ]);
  const config = file === undefined ? null : readDaemonConfig(resolve(context.io.cwd, file));
  const findings: Finding[] = [];
  if (network) {
    // A scanner knows no API; without its own settings there is none to look at.
    const isScannerOnly = config !== null && context.settings().url === null;
    const api = isScannerOnly ? { findings: [], natsUrl: null } : await checkApi(context);
    findings.push(...api.findings);
    const natsUrl = config?.nats.url ?? api.natsUrl;
    if (natsUrl !== null) findings.push(await checkGreeting(natsUrl));
    if (config !== null) findings.push(...(await checkRights(config)));
  }
  const hasScanner = config === null || config.roles.includes("scanner");
  if (machine && hasScanner) findings.push(...(await checkMachine(launchOf(config?.scanner), config?.scanner?.adapter.interface ?? null)));
  show(context, findings);
  return findings.some(({ state }) => state === "fail") ? EXIT.findings : EXIT.ok;
}

const TONES: Readonly<Record<Finding["state"], Tone>> = { ok: "good", warn: "warn", fail: "bad" };

function show(context: Context, findings: readonly Finding[]): void {
  context.output.list(findings, {
    columns: [
      { title: "state", value: (row) => row.state, tone: (row) => TONES[row.state] },
      { title: "check", value: (row) => row.check },
      { title: "found", value: (row) => (row.remedy === null ? row.detail : `${row.detail}. Remedy: ${row.remedy}`) },
    ],
    empty: "Nothing was looked at.",
  });
  const [warned, failed] = (["warn", "fail"] as const).map((state) => findings.filter((finding) => finding.state === state).length);
  context.output.note(`${plural(failed ?? 0, "failure")}, ${plural(warned ?? 0, "warning")}.`);
}
