import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createClient } from "@libsql/client/web";
import { bootstrap, openRegistry } from "../../src/registry/registry.ts";
import { planInput, publicKey, startTestRegistry, type TestRegistry } from "./harness.ts";

let store: TestRegistry;

beforeAll(async () => {
  store = await startTestRegistry();
});

afterAll(async () => {
  await store.close();
});

beforeEach(async () => {
  const client = createClient({ url: store.sqld.url });
  const tables = ["region", "scanner", "scanner_group", "group_member", "range_group", "range", "exclusion", "known_good", "plan", "token"];
  await client.batch([...tables.map((table) => `delete from ${table}`), "update meta set version = version + 1"], "write");
  client.close();
  await store.registry.addRegion("eu");
  await store.registry.addScanner({ name: "de01", region: "eu", addresses: ["192.0.2.250"], publicKey: publicKey(0) });
});

describe("range groups", () => {
  test("keep the user's own spelling beside the canonical one", async () => {
    await store.registry.addRangeGroup({ name: "Office", ranges: ["192.0.2.0-192.0.2.255", "2001:DB8::/64"] });
    const { rangeGroups } = await store.registry.state();
    expect(rangeGroups[0]?.ranges).toEqual([
      { canonical: "192.0.2.0/24", text: "192.0.2.0-192.0.2.255" },
      { canonical: "2001:db8::/64", text: "2001:DB8::/64" },
    ]);
  });

  test("refuse an overlap with a message that names both ranges, and write nothing", async () => {
    const { registry } = store;
    await registry.addRangeGroup({ name: "office", ranges: ["192.0.2.0/24"] });
    const before = await registry.state();
    await expect(registry.addRanges({ group: "office", ranges: ["198.51.100.0/24", "192.0.2.128/25"] })).rejects.toThrow(
      /192\.0\.2\.0\/24 and 192\.0\.2\.128\/25 overlap in range group "office"/,
    );
    await expect(registry.addRangeGroup({ name: "other", ranges: ["10.0.0.0/8", "10.1.0.0/16"] })).rejects.toThrow(
      /10\.0\.0\.0\/8 and 10\.1\.0\.0\/16/,
    );
    expect(await registry.state()).toEqual(before);
  });

  test("repeating an accepted write changes nothing, not even the version", async () => {
    const { registry } = store;
    const first = await registry.addRangeGroup({ name: "office", ranges: ["192.0.2.0/24"] });
    const again = await registry.addRangeGroup({ name: "office", ranges: ["192.0.2.0/24"] });
    const range = await registry.addRanges({ group: "office", ranges: ["192.0.2.0/24"] });
    expect([first.changed, again.changed, range.changed]).toEqual([true, false, false]);
    expect(again.version).toBe(first.version);
  });

  test("that a plan uses cannot be deleted or emptied, and the message names the plan", async () => {
    const { registry } = store;
    await registry.addRangeGroup({ name: "office", ranges: ["192.0.2.0/24"] });
    await registry.addPlan(planInput({ name: "nightly", include: ["office"] }));
    await expect(registry.deleteRangeGroup("office")).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining('"nightly"'),
    });
    await expect(registry.removeRanges({ group: "office", ranges: ["192.0.2.0/24"] })).rejects.toThrow(/"nightly"/);
  });

  test("remove whole entries only", async () => {
    const { registry } = store;
    await registry.addRangeGroup({ name: "office", ranges: ["192.0.2.0/24", "198.51.100.0/24"] });
    await expect(registry.removeRanges({ group: "office", ranges: ["192.0.2.0/25"] })).rejects.toMatchObject({ code: "not-found" });
    const { value } = await registry.removeRanges({ group: "office", ranges: ["192.0.2.0-192.0.2.255"] });
    expect(value.ranges.map((entry) => entry.canonical)).toEqual(["198.51.100.0/24"]);
    expect((await registry.state()).rangeGroups[0]?.ranges).toHaveLength(1);
  });

  test("with names that are wrong or built in are refused", async () => {
    for (const name of ["", "@scanners", "a b", "x".repeat(64), "../x"]) {
      await expect(store.registry.addRangeGroup({ name, ranges: [] })).rejects.toMatchObject({ code: "invalid" });
    }
    await expect(store.registry.addRanges({ group: "@scanners", ranges: ["192.0.2.1"] })).rejects.toMatchObject({ code: "conflict" });
  });

  test("take thousands of ranges in one write", async () => {
    const ranges = Array.from({ length: 5_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/25`);
    await store.registry.addRangeGroup({ name: "many", ranges });
    expect((await store.registry.state()).rangeGroups[0]?.ranges).toHaveLength(5_000);
  });
});

describe("scanners and their groups", () => {
  test("@all holds every scanner and @scanners their addresses", async () => {
    const { registry } = store;
    await registry.addScanner({ name: "de02", region: "eu", addresses: ["2001:DB8::1", "192.0.2.9"], publicKey: publicKey(1) });
    await registry.addPlan(planInput({ name: "self", include: ["@scanners"], ranges: [] }));
    const { plans } = await registry.snapshot();
    expect(plans[0]?.members.map((member) => member.name)).toEqual(["de01", "de02"]);
    expect(plans[0]?.includeRanges).toHaveLength(3);
  });

  test("a scanner with an unknown region, a used key or a wrong address is refused with the thing's name", async () => {
    const { registry } = store;
    const scanner = { name: "de02", region: "eu", addresses: ["192.0.2.9"], publicKey: publicKey(1) };
    await expect(registry.addScanner({ ...scanner, region: "mars" })).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining('"mars"'),
    });
    await expect(registry.addScanner({ ...scanner, publicKey: publicKey(0) })).rejects.toThrow(/belongs to scanner "de01"/);
    await expect(registry.addScanner({ ...scanner, publicKey: "S3CRET" })).rejects.toMatchObject({ code: "invalid" });
    await expect(registry.addScanner({ ...scanner, addresses: ["192.0.2.999"] })).rejects.toMatchObject({ code: "invalid" });
  });

  test("a member cannot be deleted while a group names it", async () => {
    const { registry } = store;
    await registry.addGroup({ name: "edge", members: [{ scanner: "de01", pinned: null }] });
    await expect(registry.deleteScanner("de01")).rejects.toThrow(/scanner group "edge"/);
    await registry.removeMember({ group: "edge", scanner: "de01" });
    await registry.deleteScanner("de01");
    expect((await registry.state()).scanners).toEqual([]);
  });

  test("pinned places are 1 to n for all members or for none", async () => {
    const { registry } = store;
    await registry.addScanner({ name: "de02", region: "eu", addresses: ["192.0.2.9"], publicKey: publicKey(1) });
    const members = (first: number | null, second: number | null) => [
      { scanner: "de01", pinned: first },
      { scanner: "de02", pinned: second },
    ];
    await expect(registry.addGroup({ name: "edge", members: members(1, null) })).rejects.toMatchObject({ code: "invalid" });
    await expect(registry.addGroup({ name: "edge", members: members(1, 3) })).rejects.toMatchObject({ code: "invalid" });
    await registry.addGroup({ name: "edge", members: members(2, 1) });
    await registry.addPlan(planInput({ name: "office", ranges: ["192.0.2.0/24"], group: "edge" }));
    expect((await registry.snapshot()).plans[0]?.members.map((member) => member.pinned)).toEqual([2, 1]);
    await expect(registry.deleteGroup("edge")).rejects.toThrow(/plan "office"/);
    await expect(registry.setMembers({ group: "edge", members: [] })).rejects.toThrow(/plan "office"/);
  });
});

describe("plans", () => {
  test("the shorthand makes a range group of its own, which goes with the plan", async () => {
    const { registry } = store;
    const { value } = await registry.addPlan(planInput({ name: "office", ranges: ["192.0.2.0/24"], intervalS: 21_600 }));
    expect(value).toMatchObject({
      include: ["office"],
      ownGroup: "office",
      group: "@all",
      home: "eu",
      closeAfter: 2,
      confirm: true,
      deadlineS: 86_400,
    });
    expect((await registry.addPlan(planInput({ name: "office", ranges: ["192.0.2.0/24"], intervalS: 21_600 }))).changed).toBe(false);
    await expect(registry.addPlan(planInput({ name: "office", ranges: ["198.51.100.0/24"], intervalS: 21_600 }))).rejects.toMatchObject({
      code: "conflict",
    });
    await registry.deletePlan("office");
    const state = await registry.state();
    expect([state.plans, state.rangeGroups]).toEqual([[], []]);
  });

  test.each([
    ["no ranges", {}, /no range to scan/],
    ["an unknown group", { include: ["nowhere"] }, /"nowhere"/],
    ["an unknown scanner group", { ranges: ["192.0.2.0/24"], group: "nobody" }, /"nobody"/],
    ["an unknown home", { ranges: ["192.0.2.0/24"], home: "mars" }, /"mars"/],
    ["host bits", { ranges: ["192.0.2.1/24"] }, /192\.0\.2\.0\/24/],
    ["overlapping ranges", { ranges: ["192.0.2.0/24", "192.0.2.4"] }, /overlap/],
    ["a wrong port", { ranges: ["192.0.2.0/24"], ports: "80,99999" }, /99999/],
    ["rate 0", { ranges: ["192.0.2.0/24"], rateLimitPps: 0 }, /rate \(probes per second\) 0/],
    ["UDP by connect", { ranges: ["192.0.2.0/24"], ports: "U:53", engine: "connect" as const }, /TCP/],
    ["a deadline that cannot hold", { ranges: ["10.0.0.0/16"], rateLimitPps: 10, deadlineS: 3_600 }, /deadline/],
    ["too slow a rate for a year", { ranges: ["10.0.0.0/16"], ports: "1-65535", rateLimitPps: 1 }, /more than a year|would take \d+ days/],
    ["UDP over IPv6", { ranges: ["2001:db8::/126"], ports: "U:53" }, /UDP/i],
    [
      "a canary that is excluded",
      { ranges: ["192.0.2.0/24"], exclude: ["@scanners"], canaries: [{ address: "192.0.2.250", port: 22 }] },
      /canary 192\.0\.2\.250/,
    ],
    ["more addresses than anybody can scan", { ranges: ["2001:db8::/32"] }, /would take \d+ days/],
  ])("with %s is refused in words that name it, and nothing is written", async (_, overrides, message) => {
    const before = await store.registry.state();
    await expect(store.registry.addPlan(planInput({ name: "office", ...overrides }))).rejects.toThrow(message);
    expect(await store.registry.state()).toEqual(before);
  });

  test("whose exclusions leave nothing are refused", async () => {
    const { registry } = store;
    await registry.addExclusion({ ranges: ["192.0.2.0/24"], ports: "80-90", owner: "ops", reason: "fragile", expiresAtMs: null });
    await expect(registry.addPlan(planInput({ name: "office", ranges: ["192.0.2.0/24"], ports: "80" }))).rejects.toThrow(/nothing to scan/);
    await registry.addPlan(planInput({ name: "office", ranges: ["192.0.2.0/24"], ports: "80,443" }));
  });
});

describe("exclusions", () => {
  test("get their id from their content, so that a repeat is one", async () => {
    const { registry } = store;
    const exclusion = { ranges: ["192.0.2.5", "192.0.2.4"], ports: null, owner: "ops", reason: "printer", expiresAtMs: null };
    const first = await registry.addExclusion(exclusion);
    const again = await registry.addExclusion({ ...exclusion, ranges: ["192.0.2.4/31"] });
    expect(again).toMatchObject({ changed: false, value: { id: first.value.id, ranges: ["192.0.2.4/31"] } });
    await registry.deleteExclusion(first.value.id);
    await expect(registry.deleteExclusion(first.value.id)).rejects.toMatchObject({ code: "not-found" });
  });

  test("end at their expiry in the keeper's view", async () => {
    const { registry, clock } = store;
    await registry.addPlan(planInput({ name: "office", ranges: ["192.0.2.0/24"] }));
    await registry.addExclusion({ ranges: ["192.0.2.5"], ports: null, owner: "ops", reason: "printer", expiresAtMs: clock.nowMs + 1_000 });
    expect((await registry.snapshot()).plans[0]?.excludeRanges).toHaveLength(1);
    clock.nowMs += 1_000;
    expect((await registry.snapshot()).plans[0]?.excludeRanges).toHaveLength(0);
  });
});

describe("the store", () => {
  test("loses no write of many writers at once and moves the version once for each", async () => {
    const writers = [1, 2, 3, 4].map(() => openRegistry({ url: store.sqld.url, timeoutMs: 5_000 }));
    const before = (await store.registry.state()).version;
    await Promise.all(writers.map((writer, index) => writer.addRangeGroup({ name: `g${index}`, ranges: [`10.${index}.0.0/16`] })));
    const after = await store.registry.state();
    expect(after.rangeGroups.map((group) => group.name)).toEqual(["g0", "g1", "g2", "g3"]);
    expect(after.version).toBe(before + 4);
  });

  test("that is not there is said within the time-out, with the remedy", async () => {
    const gone = openRegistry({ url: "http://127.0.0.1:9", timeoutMs: 500 });
    await expect(gone.state()).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining("127.0.0.1:9") });
  });

  test("bootstrap makes the region and one admin token, once", async () => {
    const { registry } = store;
    const first = await bootstrap(registry, { region: "eu", tokenName: "first admin" });
    expect(first?.info.role).toBe("admin");
    expect(await bootstrap(registry, { region: "eu", tokenName: "first admin" })).toBeNull();
  });
});
