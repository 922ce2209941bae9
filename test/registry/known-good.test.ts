import { afterAll, beforeAll, expect, test } from "vitest";
import { PortolanError } from "../../src/core/errors.ts";
import { containsPort, formatPorts } from "../../src/core/port.ts";
import { rangesText } from "../../src/core/range.ts";
import { type KnownGoodInput } from "../../src/registry/rules/known-good.ts";
import { startTestRegistry, type TestRegistry } from "./harness.ts";

let store: TestRegistry;

beforeAll(async () => {
  store = await startTestRegistry();
});

afterAll(async () => {
  await store?.close();
});

const RULE: KnownGoodInput = { ranges: ["192.0.2.5", "192.0.2.4"], ports: "443,80", owner: "web", reason: "public", expiresAtMs: null };

test("a rule gets its id from its content, so that a repeat in another spelling is one", async () => {
  const { registry } = store;
  const first = await registry.addKnownGood(RULE);
  const again = await registry.addKnownGood({ ...RULE, ranges: ["192.0.2.4/31"], ports: "80,443" });
  expect(first).toMatchObject({ changed: true, value: { ranges: ["192.0.2.4/31"], ports: "80,443", owner: "web" } });
  expect(again).toMatchObject({ changed: false, value: { id: first.value.id }, version: first.version });
  expect((await registry.state()).knownGood).toEqual([first.value]);
  const removed = await registry.deleteKnownGood(first.value.id);
  expect(removed.version).toBe(first.version + 1);
  await expect(registry.deleteKnownGood(first.value.id)).rejects.toMatchObject({
    code: "not-found",
    message: expect.stringContaining(first.value.id),
  });
});

test("the keeper's view has each rule resolved, without the expired ones, in the same version too", async () => {
  const { registry, clock } = store;
  const lasting = await registry.addKnownGood(RULE);
  clock.nowMs += 1;
  const whole = await registry.addKnownGood({ ...RULE, ranges: ["2001:db8::/64"], ports: null, expiresAtMs: clock.nowMs + 1_000 });
  const before = await registry.snapshot();
  expect(before.knownGood.map(({ id, ranges, ports }) => [id, rangesText([...ranges]), formatPorts([...ports])])).toEqual([
    [lasting.value.id, ["192.0.2.4/31"], "80,443"],
    [whole.value.id, ["2001:db8::/64"], expect.any(String)],
  ]);
  const every = before.knownGood[1]?.ports ?? [];
  for (const protocol of ["tcp", "udp", "sctp"] as const) {
    for (const port of [0, 1, 65_535]) expect(containsPort(every, protocol, port)).toBe(true);
  }
  clock.nowMs += 1_000;
  const after = await registry.snapshot();
  expect([after.version, after.knownGood.map(({ id }) => id)]).toEqual([before.version, [lasting.value.id]]);
  expect((await registry.state()).knownGood).toHaveLength(2);
});

test.each([
  ["no range", { ranges: [] }, /at least one range/],
  ["host bits", { ranges: ["192.0.2.1/24"] }, /192\.0\.2\.0\/24/],
  ["a wrong port", { ports: "80,99999" }, /99999/],
  ["an end that has passed", { expiresAtMs: 1 }, /already have expired/],
  ["over 1,000 ranges", { ranges: Array.from({ length: 1_001 }, (_, n) => `10.0.${n >> 8}.${n & 255}`) }, /at most 1000/],
])("a rule with %s is refused in words that name it, and nothing is written", async (_, overrides, message) => {
  const before = await store.registry.state();
  await expect(store.registry.addKnownGood({ ...RULE, ...overrides })).rejects.toThrow(message);
  await expect(store.registry.addKnownGood({ ...RULE, ...overrides })).rejects.toBeInstanceOf(PortolanError);
  expect(await store.registry.state()).toEqual(before);
});
