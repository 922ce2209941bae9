import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

/** In a process of its own: a simulation replaces clocks, timers and randomness of the whole process. */
function simulate(...args: string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], { timeout: 240_000, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr });
    });
  });
}

function digestIn(output: string): string | undefined {
  return /digest (\d+)/.exec(output)?.[1];
}

describe("whatever goes wrong, nothing that is open is closed, nothing acknowledged is lost, and afterwards the register becomes right", () => {
  test("150 seeds with all policies", { timeout: 240_000 }, async () => {
    expect(await simulate("--seeds", "150", "--from", "1")).toEqual({ code: 0, output: expect.stringContaining("150 seeds ran clean") });
  });

  test("150 seeds with the weakest policy, behind which nothing can hide", { timeout: 240_000 }, async () => {
    const result = await simulate("--seeds", "150", "--from", "1001", "--weakest");
    expect(result).toEqual({ code: 0, output: expect.stringContaining("150 seeds ran clean") });
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
  for (const mutant of ["completeness-ignored", "frontier-ignored", "one-report-missing", "dedup-dropped", "rseq-reused"]) {
    test(`the mistake ${mutant}, and names the command that shows it again`, { timeout: 120_000 }, async () => {
      const { code, output } = await simulate("--seeds", "100", "--weakest", "--mutant", mutant, "--workers", "1");
      const replay = /replay: npm run simulate -- --seeds 1 --from (\d+) --trace --weakest --mutant (\S+)/.exec(output);
      expect({ code, mutant: replay?.[2] }).toEqual({ code: 1, mutant });
    });
  }
});
