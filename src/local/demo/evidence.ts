import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Seen } from "../lab/playground.ts";
import { writeTruthFile, type Truth } from "../lab/truth.ts";
import type { DemoService } from "./api.ts";

/** Files from which anyone can recompute the result; one folder per phase. */
export type Evidence = {
  /** Truth, the lab's own list of the probes of the phase's last job, and the full export of services. */
  readonly phase: (name: string, facts: PhaseFacts) => Promise<void>;
  readonly file: (phase: string, name: string, text: string) => Promise<void>;
};

/** What a phase leaves behind. */
export type PhaseFacts = { readonly truth: Truth; readonly seen: Seen; readonly services: readonly DemoService[] };

/** One JSON text per line. */
export function ndjson(rows: readonly unknown[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join("");
}

/** Writes below `folder`; does nothing when there is none. */
export function makeEvidence(folder: string | undefined): Evidence {
  const file = async (phase: string, name: string, text: string): Promise<void> => {
    if (folder === undefined) return;
    await mkdir(join(folder, phase), { recursive: true });
    await writeFile(join(folder, phase, name), text);
  };
  return {
    file,
    phase: async (name, { truth, seen, services }) => {
      if (folder === undefined) return;
      await file(name, "services.ndjson", ndjson(services));
      await file(name, "probed.json", seen.raw);
      await writeTruthFile(join(folder, name, "truth.tsv"), truth);
    },
  };
}
