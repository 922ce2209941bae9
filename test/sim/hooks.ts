import { registerHooks } from "node:module";

/** Node's modules that the code under test sees in another form: file system, child processes and randomness of the simulated world. */
const SUBSTITUTES: Readonly<Record<string, string>> = {
  "node:child_process": "./platform/child-process.ts",
  "node:crypto": "./platform/crypto.ts",
  "node:fs": "./platform/fs.ts",
  "node:fs/promises": "./platform/fs-promises.ts",
};
const UNDER_TEST = /\/(?:scanner-daemon\/|src\/bus\/keys\.node\.ts$)/;

/** A mistake that is put into one source file while it is loaded. */
export type SourceMutant = { readonly file: string; readonly from: string; readonly to: string };

/** From now on, modules of the daemon are loaded with the substitutes, and with a mistake if one is given. Throws when the mistake fits nowhere. */
export function installHooks(mutants: readonly SourceMutant[]): void {
  registerHooks({
    resolve: (specifier, context, next) => {
      const substitute = SUBSTITUTES[specifier];
      if (substitute === undefined || !UNDER_TEST.test(context.parentURL ?? "")) return next(specifier, context);
      return next(new URL(substitute, import.meta.url).href, context);
    },
    load: (url, context, next) => {
      const loaded = next(url, context);
      const own = mutants.filter(({ file }) => url.endsWith(`/${file}`));
      if (own.length === 0) return loaded;
      let text = typeof loaded.source === "string" ? loaded.source : Buffer.from(loaded.source as Uint8Array).toString("utf8");
      for (const { file, from, to } of own) {
        if (!text.includes(from)) throw new Error(`${file} does not contain the text that the mutant changes: ${from}`);
        text = text.replaceAll(from, to);
      }
      return { ...loaded, source: text };
    },
  });
}
