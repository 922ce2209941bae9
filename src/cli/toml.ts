import { PortolanError } from "../core/errors.ts";

const LINE = /^\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\["\\])*)"|'([^']*)')\s*(?:#.*)?$/;

/**
 * The strings of a settings file: `key = "value"` lines and comments, which is all of TOML that the settings need.
 * Throws `invalid` that names the line for anything else, rather than guess.
 */
export function parseSettings(text: string, source: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#.*)?$/.test(line)) continue;
    const match = LINE.exec(line);
    const key = match?.[1];
    if (match === null || key === undefined) {
      throw new PortolanError(
        "invalid",
        `${source}, line ${index + 1} is not of the form key = "value"; correct it (keys: url, token, token_file)`,
      );
    }
    if (values.has(key))
      throw new PortolanError("invalid", `${source}, line ${index + 1} gives "${key}" a second time; keep one of the two`);
    values.set(key, match[2]?.replace(/\\(["\\])/g, "$1") ?? match[3] ?? "");
  }
  return values;
}
