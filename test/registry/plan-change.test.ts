import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import type { PlanChanges } from "../../src/registry/rules/plans.ts";
import { planInput, publicKey, startTestRegistry, type TestRegistry } from "./harness.ts";

let store: TestRegistry;

beforeAll(async () => {
  store = await startTestRegistry();
  await store.registry.addRegion("eu");
  await store.registry.addRegion("us");
  await store.registry.addScanner({ name: "de01", region: "eu", addresses: ["192.0.2.250"], publicKey: publicKey(0) });
  await store.registry.addGroup({ name: "edge", members: [{ scanner: "de01", pinned: null }] });
  await store.registry.addRangeGroup({ name: "lan", ranges: ["198.51.100.0/24"] });
});

beforeEach(async () => {
  for (const plan of (await store.registry.state()).plans) await store.registry.deletePlan(plan.name);
  await store.registry.addPlan(planInput({ name: "office", ranges: ["192.0.2.0/24"], intervalS: 21_600 }));
});

afterAll(async () => {
  await store?.close();
});

test("a new plan closes after two misses and a confirm, unless it says otherwise", async () => {
  const { registry } = store;
  expect((await registry.state()).plans[0]).toMatchObject({ closeAfter: 2, confirm: true, revision: 0 });
  const { value } = await registry.addPlan(planInput({ name: "quick", include: ["lan"], closeAfter: 1, confirm: false }));
  expect(value).toMatchObject({ closeAfter: 1, confirm: false });
});

test("an edit counts up the revision and keeps what it does not name; the same edit again changes nothing", async () => {
  const { registry } = store;
  const before = (await registry.state()).plans[0];
  const changes: PlanChanges = { closeAfter: 3, confirm: false, canaries: [{ address: "192.0.2.1", port: 443 }], intervalS: null };
  const first = await registry.changePlan("office", changes);
  expect(first).toMatchObject({ changed: true, value: { ...before, ...changes, revision: 1 } });
  expect((await registry.state()).plans).toEqual([first.value]);
  const again = await registry.changePlan("office", changes);
  expect(again).toEqual({ value: first.value, changed: false, version: first.version });
  expect((await registry.changePlan("office", {})).changed).toBe(false);
  expect((await registry.snapshot()).plans[0]).toMatchObject({ revision: 1, closeAfter: 3, confirm: false });
});

test.each<[string, PlanChanges, RegExp]>([
  ["an unknown range group", { include: ["nowhere"] }, /"nowhere"/],
  ["no range group", { include: [] }, /no range to scan/],
  ["an unknown scanner group", { group: "nobody" }, /"nobody"/],
  ["an unknown home", { home: "mars" }, /"mars"/],
  ["a wrong port", { ports: "80,99999" }, /99999/],
  ["rate 0", { rateLimitPps: 0 }, /rate \(probes per second\) 0/],
  ["closeAfter 0", { closeAfter: 0 }, /closeAfter 0/],
  ["a deadline that cannot hold", { rateLimitPps: 1, deadlineS: 60 }, /deadline/],
  ["a rate too low for the deadline that it has", { rateLimitPps: 1 }, /deadline/],
  ["an excluded canary", { exclude: ["@scanners"], canaries: [{ address: "192.0.2.250", port: 22 }] }, /canary 192\.0\.2\.250/],
])("an edit with %s is refused in words that name it, and nothing is written", async (_, changes, message) => {
  const before = await store.registry.state();
  await expect(store.registry.changePlan("office", changes)).rejects.toThrow(message);
  expect(await store.registry.state()).toEqual(before);
});

test("a plan that does not exist is not found", async () => {
  await expect(store.registry.changePlan("offcie", { closeAfter: 3 })).rejects.toMatchObject({ code: "not-found" });
});

test("a plan that cannot be planned any more can still be disabled, and is checked when it is enabled again", async () => {
  const { registry } = store;
  await registry.addExclusion({ ranges: ["192.0.2.0/24"], ports: null, owner: "ops", reason: "moved", expiresAtMs: null });
  const exclusion = (await registry.state()).exclusions[0]?.id ?? "";
  expect((await registry.changePlan("office", { enabled: false, closeAfter: 4 })).value).toMatchObject({ enabled: false, closeAfter: 4 });
  await expect(registry.changePlan("office", { enabled: true })).rejects.toThrow(/nothing to scan/);
  await registry.deleteExclusion(exclusion);
  expect((await registry.changePlan("office", { enabled: true })).value).toMatchObject({ enabled: true, revision: 2 });
});

test("a range group that a plan no longer scans does not go with the plan", async () => {
  const { registry } = store;
  expect((await registry.changePlan("office", { include: ["lan"] })).value).toMatchObject({ ownGroup: null });
  await registry.deletePlan("office");
  expect((await registry.state()).rangeGroups.map(({ name }) => name)).toEqual(["lan", "office"]);
  await registry.deleteRangeGroup("office");
});

test("after any sequence of edits the revision is the number of edits that changed something, and id, name and creation never move", async () => {
  const change = fc.record<PlanChanges>(
    {
      closeAfter: fc.integer({ min: 0, max: 4 }),
      confirm: fc.boolean(),
      enabled: fc.boolean(),
      ports: fc.constantFrom("80", "80,443", "1-1024", "x"),
      rateLimitPps: fc.constantFrom(0, 500, 1_000),
      group: fc.constantFrom("@all", "edge", "nobody"),
      home: fc.constantFrom("eu", "us"),
      include: fc.constantFrom(["lan"], ["lan", "@scanners"], []),
      intervalS: fc.constantFrom(null, 3_600),
      deadlineS: fc.constantFrom(null, 1, 86_400),
    },
    { requiredKeys: [] },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (edits) => {
      const { registry } = store;
      const { value: made } = await registry.addPlan(planInput({ name: "p", include: ["lan"] }));
      let revision = 0;
      for (const edit of edits) {
        const before = (await registry.state()).plans.find(({ name }) => name === "p");
        const written = await registry.changePlan("p", edit).catch(() => null);
        revision += written?.changed === true ? 1 : 0;
        const after = (await registry.state()).plans.find(({ name }) => name === "p");
        expect(after).toEqual(written === null ? before : written.value);
        expect(after).toMatchObject({ id: made.id, name: made.name, createdAtMs: made.createdAtMs, revision });
      }
      await registry.deletePlan("p");
    }),
    { numRuns: 25 },
  );
});
