import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { MUTANTS } from "./mutants.ts";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

/** In a process of its own: a simulation replaces clocks, timers and randomness of the whole process. */
function simulate(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { timeout: 480_000, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
    });
  });
}

function digestIn(output: string): string | undefined {
  return /digest (\d+)/.exec(output)?.[1];
}

/** What none of the seeds has brought about, so that it was not tested. */
function neverIn(output: string): string | undefined {
  return /never happened: (.*)/.exec(output)?.[1];
}

describe("whatever goes wrong, nothing that is open is closed, nothing acknowledged is lost, and afterwards the register becomes right", () => {
  test("150 seeds with all policies, in which everything happens that can", { timeout: 480_000 }, async () => {
    const { code, output } = await simulate("--seeds", "150", "--from", "1");
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining("150 seeds ran clean") });
    expect(neverIn(output)).toBe("nothing");
  });

  test("150 seeds with the weakest policy, behind which nothing can hide", { timeout: 480_000 }, async () => {
    const { code, output } = await simulate("--seeds", "150", "--from", "1001", "--weakest");
    expect({ code, output }).toEqual({ code: 0, output: expect.stringContaining("150 seeds ran clean") });
    expect(neverIn(output)).toBe("nothing");
  });
});

test("a seed gives the same run in every process, alone or after another", { timeout: 60_000 }, async () => {
  const [alone, after] = await Promise.all([
    simulate("--seeds", "1", "--from", "41"),
    simulate("--seeds", "2", "--from", "40", "--workers", "1"),
  ]);
  expect(digestIn(alone.output)).toBeDefined();
  expect(digestIn(alone.output)).toBe(digestIn(after.output.slice(after.output.indexOf("seed 41"))));
});

describe("the simulation finds", () => {
  const mistakes = [
    "completeness-ignored",
    "frontier-ignored",
    "one-report-missing",
    "dedup-dropped",
    "rseq-reused",
    "brake-never-holds",
    "confirms-not-needed",
  ];
  for (const { name, needsConfirm } of MUTANTS.filter((one) => mistakes.includes(one.name))) {
    test(`the mistake ${name}, and names the command that shows it again`, { timeout: 120_000 }, async () => {
      const policy = needsConfirm === true ? [] : ["--weakest"];
      const { code, output } = await simulate("--seeds", "100", ...policy, "--mutant", name, "--workers", "1");
      const replay = /replay: npm run simulate -- (.*)/.exec(output)?.[1];
      expect({ code, replay }).toEqual({
        code: 1,
        replay: expect.stringMatching(new RegExp(`^--seeds 1 --from \\d+ --trace ${[...policy, "--mutant", name].join(" ")}$`)),
      });
    });
  }
});
