import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";
import type { Assignment } from "../../../src/core/messages/job.ts";
import type { Sighting } from "../../../src/core/columns.ts";
import type { Launch } from "../../../scanner-daemon/scanner/launch.ts";
import type { RunInput, RunProgress, RunTiming } from "../../../scanner-daemon/scanner/run.ts";

/** A directory of this test, removed after it. */
export async function ownDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "portolan-scanner-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** What the stand-ins for masscan, the prober and ethtool are told. */
export type Fakes = {
  readonly masscan?: Record<string, unknown>;
  readonly prober?: Record<string, unknown>;
  readonly ethtool?: string;
};

/** Tools that are stand-ins, as small programs in `directory`: the real runner cannot tell. */
export async function fakeTools(directory: string, fakes: Fakes = {}): Promise<Launch> {
  const program = async (name: string, body: string): Promise<string> => {
    const file = join(directory, name);
    await writeFile(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    return file;
  };
  const script = (name: string): string => `'${process.execPath}' '${fileURLToPath(new URL(name, import.meta.url))}'`;
  const features = fakes.ethtool ?? "generic-receive-offload: off\ngeneric-segmentation-offload: off";
  return {
    launcher: [],
    tools: {
      masscan: await program("masscan", `FAKE_MASSCAN='${JSON.stringify(fakes.masscan ?? {})}' exec ${script("./fake-masscan.mjs")} "$@"`),
      node: await program("prober", `FAKE_PROBER='${JSON.stringify(fakes.prober ?? {})}' exec ${script("./fake-prober.mjs")}`),
      ethtool: await program("ethtool", `printf '${features.replaceAll("\n", "\\n")}\\n'`),
      stdbuf: "stdbuf",
      setpriv: "setpriv",
    },
  };
}

/** Tools that are real, without a launcher: for loopback only. */
export const realTools: Launch = {
  launcher: [],
  tools: { masscan: "masscan", ethtool: "ethtool", stdbuf: "stdbuf", setpriv: "setpriv" },
};

/** An assignment as a keeper would make it. */
export function assignment(change: Partial<Assignment> = {}): Assignment {
  return {
    version: 1,
    key: { job: "a".repeat(64), tile: 0, shard: 1, attempt: 1 },
    scanner: "s1",
    region: "eu",
    plan: "office",
    shardCount: 1,
    engine: "masscan",
    ranges: ["198.18.0.0/16"],
    ports: "80",
    pairs: 65_536,
    seed: "7",
    rateLimitPps: 10_000,
    retries: 0,
    waitS: 1,
    connectTimeoutMs: 500,
    masscanFamily: "1.3",
    canaries: [],
    deadlineAtMs: Date.now() + 3_600_000,
    ...change,
  };
}

/** A run whose sightings are kept in memory. */
export async function runInput(
  how: Launch,
  task: Assignment,
  timing: Partial<RunTiming> = {},
): Promise<RunInput & { readonly sightings: Sighting[]; readonly progress: RunProgress[]; readonly abort: AbortController }> {
  const abort = new AbortController();
  const sightings: Sighting[] = [];
  const progress: RunProgress[] = [];
  return {
    assignment: task,
    how,
    adapter: {},
    directory: await ownDirectory(),
    take: (sighting) => Promise.resolve(void sightings.push(sighting)),
    onProgress: (one) => void progress.push(one),
    signal: abort.signal,
    nowMs: () => Date.now(),
    timing: { pokeEveryMs: 100, killAfterMs: 200, ...timing },
    sightings,
    progress,
    abort,
  };
}

/** Waits until `holds` says so; fails after `timeoutMs`, naming what was awaited. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadlineMs = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > deadlineMs) throw new Error(`waited ${timeoutMs} ms in vain for: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
