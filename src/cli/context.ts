import { openApi, type Api } from "./client.ts";
import type { Io } from "./io.ts";
import { createOutput, type ColorChoice, type Output } from "./output.ts";
import { readSettings, type Settings } from "./settings.ts";

/** Options that every command has. */
export type GlobalOptions = {
  readonly url?: string;
  readonly token?: string;
  readonly json?: boolean;
  readonly ndjson?: boolean;
  readonly quiet?: boolean;
  readonly dryRun?: boolean;
  readonly color: ColorChoice;
};

/** What a command works with. Settings are read when they are first needed, so that help needs none. */
export type Context = {
  readonly io: Io;
  readonly output: Output;
  readonly isDryRun: boolean;
  settings(): Settings;
  api(): Api;
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
  const read = (): Settings => (settings ??= readSettings({ flags: { url: options.url, token: options.token }, env: io.env, cwd: io.cwd }));
  const isDryRun = options.dryRun === true;
  return {
    io,
    output: createOutput(io, { format, isQuiet: options.quiet === true, color: options.color }),
    isDryRun,
    settings: read,
    api: () => openApi(io, read(), { isDryRun }),
  };
}
