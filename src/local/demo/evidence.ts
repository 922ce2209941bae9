import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Playground } from "../lab/playground.ts";
import { writeTruthFile } from "../lab/truth.ts";
import type { Registers } from "./registers.ts";

/** Files from which anyone can recompute the result; one folder per phase. */
export type Evidence = {
  /** Truth, the lab's own list of the probes of the phase's last job, and each region's full export of services. */
  readonly phase: (name: string, facts: PhaseFacts) => Promise<void>;
  /** The lab's own list of probes so far; it takes seconds, so it is read only when it is kept. */
  readonly probes: (phase: string, name: string, playground: Playground) => Promise<void>;
  readonly file: (phase: string, name: string, text: string) => Promise<void>;
};

/** What a phase leaves behind. */
export type PhaseFacts = { readonly playground: Playground; readonly registers: Registers };

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
  const probes: Evidence["probes"] = async (phase, name, playground) => {
    if (folder !== undefined) await file(phase, name, (await playground.readSeen()).raw);
  };
  return {
    file,
    probes,
    phase: async (name, { playground, registers }) => {
      if (folder === undefined) return;
      for (const [region, { services }] of registers.byRegion) await file(name, `services-${region}.ndjson`, ndjson(services));
      await probes(name, "probed.json", playground);
      await writeTruthFile(join(folder, name, "truth.tsv"), playground.truth);
    },
  };
}
