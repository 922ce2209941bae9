import { registerHooks } from "node:module";
import type { Edit } from "./mutants.ts";

/** Node's modules that the code under test sees in another form: file system, child processes and randomness of the simulated world. */
const SUBSTITUTES: Readonly<Record<string, string>> = {
  "node:child_process": "./platform/child-process.ts",
  "node:crypto": "./platform/crypto.ts",
  "node:fs": "./platform/fs.ts",
  "node:fs/promises": "./platform/fs-promises.ts",
};
const UNDER_TEST = /\/(?:scanner-daemon\/|src\/bus\/keys\.node\.ts$)/;

/**
 * From now on, modules of the daemon are loaded with the substitutes, and every source file that `edits` name with their
 * mistakes. Throws while a module is loaded whose text an edit does not fit.
 */
export function installHooks(edits: readonly Edit[]): void {
  registerHooks({
    resolve: (specifier, context, next) => {
      const substitute = SUBSTITUTES[specifier];
      if (substitute === undefined || !UNDER_TEST.test(context.parentURL ?? "")) return next(specifier, context);
      return next(new URL(substitute, import.meta.url).href, context);
    },
    load: (url, context, next) => {
      const loaded = next(url, context);
      const own = edits.filter(({ file }) => url.endsWith(`/${file}`));
      if (own.length === 0) return loaded;
      let text = typeof loaded.source === "string" ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString("utf8");
      for (const edit of own) text = edited(text, edit);
      return { ...loaded, source: text };
    },
  });
}

/** SQL with the mistakes that `edits` put into migrations; null when there are none. Throws when the edits fit none of `files`. */
export function sqlEdits(edits: readonly Edit[], read: (file: string) => string): ((sql: string) => string) | null {
  const own = edits.filter(({ file }) => file.endsWith(".sql"));
  for (const edit of own) edited(read(edit.file), edit);
  return own.length === 0 ? null : (sql) => own.reduce((text, { from, to }) => text.replaceAll(from, to), sql);
}

function edited(text: string, { file, from, to }: Edit): string {
  if (!text.includes(from)) throw new Error(`${file} does not contain the text that the mutant changes: ${from}`);
  return text.replaceAll(from, to);
}
