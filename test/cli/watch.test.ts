import { Writable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Job, Shard } from "../../src/cli/commands/job-common.ts";
import { createBars } from "../../src/cli/watch-bars.ts";
import { progressLine } from "../../src/cli/watch.ts";
import { PortolanError } from "../../src/core/errors.ts";
import { JOB, JOB_ID } from "../api/harness.ts";
import { type TestCli, startTestCli } from "./harness.ts";

let cli: TestCli;
beforeAll(async () => {
  cli = await startTestCli();
});
afterAll(() => cli.close());

function jsonOf(text: string): Record<string, unknown> {
  return JSON.parse(text) as Record<string, unknown>;
}

const JOB_ROW: Job = { ...JOB, tiles: { total: 8, complete: 2, abandoned: 1 } };
const SHARD: Shard = {
  tile: 3,
  shard: 1,
  scanner: "de01",
  region: "eu",
  attempt: 2,
  state: "running",
  percent: 41.6,
  ratePps: 9_900,
  found: 128,
  remainingS: 83,
  problem: null,
};

/** A terminal that remembers what was written to it. */
function fakeTerminal(): { readonly stream: NodeJS.WriteStream; text(): string } {
  let written = "";
  const stream = new Writable({
    write: (bytes, _encoding, done) => {
      written += String(bytes);
      done();
    },
  });
  Object.assign(stream, { isTTY: true, columns: 120, rows: 40, cursorTo: () => true, moveCursor: () => true, clearLine: () => true });
  return { stream: stream as unknown as NodeJS.WriteStream, text: () => written };
}

test("a terminal gets one bar for the tiles and one for each scanner at work", () => {
  const terminal = fakeTerminal();
  const bars = createBars(terminal.stream);
  bars.show({ job: JOB_ROW, running: [SHARD, { ...SHARD, scanner: "fr\x1b[2J", attempt: 1, percent: null, remainingS: null }] });
  bars.end(null);
  bars.end(null);
  const text = terminal.text();
  expect(text).toMatch(/tiles: .*25 % 2 of 8, 1 abandoned {2}19\.8 kpps/);
  expect(text).toMatch(/de01 .*█░.* 41 % tile 3 shard 1 attempt 2 {2}9\u202f900 pps {2}128 found {2}1 min 23 s left/);
  expect(text).not.toContain("\x1b[2J");
});

test("bars end with the job as it ended, not as it was last seen running", () => {
  const terminal = fakeTerminal();
  const bars = createBars(terminal.stream);
  bars.show({ job: JOB_ROW, running: [SHARD] });
  bars.end({ ...JOB_ROW, state: "complete", tiles: { total: 8, complete: 8, abandoned: 0 } });
  expect(
    terminal
      .text()
      .split("\n")
      .findLast((line) => line.includes("tiles:")),
  ).toContain("100 % 8 of 8");
});

test("without a terminal one line tells the tiles, each running shard and the whole rate", () => {
  const line = progressLine({ job: JOB_ROW, running: [SHARD, { ...SHARD, scanner: "fr\n02", shard: 2 }] });
  expect(line).toBe(`office ${JOB.id.slice(0, 12)}: 2 of 8 tiles; de01 tile 3 shard 1 41 %, fr\\x0a02 tile 3 shard 2 41 %; 19.8 kpps`);
});

test("watching ends with 0 for a complete job and with 6 for an incomplete one", async () => {
  const { ledger } = cli.api;
  const usual = ledger.job;
  const ends = async (state: "complete" | "incomplete", format = "") => {
    let looks = 0;
    ledger.job = async () =>
      ++looks < 4 ? JOB : { ...JOB, state, endedAtMs: JOB.plannedAtMs + 61_000, why: state === "complete" ? null : "past its deadline" };
    return cli.portolan(`job watch ${JOB_ID}${format}`);
  };
  try {
    const complete = await ends("complete");
    expect([complete.exitCode, complete.stdout]).toEqual([0, expect.stringContaining("is complete after 1 min 1 s")]);
    expect(complete.stderr).toContain("0 of 1 tiles");
    const incomplete = await ends("incomplete");
    expect([incomplete.exitCode, incomplete.stdout]).toEqual([6, expect.stringContaining("past its deadline")]);
    const json = await ends("incomplete", " --json");
    expect(jsonOf(json.stdout)).toMatchObject({ id: JOB_ID, state: "incomplete" });
    const lines = (await ends("complete", " --ndjson")).stdout.trimEnd().split("\n").map(jsonOf);
    expect(lines.map((line) => line["state"])).toEqual(["running", "complete"]);
  } finally {
    ledger.job = usual;
  }
});

test("watching outlives an API that restarts, and Ctrl-C ends only the watching, with 130", async () => {
  const { ledger } = cli.api;
  const usual = ledger.job;
  let looks = 0;
  ledger.job = async () => {
    if (++looks < 3) throw new PortolanError("unavailable", "the ledger restarts");
    return { ...JOB, state: "complete", endedAtMs: 62_000 };
  };
  try {
    const ran = await cli.portolan(`job watch ${JOB_ID}`);
    expect([ran.exitCode, ran.stderr]).toEqual([0, expect.stringContaining("still trying")]);
    const interrupt = new AbortController();
    looks = 0;
    ledger.job = async () => {
      if (++looks === 2) interrupt.abort();
      return JOB;
    };
    const ended = await cli.portolan(`job watch ${JOB_ID}`, { signal: interrupt.signal });
    expect([ended.exitCode, ended.stdout]).toEqual([130, ""]);
  } finally {
    ledger.job = usual;
  }
});
