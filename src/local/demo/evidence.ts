import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Playground } from "../lab/playground.ts";
import { writeTruthFile } from "../lab/truth.ts";
import type { DemoService } from "./api.ts";

/** Files from which anyone can recompute the result; one folder per phase. */
export type Evidence = {
  /** Truth, the lab's own list of probes since the last `startSeen`, and the full export of services. */
  readonly phase: (name: string, playground: Playground, services: readonly DemoService[]) => Promise<void>;
  readonly file: (phase: string, name: string, text: string) => Promise<void>;
};

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
    phase: async (name, playground, services) => {
      if (folder === undefined) return;
      await file(name, "services.ndjson", ndjson(services));
      await file(name, "probed.json", (await playground.readSeen()).raw);
      await writeTruthFile(join(folder, name, "truth.tsv"), playground.truth);
    },
  };
}
