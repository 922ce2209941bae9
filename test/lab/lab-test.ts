import { test } from "vitest";
import { createLab, type Lab, type LabSpec } from "../../src/local/lab/lab.ts";
import { labProblem, uniqueLabName } from "../../src/local/lab/probe.ts";
import { withLabLock } from "./lock.ts";

/** Waiting for the lock is no part of a test's own time, but vitest counts it. */
const LOCK_WAIT_MS = 600_000;

/** A small lab: enough pairs of every kind, quick to scan. */
export const SMALL: Omit<LabSpec, "name"> = {
  seed: 7,
  scanners: 1,
  prefix4: 24,
  prefix6: 124,
  open4: 200,
  filtered4: 200,
  open6: 20,
};

/**
 * A test of something that makes labs itself. One at a time on this machine. Where no lab can be had it fails and names the
 * remedy; with PORTOLAN_NO_LAB=1 it counts as not run.
 */
export function testWithLabs(name: string, body: () => Promise<void>, timeoutMs: number): void {
  test(name, { timeout: LOCK_WAIT_MS + timeoutMs }, async (context) => {
    if (process.env["PORTOLAN_NO_LAB"] === "1") return context.skip("not run: PORTOLAN_NO_LAB=1");
    const problem = await labProblem();
    if (problem !== null) throw new Error(`no lab here: ${problem}. PORTOLAN_NO_LAB=1 leaves the lab tests out.`);
    await withLabLock("tests", body);
  });
}

/** A test against a lab of its own, which is removed afterwards whatever happens; otherwise as `testWithLabs`. */
export function labTest(name: string, spec: Omit<LabSpec, "name">, body: (lab: Lab) => Promise<void>, timeoutMs = 60_000): void {
  const withLab = async (): Promise<void> => {
    const lab = await createLab({ ...spec, name: uniqueLabName("t") });
    try {
      await body(lab);
    } finally {
      await lab.destroy();
    }
  };
  testWithLabs(name, withLab, timeoutMs);
}
