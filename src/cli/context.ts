import { openApi, type Api } from "./client.ts";
import type { Io } from "./io.ts";
import { createOutput, type ColorChoice, type Output } from "./output.ts";
import { readSettings, type Settings, type SettingsSources } from "./settings.ts";
import { visible } from "./text.ts";

/** Options that every command has. */
export type GlobalOptions = {
  readonly url?: string;
  readonly token?: string;
  readonly json?: boolean;
  readonly ndjson?: boolean;
  readonly quiet?: boolean;
  readonly verbose?: boolean;
  readonly dryRun?: boolean;
  readonly color: ColorChoice;
};

/** What a command works with. Settings are read when they are first needed, so that help needs none. */
export type Context = {
  readonly io: Io;
  readonly output: Output;
  readonly isDryRun: boolean;
  settings(): Settings;
  /** Where settings are looked for. */
  settingsSources(): SettingsSources;
  /** With `sendsAnyway` a rehearsal is sent too: the request itself says that it is one. */
  api(options?: { readonly sendsAnyway?: boolean }): Api;
};

/** What the actions of commands get from the program, and give back to it. */
export type Session = {
  /** For the options of this run. */
  context(): Context;
  /** How the process will end. */
  finish(exitCode: number): void;
};

export function createContext(io: Io, options: GlobalOptions): Context {
  const format = options.json === true ? "json" : options.ndjson === true ? "ndjson" : "table";
  let settings: Settings | null = null;
  const sources: SettingsSources = { flags: { url: options.url, token: options.token }, env: io.env, cwd: io.cwd };
  const read = (): Settings => (settings ??= readSettings(sources));
  const onCall = options.verbose === true ? (line: string): void => io.stderr.write(`${visible(line)}\n`) : undefined;
  const isDryRun = options.dryRun === true;
  return {
    io,
    output: createOutput(io, { format, isQuiet: options.quiet === true, color: options.color }),
    isDryRun,
    settings: read,
    settingsSources: () => sources,
    api: ({ sendsAnyway = false } = {}) =>
      openApi(io, read(), { isDryRun: isDryRun && !sendsAnyway, ...(onCall === undefined ? {} : { onCall }) }),
  };
}
