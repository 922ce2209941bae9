import { statSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { inspectSettings, redactToken, type SourceReport } from "../settings.ts";
import type { Tone } from "../output.ts";

const HELP = `
The first source that says something wins:
  1. --url, --token
  2. PORTOLAN_URL, PORTOLAN_TOKEN or PORTOLAN_TOKEN_FILE
  3. ./portolan.toml
  4. ~/.config/portolan/config.toml (or under XDG_CONFIG_HOME)
  5. /etc/portolan/config.toml
  6. ./data/credentials.json, which "npm start" writes

A settings file holds url = "…" and token = "…" or token_file = "…". A token from a file goes only to the address in that same
file, or to one from 1 or 2. So a file in a folder that you happen to be in cannot have your token sent elsewhere.`;

const CHECK_HELP = `
Examples:
  portolan config check                       the settings of this command line
  portolan config check scanner/berlin-1.json      a configuration of the daemon

It asks nobody and shows no secret. Exit code 2 when something cannot be used. What does answer is told by "portolan doctor".`;

/** `portolan config …`: where the settings come from. */
export function registerConfig(program: Command, session: Session): void {
  const config = program.command("config").description("settings of this command line").addHelpText("after", HELP);
  config
    .command("show")
    .description("show the settings; of the token only its id")
    .option("--origin", "and where each comes from")
    .addHelpText("after", HELP)
    .action((options: { readonly origin?: boolean }) => session.finish(showConfig(session.context(), options.origin === true)));
  config
    .command("check [file]")
    .description("check every settings file, or a configuration file of the daemon")
    .addHelpText("after", CHECK_HELP)
    .action(async (file: string | undefined) => {
      const context = session.context();
      session.finish(file === undefined ? checkSettings(context) : await checkDaemonFile(context, file));
    });
}

function showConfig(context: Context, showsOrigin: boolean): number {
  const { url, token } = context.settings();
  const rows = [
    { key: "url", value: url?.value ?? "", origin: url?.origin ?? "not set" },
    { key: "token", value: token === null ? "" : redactToken(token.value), origin: token?.origin ?? "not set" },
  ];
  context.output.list(rows, {
    columns: [
      { title: "setting", value: (row) => row.key },
      { title: "value", value: (row) => row.value },
      ...(showsOrigin ? [{ title: "origin", value: (row: (typeof rows)[number]) => row.origin }] : []),
    ],
    empty: "",
  });
  return EXIT.ok;
}

const TONES: Readonly<Record<SourceReport["state"], Tone>> = { set: "good", empty: "quiet", absent: "quiet", damaged: "bad" };

function checkSettings(context: Context): number {
  const reports = inspectSettings(context.settingsSources());
  context.output.list(reports, {
    columns: [
      { title: "source", value: (row) => row.origin },
      { title: "state", value: (row) => row.state, tone: (row) => TONES[row.state] },
      { title: "gives", value: (row) => row.keys.join(", ") },
      { title: "problem", value: (row) => row.problem ?? "", tone: () => "warn" },
    ],
    empty: "",
  });
  if (reports.some(({ state }) => state === "damaged")) return EXIT.usage;
  const { url, token } = context.settings();
  if (url === null) context.output.note('No address of an API is known: give --url, PORTOLAN_URL, or url = "…" in a settings file.');
  else if (token === null) context.output.note(`No token goes to ${url.value}: tokens of files go only to the address in the same file.`);
  return EXIT.ok;
}

/** Throws `invalid` that names every wrong field. */
async function checkDaemonFile(context: Context, file: string): Promise<number> {
  // The daemon's schema takes longer to load than all the rest.
  const { readDaemonConfig } = await import("../../../scanner-daemon/config.ts");
  const path = resolve(context.io.cwd, file);
  const config = readDaemonConfig(path);
  const isSecret = config.keySeed !== undefined;
  const problem = isSecret && (statSync(path).mode & 0o077) !== 0 ? `others can read the key in it; run: chmod 600 ${path}` : null;
  const document = { file: path, region: config.region, roles: config.roles, nats: config.nats.url, problem };
  context.output.one(document, [
    `${path} is a usable configuration: ${config.roles.join(" and ")} of region ${config.region}, NATS at ${config.nats.url}`,
  ]);
  if (problem !== null) context.output.note(problem);
  return EXIT.ok;
}
