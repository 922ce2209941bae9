import { spawn } from "node:child_process";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, onTestFinished, test } from "vitest";
import { cancelSubject } from "../../../src/bus/names.ts";
import type { Assignment } from "../../../src/core/messages/job.ts";
import { makeRegion, type Region } from "./region.ts";
import { assignment, fakeTools, ownDirectory, realTools, until } from "./world.ts";

async function openPort(): Promise<number> {
  const server = createServer((socket) => socket.on("error", () => {}).destroy());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return (server.address() as AddressInfo).port;
}

function loopback(port: number, change: Partial<Assignment> = {}): Assignment {
  return assignment({ engine: "connect", ranges: ["127.0.0.1"], ports: String(port), pairs: 1, ...change });
}

function sightingCount(region: Region): number {
  return region.parts.reduce((sum, { sightings }) => sum + sightings.length, 0);
}

const never = { masscan: { sightings: 500, waits: 1, secondMs: 60_000 } };

describe("a scanner", () => {
  test("runs a connect assignment, sends its part and a complete report, empties queue and spool", async () => {
    const region = await makeRegion();
    const dataDir = await ownDirectory();
    await region.put(loopback(await openPort()));
    await region.scanner(dataDir, realTools).start();
    await until("the report", () => region.reports.length === 1);
    const [{ report } = { report: null }] = region.reports;
    expect(report).toMatchObject({ outcome: { kind: "complete" }, sightings: 1, scanner: "s1", probesSent: 1 });
    expect(report?.parts).toEqual([{ id: region.parts[0]?.id, sightings: 1 }]);
    await until("the empty queue", async () => (await region.queued()).length === 0);
    await until("the empty spool", async () => (await readdir(join(dataDir, "scanner/runs"))).length === 0);
    expect(region.heartbeats.at(-1)).toMatchObject({
      scanner: "s1",
      region: "eu",
      engines: expect.arrayContaining(["connect"]) as string[],
    });
  });

  test("cuts a masscan run into parts, and says how far it is meanwhile", async () => {
    const region = await makeRegion();
    await region.put(assignment());
    const how = await fakeTools(await ownDirectory(), { masscan: { sightings: 45_000, secondMs: 300 } });
    await region.scanner(await ownDirectory(), how, { sealEveryMs: 60_000 }).start();
    await until("the report", () => region.reports.length === 1);
    expect(region.parts.map(({ part }) => part.sightings).toSorted((a, b) => a - b)).toEqual([5_000, 20_000, 20_000]);
    expect(region.reports[0]?.report).toMatchObject({ outcome: { kind: "complete" }, sightings: 45_000 });
    expect(region.progress.length).toBeGreaterThan(0);
    expect(region.heartbeats.some(({ running }) => running?.job === "a".repeat(64))).toBe(true);
  });

  test("sends again until it is acknowledged, with the same ids and no double effect", async () => {
    const region = await makeRegion();
    region.replies.push("silent", { ok: false, retry: true, problem: "no lease yet" }, "silent");
    await region.put(loopback(await openPort()));
    await region.scanner(await ownDirectory(), realTools).start();
    await until("the report", () => region.reports.length === 1);
    expect(region.parts).toHaveLength(1);
  });

  test("sets aside a run that the keeper refuses for good, and goes on with the next", async () => {
    const region = await makeRegion();
    const dataDir = await ownDirectory();
    region.replies.push({ ok: false, retry: false, problem: "the scanner is not registered" });
    const port = await openPort();
    await region.put(loopback(port));
    await region.put(loopback(port, { key: { ...assignment().key, tile: 1 } }));
    // No part is sent before the run has ended, so the one refusal meets a finished run.
    await region.scanner(dataDir, realTools, { sealEveryMs: 60_000 }).start();
    await until("the other report", () => region.reports.some(({ report }) => report.key.tile === 1));
    expect(await readdir(join(dataDir, "scanner/refused"))).toHaveLength(1);
  });

  test("keeps everything while the message server is away", async () => {
    const region = await makeRegion();
    await region.put(assignment());
    const how = await fakeTools(await ownDirectory(), { masscan: { sightings: 500, secondMs: 500 } });
    const dataDir = await ownDirectory();
    await region.scanner(dataDir, how).start();
    await until("the run", () => region.progress.length > 0);
    region.server.stop();
    const files = (): Promise<string[]> => readdir(join(dataDir, "scanner/runs"), { recursive: true });
    await until("the run's last word", async () => (await files()).some((file) => file.endsWith("end.json")));
    expect(region.reports).toEqual([]);
    region.server.start();
    await until("the report", () => region.reports.length > 0);
    expect(sightingCount(region)).toBe(500);
    expect(region.reports[0]?.report.outcome).toEqual({ kind: "complete" });
  });

  test("throws unsigned work, foreign work and garbage away without running it", async () => {
    const region = await makeRegion();
    const port = await openPort();
    await region.put(loopback(port), { signature: "A".repeat(86) });
    await region.put(loopback(port, { key: { ...assignment().key, tile: 1 } }), { keeper: "UNKNOWN" });
    await region.put(loopback(port, { key: { ...assignment().key, tile: 2 }, scanner: "s2" }));
    await region.put(loopback(port, { key: { ...assignment().key, tile: 3 } }));
    await region.scanner(await ownDirectory(), realTools).start();
    await until("the good report", () => region.reports.length === 1);
    await until("the empty queue", async () => (await region.queued()).length === 0);
    expect(region.reports.map(({ report }) => report.key.tile)).toEqual([3]);
  });

  test("answers a repeat from its finished list instead of running it again", async () => {
    const region = await makeRegion();
    const task = loopback(await openPort());
    await region.put(task);
    await region.scanner(await ownDirectory(), realTools).start();
    await until("the report", () => region.reports.length === 1);
    await region.put(task);
    await until("the empty queue", async () => (await region.queued()).length === 0);
    expect(region.reports).toHaveLength(1);
  });

  test("declines work for another family of masscan with a partial report", async () => {
    const region = await makeRegion();
    await region.put(assignment({ masscanFamily: "2.0" }));
    await region.scanner(await ownDirectory(), await fakeTools(await ownDirectory())).start();
    await until("the report", () => region.reports.length === 1);
    expect(region.reports[0]?.report).toMatchObject({ evidence: null, outcome: { kind: "partial" }, sightings: 0 });
  });

  test("reports a cancelled job as partial, with what it had seen", async () => {
    const region = await makeRegion();
    await region.put(assignment());
    await region.scanner(await ownDirectory(), await fakeTools(await ownDirectory(), never)).start();
    await until("sightings", () => sightingCount(region) === 500);
    region.bus.publish(cancelSubject("s1"), Buffer.from(JSON.stringify({ job: "a".repeat(64), reason: "enough" })));
    await until("the report", () => region.reports.length === 1);
    expect(region.reports[0]?.report.outcome).toMatchObject({
      kind: "partial",
      reasons: expect.arrayContaining(["cancelled: enough"]) as string[],
    });
    expect(region.reports[0]?.report.sightings).toBe(500);
  });

  test("that is stopped reports its running assignment as partial before it ends", async () => {
    const region = await makeRegion();
    await region.put(assignment());
    const scanner = region.scanner(await ownDirectory(), await fakeTools(await ownDirectory(), never));
    await scanner.start();
    await until("sightings", () => sightingCount(region) === 500);
    await scanner.stop();
    expect(region.reports[0]?.report.outcome.kind).toBe("partial");
  });

  test("killed in the middle of a run takes masscan with it; its next start reports what was spooled as partial", async () => {
    const dataDir = await ownDirectory();
    const pidFile = join(dataDir, "pid");
    const how = await fakeTools(dataDir, never);
    const masscan = await readFile(how.tools.masscan, "utf8");
    await writeFile(
      how.tools.masscan,
      masscan.replace("FAKE_MASSCAN", () => `echo $$ > '${pidFile}'; FAKE_MASSCAN`),
    );
    const file = fileURLToPath(new URL("./crash-child.ts", import.meta.url));
    const child = spawn(process.execPath, [file, dataDir, JSON.stringify(assignment()), JSON.stringify(how)], { stdio: "ignore" });
    onTestFinished(() => void child.kill("SIGKILL"));
    const spooled = async (): Promise<string> => {
      const [run] = await readdir(join(dataDir, "scanner/runs")).catch(() => []);
      return run === undefined ? "" : readFile(join(dataDir, "scanner/runs", run, "sightings"), "utf8").catch(() => "");
    };
    await until("the spool", async () => (await spooled()).split("\n").filter((line) => line.startsWith("s")).length === 500);
    const pid = Number(await readFile(pidFile, "utf8"));
    expect(isAlive(pid)).toBe(true);
    child.kill("SIGKILL");
    await until("masscan's end", () => !isAlive(pid));
    await rm(pidFile);

    const region = await makeRegion();
    await region.put(assignment());
    await region.scanner(dataDir, how).start();
    await until("the report", () => region.reports.length === 1);
    expect(region.reports[0]?.report).toMatchObject({ evidence: null, outcome: { kind: "partial" }, sightings: 500 });
    expect(sightingCount(region)).toBe(500);
    await until("the empty queue", async () => (await region.queued()).length === 0);
    expect(region.reports).toHaveLength(1);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
