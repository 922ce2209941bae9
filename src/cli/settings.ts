import { readFileSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { PortolanError } from "../core/errors.ts";
import { parseSettings } from "./toml.ts";

/** Where the API is and who asks, each with the place that said so. */
export type Settings = {
  readonly url: Setting | null;
  readonly token: Setting | null;
};
export type Setting = { readonly value: string; readonly origin: string };

/** The world around the program, as far as settings go. */
export type SettingsSources = {
  readonly flags: { readonly url?: string | undefined; readonly token?: string | undefined };
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  readonly systemFile?: string;
};

const KEYS: readonly string[] = ["url", "token", "token_file"];
const FILE_BYTES_MAX = 64 * 1024;

type Source = { readonly origin: string; readonly isFile: boolean; readonly url?: string | undefined; readonly token?: string | undefined };

/**
 * The first source that says something wins: flag, environment, ./portolan.toml, the user's own file, /etc, and at last what `npm start` left in ./data.
 *
 * A token from a file goes only to the address in that same file, or to one given by flag or environment:
 * else a stray portolan.toml in some folder could have the token sent to its own address. Throws `invalid` for a damaged file.
 */
export function readSettings(input: SettingsSources): Settings {
  const sources = listSources(input).map(({ read }) => read());
  const urlSource = sources.find((source) => source.url !== undefined);
  const url = urlSource?.url === undefined ? null : { value: normaliseUrl(urlSource.url, urlSource.origin), origin: urlSource.origin };
  const tokenSource = sources.find(
    (source) => source.token !== undefined && (!source.isFile || source === urlSource || urlSource?.isFile === false),
  );
  return {
    url,
    token: tokenSource?.token === undefined ? null : { value: tokenSource.token, origin: tokenSource.origin },
  };
}

/** Everything of a token that may be shown: kind and id, never the secret. */
export function redactToken(token: string): string {
  const match = /^(ptl_[a-z]+_[0-9a-f]{8})_/.exec(token);
  return `${match?.[1] ?? "…"}_…`;
}

/** One place that settings may come from, in the order of precedence. */
export type SourceReport = {
  readonly origin: string;
  /** `set` holds something, `empty` nothing, `absent` is a file that is not there, `damaged` cannot be used. */
  readonly state: "set" | "empty" | "absent" | "damaged";
  readonly keys: readonly string[];
  /** What is wrong or unwise, with its remedy. */
  readonly problem: string | null;
};

/** Looks at every source, also at those that others overrule. Never throws for what is in them. */
export function inspectSettings(input: SettingsSources): SourceReport[] {
  return listSources(input).map(({ origin, read }) => {
    try {
      const source = read();
      const keys = (["url", "token"] as const).filter((key) => source[key] !== undefined);
      if (source.url !== undefined) normaliseUrl(source.url, origin);
      if (keys.length === 0) return { origin, state: source.isFile && !exists(origin) ? "absent" : "empty", keys, problem: null };
      return { origin, state: "set", keys, problem: source.isFile && source.token !== undefined ? readableByOthers(origin) : null };
    } catch (error) {
      if (!(error instanceof PortolanError)) throw error;
      return { origin, state: "damaged", keys: [], problem: error.message };
    }
  });
}

function exists(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false }) !== undefined;
}

function readableByOthers(file: string): string | null {
  const mode = statSync(file).mode & 0o777;
  if ((mode & 0o077) === 0) return null;
  return `others on this machine can read it, and it leads to a token; run: chmod 600 ${file}`;
}

type Place = { readonly origin: string; readonly read: () => Source };

function listSources({ flags, env, cwd, systemFile = "/etc/portolan/config.toml" }: SettingsSources): Place[] {
  const home = env["XDG_CONFIG_HOME"] ?? (env["HOME"] === undefined ? undefined : join(env["HOME"], ".config"));
  const toml = (file: string): Place => ({ origin: file, read: () => fromToml(file) });
  const environment = (): Source => {
    return { origin: "environment", isFile: false, url: nonEmpty(env["PORTOLAN_URL"]), token: envToken(env) };
  };
  const credentials = join(cwd, "data", "credentials.json");
  return [
    { origin: "flag", read: () => ({ origin: "flag", isFile: false, url: flags.url, token: flags.token }) },
    { origin: "environment", read: environment },
    toml(join(cwd, "portolan.toml")),
    ...(home === undefined || home === "" ? [] : [toml(join(home, "portolan", "config.toml"))]),
    toml(systemFile),
    { origin: credentials, read: () => fromCredentials(credentials) },
  ];
}

function envToken(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const file = nonEmpty(env["PORTOLAN_TOKEN_FILE"]);
  const token = nonEmpty(env["PORTOLAN_TOKEN"]);
  if (token !== undefined || file === undefined) return token;
  return readSecretFile(file, "PORTOLAN_TOKEN_FILE");
}

function fromToml(file: string): Source {
  const text = readOptional(file);
  if (text === null) return { origin: file, isFile: true };
  const values = parseSettings(text, { source: file, keys: KEYS });
  const tokenFile = values.get("token_file");
  const token = values.get("token") ?? (tokenFile === undefined ? undefined : readSecretFile(resolve(dirname(file), tokenFile), file));
  return { origin: file, isFile: true, url: values.get("url"), token };
}

function fromCredentials(file: string): Source {
  const text = readOptional(file);
  if (text === null) return { origin: file, isFile: true };
  const value = parseJson(text);
  const url = value["url"];
  const token = value["token"];
  if (typeof url !== "string" || typeof token !== "string") {
    throw new PortolanError("invalid", `${file} is damaged; stop Portolan, delete the file and run "npm start" again`);
  }
  return { origin: file, isFile: true, url, token };
}

function parseJson(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

function readSecretFile(file: string, origin: string): string {
  const text = readOptional(file);
  if (text === null) throw new PortolanError("invalid", `${origin} names the token file ${file}, which does not exist; correct the path`);
  return text.trim();
}

/** Null when there is no such file. A file that is there but cannot be read is an error, not silence. */
function readOptional(file: string): string | null {
  try {
    const text = readFileSync(file, "utf8");
    if (text.length > FILE_BYTES_MAX) throw new PortolanError("invalid", `${file} is larger than any settings file; is it the right one?`);
    return text;
  } catch (error) {
    if (error instanceof PortolanError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return null;
    throw new PortolanError("invalid", `cannot read ${file} (${code ?? String(error)}); make it readable for you or remove it`, {
      cause: error,
    });
  }
}

function normaliseUrl(text: string, origin: string): string {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new PortolanError(
      "invalid",
      `"${text}" (${origin}) is no address of an API; write it like http://127.0.0.1:8080 or https://portolan.example`,
    );
  }
  return url.origin + url.pathname.replace(/\/+$/, "");
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === "" ? undefined : text;
}
