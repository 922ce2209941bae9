import { readFile } from "node:fs/promises";
import { expect } from "vitest";
import { sha256Hex } from "../../../src/bus/keys.node.ts";
import { formatAddress } from "../../../src/core/address.ts";
import { judge } from "../../../src/core/masscan/outcome.ts";
import type { MasscanEvidence, Outcome } from "../../../src/core/messages/report.ts";
import type { Lab } from "../../../src/local/lab/lab.ts";
import { compareKeys, openKeys } from "../../../src/local/lab/truth.ts";
import { runConnect } from "../../../scanner-daemon/scanner/connect-run.ts";
import { runMasscan } from "../../../scanner-daemon/scanner/masscan-run.ts";
import { checkReady, readinessText } from "../../../scanner-daemon/scanner/ready.ts";
import type { RunProgress } from "../../../scanner-daemon/scanner/run.ts";
import { labTest, SMALL } from "../../lab/lab-test.ts";
import { assignment, ownDirectory, realTools, runInput } from "./world.ts";

type Ran = { readonly found: Set<string>; readonly outcome: Outcome; readonly evidence: MasscanEvidence | null };

/** Runs one whole assignment over the lab's ranges, as the scanner does. */
async function scan(
  lab: Lab,
  engine: "masscan" | "connect",
  {
    rateLimitPps = 3_000,
    onProgress = () => {},
  }: { readonly rateLimitPps?: number; readonly onProgress?: (progress: RunProgress) => void } = {},
): Promise<Ran> {
  const [place] = lab.scanners;
  const [canary = ""] = openKeys(lab.truth);
  const [address = "", port = ""] = canary.split("\t");
  const task = assignment({
    engine,
    ranges: [...lab.ranges],
    ports: lab.ports.join(),
    pairs: (256 + 16) * lab.ports.length,
    rateLimitPps,
    waitS: 2,
    seed: "18446744073709551615",
    connectTimeoutMs: 300,
    canaries: [{ address, port: Number(port) }],
  });
  const input = await runInput({ ...realTools, launcher: place?.launcher ?? [] }, task, { pokeEveryMs: 2_000, killAfterMs: 2_000 });
  const run = engine === "masscan" ? runMasscan : runConnect;
  const { evidence } = await run({ ...input, adapter: place?.adapter ?? {}, onProgress });
  const found = new Set(input.sightings.map((sighting) => `${formatAddress(sighting.address)}\t${sighting.port}`));
  return { found, outcome: judge(evidence, task, sha256Hex), evidence: evidence.engine === "masscan" ? evidence : null };
}

/** Sends SIGINT to the masscan that this process started. */
async function interruptMasscan(): Promise<void> {
  const children = await readFile(`/proc/${process.pid}/task/${process.pid}/children`, "utf8");
  for (const pid of children.trim().split(" ").map(Number)) {
    if ((await readFile(`/proc/${pid}/comm`, "utf8").catch(() => "")).trim() === "masscan") process.kill(pid, "SIGINT");
  }
}

labTest("both engines find exactly the truth, over IPv4 and IPv6, and are complete", SMALL, async (lab) => {
  for (const engine of ["masscan", "connect"] as const) {
    const { found, outcome } = await scan(lab, engine);
    expect(outcome).toEqual({ kind: "complete" });
    expect(compareKeys(openKeys(lab.truth), found)).toEqual({ missed: [], extra: [] });
  }
});

labTest("on a quiet link masscan is poked out of its last wait, and complete", { ...SMALL, noise: false }, async (lab) => {
  const { outcome, evidence } = await scan(lab, "masscan");
  expect(outcome).toEqual({ kind: "complete" });
  expect(evidence?.pokes).toBeLessThanOrEqual(3);
});

labTest("an interrupted masscan, which exits with 0, is partial", SMALL, async (lab) => {
  let interrupted = false;
  const onProgress = ({ percent }: RunProgress): void => {
    if (interrupted || percent < 10) return;
    interrupted = true;
    void interruptMasscan();
  };
  // Slow enough that a late signal still comes before the last probe.
  const { outcome, evidence } = await scan(lab, "masscan", { rateLimitPps: 400, onProgress });
  expect(evidence).toMatchObject({ exitCode: 0, signal: null, savedResume: true });
  expect(outcome.kind).toBe("partial");
});

labTest("offloads make a scanner not ready, with the line that helps, and a run partial", SMALL, async (lab) => {
  await lab.offloads(0, true);
  const { outcome } = await scan(lab, "masscan");
  expect(outcome.kind === "partial" && outcome.reasons.join()).toMatch(/offloads were on/);
  const [place] = lab.scanners;
  const readiness = await checkReady({
    how: { ...realTools, launcher: place?.launcher ?? [] },
    adapter: place?.adapter ?? {},
    labMode: true,
    dataDir: await ownDirectory(),
    diskFreeBytesMin: 1,
    reserve: () => Promise.resolve(true),
    spoolBytes: () => 0,
    spoolBytesMax: 1,
  });
  expect(readiness.engines).toEqual(["connect"]);
  expect(readinessText(readiness)).toContain(`run as root: ${place?.launcher.join(" ")} ethtool -K ${place?.adapter?.interface} `);
});
