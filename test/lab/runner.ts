import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runMasscan } from "../../scanner-daemon/scanner/masscan-run.ts";
import { sha256Hex } from "../../src/bus/keys.node.ts";
import { formatAddress } from "../../src/core/address.ts";
import { judge } from "../../src/core/masscan/outcome.ts";
import type { Assignment } from "../../src/core/messages/job.ts";
import type { MasscanEvidence, Outcome } from "../../src/core/messages/report.ts";
import { runCommand } from "../../src/local/lab/command.ts";
import type { ScannerPlace } from "../../src/local/lab/playground.ts";

/** What the scanner's own runner says of one run, and what is decided from that. */
export type JudgedRun = { readonly found: ReadonlySet<string>; readonly evidence: MasscanEvidence; readonly outcome: Outcome };

/** Runs one assignment as the scanner daemon does. `onPercent` is told how far it is. */
export async function runJudged(
  place: ScannerPlace,
  assignment: Assignment,
  options: { readonly masscan?: string; readonly onPercent?: (percent: number) => void } = {},
): Promise<JudgedRun> {
  const directory = await mkdtemp(join(tmpdir(), "portolan-run-"));
  const found = new Set<string>();
  try {
    const { evidence } = await runMasscan({
      assignment,
      how: {
        launcher: place.launcher,
        tools: { masscan: options.masscan ?? "masscan", ethtool: "ethtool", stdbuf: "stdbuf", setpriv: "setpriv" },
      },
      adapter: place.adapter ?? {},
      directory,
      take: async ({ address, port }) => void found.add(`${formatAddress(address)}\t${port}`),
      onProgress: ({ percent }) => options.onPercent?.(percent),
      signal: new AbortController().signal,
      nowMs: () => assignment.deadlineAtMs - 3_600_000,
      timing: { pokeEveryMs: 500 },
    });
    if (evidence.engine !== "masscan") throw new Error("not masscan's evidence");
    return { found, evidence, outcome: judge(evidence, assignment, sha256Hex) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Process ids of masscan in one lab namespace: only what this lab started can be in there. */
export async function masscanPids(place: ScannerPlace): Promise<number[]> {
  const namespace = place.launcher.at(-1) ?? "";
  const pids = (await runCommand(["ip", "netns", "pids", namespace])).split("\n").filter(Boolean).map(Number);
  const names = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")));
  return pids.filter((_, i) => names[i]?.trim() === "masscan");
}
