import { join } from "node:path";
import { readdir } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { sha256Hex } from "../../../src/bus/keys.node.ts";
import { judge } from "../../../src/core/masscan/outcome.ts";
import type { MasscanEvidence, Outcome } from "../../../src/core/messages/report.ts";
import { runMasscan } from "../../../scanner-daemon/scanner/masscan-run.ts";
import type { RunResult, RunTiming } from "../../../scanner-daemon/scanner/run.ts";
import { assignment, fakeTools, ownDirectory, runInput, type Fakes } from "./world.ts";

type Ran = {
  readonly result: RunResult;
  readonly evidence: MasscanEvidence;
  readonly outcome: Outcome;
  readonly input: Awaited<ReturnType<typeof runInput>>;
};

async function run(fakes: Fakes, change: Parameters<typeof assignment>[0] = {}, timing: Partial<RunTiming> = {}): Promise<Ran> {
  const task = assignment(change);
  const input = await runInput(await fakeTools(await ownDirectory(), fakes), task, timing);
  const result = await runMasscan(input);
  if (result.evidence.engine !== "masscan") throw new Error("wrong engine");
  return { result, evidence: result.evidence, outcome: judge(result.evidence, task, sha256Hex), input };
}

describe("a masscan run", () => {
  test("that does everything right is complete, keeps every sighting and leaves no files", async () => {
    const { outcome, input, evidence, result } = await run({ masscan: { sightings: 3_000, secondMs: 1_000 } });
    expect(outcome).toEqual({ kind: "complete" });
    expect(input.sightings).toHaveLength(3_000);
    expect(evidence).toMatchObject({ exitCode: 0, pokes: 0, waitedS: 1, linesRefused: 0 });
    expect(result).toMatchObject({ probesSent: 65_536, stopped: null });
    expect(input.progress.map(({ phase }) => phase)).toEqual(expect.arrayContaining(["starting", "probing", "waiting"]));
    expect(await readdir(input.directory)).toEqual([]);
  });

  test("that found nothing is complete too", async () => {
    expect((await run({ masscan: { sightings: 0 } })).outcome).toEqual({ kind: "complete" });
  });

  const lies: [string, Fakes, RegExp][] = [
    ["exits with a code", { masscan: { exitCode: 1 } }, /code 1/],
    ["was interrupted, though it exits with 0", { masscan: { resume: true, percent: 36 } }, /did not reach 100/],
    ["was interrupted at what looks like 100 %", { masscan: { resume: true } }, /resume file/],
    ["ends before its wait", { masscan: { waits: null } }, /did not reach 100/],
    ["says FAIL and exits with 0", { masscan: { stderr: "FAIL: something" } }, /FAIL: something/],
    ["ends within a line", { masscan: { cut: 5 } }, /ends within a line/],
    ["writes garbage", { masscan: { lines: "garbage\n" } }, /lines of masscan's output refused: 1, the first one no JSON/],
    ["is killed", { masscan: { killSelf: "SIGKILL" } }, /ended by SIGKILL/],
    ["crashes", { masscan: { killSelf: "SIGSEGV" } }, /ended by SIGSEGV/],
    ["would use another seed", { masscan: { echo: { seed: "8" } } }, /seed 8 instead of 7/],
    ["would use another rate", { masscan: { echo: { rate: "100" } } }, /rate 100 instead/],
    ["would use another shard", { masscan: { echo: { shard: "1/2" } } }, /shard 1\/2 instead/],
    ["would use other ports", { masscan: { echo: { ports: "81" } } }, /other ports/],
    ["would use other ranges", { masscan: { echoRanges: ["198.18.0.0/17"] } }, /other ranges/],
    ["complains in its echo", { masscan: { echoError: "CONF: bad" } }, /CONF: bad/],
    ["has an untested version", { masscan: { version: "2.0.1" } }, /2\.0/],
    ["runs with offloads on", { ethtool: "generic-receive-offload: on" }, /offloads were on \(gro\)/],
    ["loses packets at the interface", { prober: { dropsPerLook: 100 } }, /dropped 100 packets/],
  ];
  test.each(lies)("that %s is partial", async (_name, fakes, reason) => {
    const { outcome } = await run(fakes);
    expect(outcome.kind).toBe("partial");
    expect(outcome.kind === "partial" && outcome.reasons.join("\n")).toMatch(reason);
  });

  test.each([["seed"], ["rate"], ["shard"]])("with another %s sends no packet at all", async (name) => {
    const { input, evidence } = await run({ masscan: { echo: { [name]: name === "shard" ? "2/2" : "9" } } });
    expect(input.sightings).toEqual([]);
    expect(evidence.exitCode).toBe(null);
    expect(evidence.errorLines[0]).toMatch(/^not started/);
  });

  test("that waits for a shorter time than it should is partial", async () => {
    const { outcome } = await run({ masscan: { waits: 3 } }, { waitS: 3 });
    expect(outcome).toEqual({ kind: "partial", reasons: ["masscan waited 0 s for late answers instead of 3 s"] });
  });

  test("keeps whole records of a cut output", async () => {
    const { input } = await run({ masscan: { sightings: 10, cut: 5 } });
    expect(input.sightings).toHaveLength(9);
  });

  test("counts sightings outside its tile as refused lines and does not keep them", async () => {
    const { input, evidence, outcome } = await run({ masscan: { sightings: 300 } }, { ranges: ["198.18.0.0/24"], pairs: 256 });
    expect(input.sightings).toHaveLength(256);
    expect(evidence.linesRefused).toBe(44);
    expect(evidence.firstRefused).toMatch(/^[a-z ]+: ".+"$/);
    expect(outcome.kind).toBe("partial");
  });

  test("that hangs after its wait is poked and then complete", async () => {
    const pokeFile = join(await ownDirectory(), "poked");
    const { outcome, evidence } = await run({ masscan: { untilPoked: pokeFile }, prober: { pokeFile } });
    expect(outcome).toEqual({ kind: "complete" });
    // A slow machine may poke again before the first poke is felt; three would have killed it.
    expect([1, 2, 3]).toContain(evidence.pokes);
  });

  test("that does not react to three pokes is killed, even when it ignores SIGTERM", async () => {
    const { outcome, evidence, result } = await run({ masscan: { never: true } });
    expect(evidence).toMatchObject({ pokes: 3, signalSent: true, signal: "SIGKILL" });
    expect(result.stopped).toMatch(/3 pokes/);
    expect(outcome.kind).toBe("partial");
  });

  test("that takes too long is stopped", async () => {
    const slow = { waits: 1, secondMs: 60_000 };
    const { result, outcome } = await run({ masscan: slow }, { pairs: 1, rateLimitPps: 10_000, deadlineAtMs: Date.now() + 1 });
    expect(result.stopped).toMatch(/did not end within 1 s/);
    expect(outcome.kind).toBe("partial");
  });

  test("is blind when most canaries stay silent", async () => {
    const canaries = [1, 2, 3].map((last) => ({ address: `198.18.0.${last}`, port: 80 }));
    expect((await run({ prober: { canaries: "oof" } }, { canaries })).outcome).toEqual({ kind: "complete" });
    expect((await run({ prober: { canaries: "off" } }, { canaries })).outcome.kind).toBe("partial");
  });

  test("stops when it is told to, or when the spool takes no more", async () => {
    const how = await fakeTools(await ownDirectory(), { masscan: { waits: 1, secondMs: 60_000 } });
    const cancelled = await runInput(how, assignment());
    const running = runMasscan({
      ...cancelled,
      onProgress: ({ phase }) => phase === "waiting" && cancelled.abort.abort("cancelled: enough"),
    });
    expect(await running).toMatchObject({ stopped: "cancelled: enough", evidence: { signalSent: true } });
    const full = await runInput(how, assignment());
    const stopped = await runMasscan({ ...full, take: () => Promise.reject(new Error("the disk is full")) });
    expect(stopped).toMatchObject({ stopped: "the disk is full", evidence: { signalSent: true, stdoutEnded: false } });
  });

  test("of a tar pit is streamed: all of 200,000 sightings come through", async () => {
    const how = await fakeTools(await ownDirectory(), { masscan: { sightings: 200_000 } });
    const input = await runInput(how, assignment());
    let count = 0;
    const result = await runMasscan({ ...input, take: () => Promise.resolve(void (count += 1)) });
    expect(count).toBe(200_000);
    expect(result.stopped).toBe(null);
  });

  test("whose tools are missing says so", async () => {
    const how = await fakeTools(await ownDirectory());
    const missing = await runInput({ ...how, launcher: ["/nonexistent/launcher"] }, assignment());
    const result = await runMasscan(missing);
    expect(result.stopped).toMatch(/ENOENT/);
    expect(judge(result.evidence, assignment(), sha256Hex).kind).toBe("partial");
    const noBuffer = await runInput({ ...how, tools: { ...how.tools, stdbuf: "/nonexistent/stdbuf" } }, assignment());
    expect(judge((await runMasscan(noBuffer)).evidence, assignment(), sha256Hex).kind).toBe("partial");
  });
});
