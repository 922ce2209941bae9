import { parse, TomlError } from "smol-toml";
import { PortolanError } from "../core/errors.ts";

/**
 * The settings of a TOML file: strings only, and only the keys that there are. Throws `invalid` that names file and, where it can be told, the line
 * for anything else, rather than guess.
 */
export function parseSettings(
  text: string,
  { source, keys }: { readonly source: string; readonly keys: readonly string[] },
): Map<string, string> {
  const values = new Map<string, string>();
  for (const [key, value] of Object.entries(read(text, source))) {
    if (!keys.includes(key)) throw new PortolanError("invalid", `${source} has an unknown key "${key}"; known are ${keys.join(", ")}`);
    if (typeof value !== "string") throw new PortolanError("invalid", `${source}: ${key} is no text; write it like ${key} = "…"`);
    values.set(key, value);
  }
  return values;
}

function read(text: string, source: string): Record<string, unknown> {
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const why = error.message.split("\n")[0]?.replace(/^Invalid TOML document: /, "") ?? "";
    throw new PortolanError("invalid", `${source}, line ${error.line}: ${why}. Settings are written like url = "http://127.0.0.1:4280"`, {
      cause: error,
    });
  }
}
