import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { addRegion, retireRegion, setRegion } from "../../src/registry/rules/regions.ts";
import type { RegistryState } from "../../src/registry/types.ts";
import { type TestRegistry, planInput, publicKey, regionOf, startTestRegistry } from "./harness.ts";

let store: TestRegistry;

beforeAll(async () => {
  store = await startTestRegistry();
  await store.registry.addRegion("eu");
  await store.registry.addRegion("us", { natsUrl: "nats://us.example:4222", keeperPublicKeys: [publicKey(1)] });
  await store.registry.addScanner({ name: "s1", region: "us", addresses: ["198.51.100.1"], publicKey: publicKey(2) });
});
afterAll(async () => {
  await store?.close();
});

test("facts come back as they were given; what is left out stays; the same again changes nothing", async () => {
  const { registry } = store;
  const { value } = await registry.setRegion("us", { latitude: 39.04, longitude: -77.49, apiUrl: "https://US.example/api/" });
  expect(value).toEqual({
    name: "us",
    natsUrl: "nats://us.example:4222",
    apiUrl: "https://us.example/api",
    keeperPublicKeys: [publicKey(1)],
    latitude: 39.04,
    longitude: -77.49,
    state: "active",
    createdAtMs: store.clock.nowMs,
  });
  expect((await registry.state()).regions.find(({ name }) => name === "us")).toEqual(value);
  expect((await registry.setRegion("us", { latitude: 39.04, longitude: -77.49 })).changed).toBe(false);
  expect((await registry.addRegion("us")).changed).toBe(false);
});

test("a key belongs to one region, stays on the list, and goes only by force", async () => {
  const { registry } = store;
  await expect(registry.setRegion("eu", { keeperPublicKeys: [publicKey(1)] })).rejects.toMatchObject({ code: "conflict" });
  await registry.setRegion("us", { keeperPublicKeys: [publicKey(1), publicKey(3)] });
  await expect(registry.setRegion("us", { keeperPublicKeys: [publicKey(3)] })).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringContaining("force"),
  });
  expect((await registry.setRegion("us", { keeperPublicKeys: [publicKey(3)] }, { force: true })).value.keeperPublicKeys).toEqual([
    publicKey(3),
  ]);
});

test("the home of the registry is known by name, and is never retired", async () => {
  const { registry } = store;
  expect((await registry.state()).home).toBeNull();
  await expect(registry.setHome("mars")).rejects.toMatchObject({ code: "not-found" });
  await registry.setHome("eu");
  expect((await registry.snapshot()).home).toBe("eu");
  expect((await registry.setHome("eu")).changed).toBe(false);
  await expect(registry.retireRegion("eu", { force: true })).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringContaining("promote"),
  });
});

test("a plan has homes in order: the first is its home, and another first moves it to the front", async () => {
  const { registry } = store;
  const { value } = await registry.addPlan(planInput({ name: "p", ranges: ["192.0.2.0/24"], homes: ["us", "eu"], takeoverAfterS: 120 }));
  expect(value).toMatchObject({ home: "us", homes: ["us", "eu"], takeoverAfterS: 120 });
  expect((await registry.changePlan("p", { home: "eu" })).value).toMatchObject({ home: "eu", homes: ["eu"] });
  expect((await registry.changePlan("p", { homes: ["us", "eu"] })).value).toMatchObject({ home: "us", homes: ["us", "eu"] });
  expect((await registry.changePlan("p", { closeAfter: 3 })).value).toMatchObject({ home: "us", homes: ["us", "eu"], takeoverAfterS: 120 });
  for (const changes of [{ homes: ["mars"] }, { home: "eu", homes: ["us", "eu"] }, { takeoverAfterS: 5 }])
    await expect(registry.changePlan("p", changes)).rejects.toMatchObject({ code: expect.stringMatching(/invalid|not-found/) });
  const plain = await registry.addPlan(planInput({ name: "q", ranges: ["192.0.2.0/24"], home: "us" }));
  expect(plain.value).toMatchObject({ home: "us", homes: ["us"], takeoverAfterS: 900 });
});

test("retiring asks for force where work would end, and then ends it in one write; keys stay", async () => {
  const { registry } = store;
  await expect(registry.retireRegion("us")).rejects.toMatchObject({ message: expect.stringMatching(/"s1".*--force/) });
  await registry.deleteScanner("s1");
  await expect(registry.retireRegion("us")).rejects.toMatchObject({ message: expect.stringMatching(/only home of plan "q".*--force/) });
  await registry.addScanner({ name: "s1", region: "us", addresses: ["198.51.100.1"], publicKey: publicKey(2) });
  const before = (await registry.state()).version;
  await registry.retireRegion("us", { force: true });
  const after = await registry.state();
  expect(after.version).toBe(before + 1);
  expect(after.regions.find(({ name }) => name === "us")).toMatchObject({ state: "retired", keeperPublicKeys: [publicKey(3)] });
  expect(after.scanners).toMatchObject([{ name: "s1", enabled: false }]);
  expect(after.plans).toMatchObject([
    { name: "p", home: "eu", homes: ["eu"], enabled: true },
    { name: "q", home: "us", homes: ["us"], enabled: false },
  ]);
  await expect(registry.changePlan("q", { enabled: true })).rejects.toMatchObject({
    code: "conflict",
    message: expect.stringContaining("retired"),
  });
  await expect(
    registry.addScanner({ name: "s2", region: "us", addresses: ["198.51.100.2"], publicKey: publicKey(4) }),
  ).rejects.toMatchObject({ code: "conflict" });
  expect((await registry.addRegion("us", { keeperPublicKeys: [publicKey(5)] })).value).toMatchObject({
    state: "active",
    keeperPublicKeys: [publicKey(3), publicKey(5)],
  });
});

test("no sequence of changes without force ever takes a key off a region or lets two regions share a key or a message server", () => {
  const name = fc.constantFrom("eu", "us", "ap");
  const facts = fc.record(
    {
      natsUrl: fc.constantFrom(null, "nats://a.example:4222", "nats://b.example:4222"),
      keeperPublicKeys: fc.uniqueArray(fc.nat(5).map(publicKey), { maxLength: 3 }),
    },
    { requiredKeys: [] },
  );
  const step = fc.oneof(
    fc.tuple(name, facts).map(
      ([n, f]) =>
        (s: RegistryState) =>
          addRegion(s, { name: n, facts: f, nowMs: 1 }),
    ),
    fc.tuple(name, facts).map(
      ([n, f]) =>
        (s: RegistryState) =>
          setRegion(s, { name: n, facts: f, force: false }),
    ),
    name.map((n) => (s: RegistryState) => retireRegion(s, { name: n, force: false })),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      let state: RegistryState = {
        version: 0,
        home: null,
        regions: [regionOf("eu")],
        scanners: [],
        groups: [],
        rangeGroups: [],
        exclusions: [],
        knownGood: [],
        plans: [],
        webhooks: [],
      };
      for (const run of steps) {
        let value;
        try {
          ({ value } = run(state));
        } catch {
          continue;
        }
        const before = state.regions.find((region) => region.name === value.name);
        for (const key of before?.keeperPublicKeys ?? []) expect(value.keeperPublicKeys).toContain(key);
        state = { ...state, regions: [...state.regions.filter((region) => region.name !== value.name), value] };
        const keys = state.regions.flatMap((region) => region.keeperPublicKeys);
        expect(new Set(keys).size).toBe(keys.length);
        const servers = state.regions.flatMap(({ natsUrl }) => (natsUrl === null ? [] : [natsUrl]));
        expect(new Set(servers).size).toBe(servers.length);
      }
    }),
  );
});
