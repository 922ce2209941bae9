import type { Command } from "commander";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { redactToken } from "../settings.ts";

const HELP = `
The first source that says something wins:
  1. --url, --token
  2. PORTOLAN_URL, PORTOLAN_TOKEN or PORTOLAN_TOKEN_FILE
  3. ./portolan.toml
  4. ~/.config/portolan/config.toml (or under XDG_CONFIG_HOME)
  5. /etc/portolan/config.toml
  6. ./data/credentials.json, which "npm start" writes

A settings file holds url = "…" and token = "…" or token_file = "…". A token from a file goes only to the address in that same
file, or to one from 1 or 2.`;

/** `portolan config …`: where the settings come from. */
export function registerConfig(program: Command, session: Session): void {
  const config = program.command("config").description("settings of this command line").addHelpText("after", HELP);
  config
    .command("show")
    .description("show the settings; of the token only its id")
    .option("--origin", "and where each comes from")
    .addHelpText("after", HELP)
    .action((options: { readonly origin?: boolean }) => session.finish(showConfig(session.context(), options.origin === true)));
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
