import { afterAll, beforeAll, expect, test } from "vitest";
import { PortolanError } from "../../src/core/errors.ts";
import { planInput, publicKey, startTestRegistry, type TestRegistry } from "./harness.ts";

let store: TestRegistry;

beforeAll(async () => {
  store = await startTestRegistry();
  await store.registry.addRegion("eu");
  await store.registry.addScanner({ name: "de01", region: "eu", addresses: ["192.0.2.250"], publicKey: publicKey(0) });
});

afterAll(async () => {
  await store?.close();
});

/** Adds until the registry says that it is full; returns how many were taken. */
async function fill(add: (index: number) => Promise<unknown>): Promise<number> {
  for (let index = 0; index < 100; index++) {
    try {
      await add(index);
    } catch (error) {
      if (error instanceof PortolanError && error.code === "conflict" && /at most/.test(error.message)) return index;
      throw error;
    }
  }
  throw new Error("it never became full");
}

test("a registry that is full in every way says so and can still be read as a whole", async () => {
  const { registry } = store;
  const hex = (value: number): string => value.toString(16).padStart(4, "0");
  // The longest spelling that a range can have, for the most characters.
  const wide = (group: number, index: number): string => {
    const network = `2001:0db8:${hex(group)}:${hex(index)}:1111:2222:3333`;
    return `${network}:0001-${network}:fffe`;
  };
  const ports = Array.from({ length: 3_000 }, (_, index) => 2 * index + 1).join(",");
  const plans = await fill((index) => registry.addPlan(planInput({ name: `p${index}`, include: ["@scanners"], ports })));
  const exclusions = await fill((index) =>
    registry.addExclusion({
      ranges: Array.from({ length: 1_000 }, (_, n) => wide(index, n)),
      ports,
      owner: "o".repeat(200),
      reason: "r".repeat(500),
      expiresAtMs: null,
    }),
  );
  const knownGood = await fill((index) =>
    registry.addKnownGood({
      ranges: Array.from({ length: 1_000 }, (_, n) => wide(index, n)),
      ports,
      owner: "o".repeat(200),
      reason: "r".repeat(500),
      expiresAtMs: null,
    }),
  );
  // Last, because from now on each write reads megabytes.
  const ranges = await fill((group) =>
    registry.addRangeGroup({ name: `g${group}`, ranges: Array.from({ length: 10_000 }, (_, index) => wide(group, index)) }),
  );
  expect([ranges, plans, exclusions, knownGood].every((count) => count > 0)).toBe(true);
  const state = await registry.state();
  expect([state.rangeGroups.length, state.plans.length, state.exclusions.length, state.knownGood.length]).toEqual([
    ranges,
    plans,
    exclusions,
    knownGood,
  ]);
  // More rows than one value carries, still in the order of their addresses.
  for (const [group, { name, ranges: entries }] of state.rangeGroups.entries()) {
    const of = Number(name.slice(1));
    expect(entries.length, `${group}`).toBe(10_000);
    expect(entries.every((entry, index) => entry.text === wide(of, index))).toBe(true);
  }
  await registry.deletePlan("p0");
  expect((await registry.state()).plans).toHaveLength(plans - 1);
});
