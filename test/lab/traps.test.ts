import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect } from "vitest";
import type { Assignment } from "../../src/core/messages/job.ts";
import { tileAt } from "../../src/core/tile.ts";
import type { Lab } from "../../src/local/lab/lab.ts";
import type { ScannerPlace } from "../../src/local/lab/playground.ts";
import { compareKeys, openKeys } from "../../src/local/lab/truth.ts";
import { labTest, SMALL } from "./lab-test.ts";
import { masscanPids, runJudged } from "./runner.ts";
import { assignmentOf, jobOf, type JobWish } from "./specs.ts";

function wholeLab(lab: Lab, wish: Partial<JobWish> = {}): Assignment {
  const spec = jobOf({
    include: lab.ranges,
    ports: lab.ports.join(),
    scanners: 1,
    pairsMax: null,
    rateLimitPps: 3_000,
    seed: "7",
    ...wish,
  });
  return assignmentOf(spec, tileAt(spec, 0), 1);
}

function firstPlace(lab: Lab): ScannerPlace {
  const [place] = lab.scanners;
  if (place === undefined) throw new Error("a lab without scanners");
  return place;
}

labTest("an undisturbed run is complete and finds the truth", SMALL, async (lab) => {
  const run = await runJudged(firstPlace(lab), wholeLab(lab));
  expect(run.outcome).toEqual({ kind: "complete" });
  expect(compareKeys(openKeys(lab.truth), run.found)).toEqual({ missed: [], extra: [] });
});

labTest("a run with offloads on is partial", SMALL, async (lab) => {
  await lab.offloads(0, true);
  const run = await runJudged(firstPlace(lab), wholeLab(lab));
  expect(run.evidence.offloadsOn).toContain("gro");
  expect(run.outcome).toMatchObject({ kind: "partial", reasons: [expect.stringContaining("offloads were on")] });
});

labTest("runs on a silent link are ended by the scanner's own poke, and are complete", { ...SMALL, noise: false }, async (lab) => {
  let pokes = 0;
  // A new link is not quite silent (neighbour and router discovery), so a run may be lucky; hardly four of them.
  for (let run = 1; run <= 4 && pokes === 0; run += 1) {
    const { evidence, outcome, found } = await runJudged(firstPlace(lab), wholeLab(lab));
    expect(outcome).toEqual({ kind: "complete" });
    expect(compareKeys(openKeys(lab.truth), found)).toEqual({ missed: [], extra: [] });
    pokes += evidence.pokes;
  }
  expect(pokes).toBeGreaterThan(0);
});

describe.each(["SIGINT", "SIGKILL"] as const)("%s in the middle", (signal) => {
  labTest("makes a run partial, and what it saw is still true", SMALL, async (lab) => {
    const place = firstPlace(lab);
    let sent = 0;
    const assignment = wholeLab(lab, { rateLimitPps: 500 });
    const kill = async (): Promise<void> => {
      for (const pid of await masscanPids(place)) process.kill(pid, signal);
    };
    const run = await runJudged(place, assignment, {
      onPercent: (percent) => {
        if (percent > 20 && (sent += 1) === 1) void kill();
      },
    });
    expect(sent).toBeGreaterThan(0);
    expect(run.outcome.kind).toBe("partial");
    if (signal === "SIGINT") expect(run.evidence).toMatchObject({ exitCode: 0, savedResume: true });
    else expect(run.evidence).toMatchObject({ signal });
    const { missed, extra } = compareKeys(openKeys(lab.truth), run.found);
    expect(extra).toEqual([]);
    expect(run.found.size).toBeGreaterThan(0);
    expect(missed.length).toBeGreaterThan(0);
  });
});

describe.each([
  ["another seed", "--seed 8", "seed"],
  ["seed 0, which masscan replaces by a random one", "--seed 0", "seed"],
  ["another rate", "--rate 5001", "rate"],
  ["a shard that does not exist", "--shard 3/2", "shard"],
  ["one more port", "-p 9999", "ports"],
  ["one more range", "--range 198.18.9.0/24", "ranges"],
  ["an exclusion of its own", "--exclude 198.18.0.0/28", "ranges"],
  ["a bad exclusion, which masscan ignores", "--exclude 198.18.0.0/99", ""],
  ["retries", "--retries 2", "retries"],
])("a masscan that would run with %s", (_name, extra, word) => {
  labTest("is refused before it sends a packet", SMALL, async (lab) => {
    const folder = await mkdtemp(join(tmpdir(), "portolan-trap-"));
    try {
      const masscan = join(folder, "masscan");
      await writeFile(masscan, `#!/bin/sh\nexec masscan "$@" ${extra}\n`, { mode: 0o755 });
      await lab.startSeen();
      const run = await runJudged(firstPlace(lab), wholeLab(lab), { masscan });
      expect(run.outcome.kind).toBe("partial");
      if (run.outcome.kind === "partial") expect(run.outcome.reasons.join()).toContain(word);
      expect((await lab.readSeen()).packets.size).toBe(0);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
