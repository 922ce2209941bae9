import { registerHooks } from "node:module";

/** A mistake that one source file gets while it is loaded. */
export type SourceMistake = { readonly file: string; readonly from: string; readonly to: string };

// Node strips the types itself here: other loaders would reformat the text before it comes to the hook.
/** From now on the file is loaded with the mistake. Throws, when it is loaded, if the mistake fits nowhere. */
export function plant({ file, from, to }: SourceMistake): void {
  registerHooks({
    load: (url, context, next) => {
      const loaded = next(url, context);
      if (!url.endsWith(`/${file}`)) return loaded;
      const { source } = loaded;
      const text = typeof source === "string" ? source : Buffer.from(source as Uint8Array).toString("utf8");
      if (!text.includes(from)) throw new Error(`${file} does not contain what the mutant changes: ${from}`);
      return { ...loaded, source: text.replaceAll(from, to) };
    },
  });
}
