import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { BULK_LISTS } from "../../src/registry/bulk/lists.ts";
import { publicKey } from "../registry/harness.ts";
import { startTestApi, type TestApi } from "./harness.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
  await api.store.registry.addRegion("us");
});

afterAll(async () => {
  await api?.close();
});

type Diff = {
  readonly added: string[];
  readonly changed: string[];
  readonly removed: string[];
  readonly unchanged: number;
  readonly refused: { readonly line: number; readonly reason: string }[];
  readonly written: boolean;
};

beforeEach(async () => {
  const { registry } = api.store;
  const state = await registry.state();
  for (const { name } of state.plans) await registry.deletePlan(name);
  for (const { id } of state.exclusions) await registry.deleteExclusion(id);
  for (const { id } of state.knownGood) await registry.deleteKnownGood(id);
  for (const { name } of state.groups) await registry.deleteGroup(name);
  for (const { name } of state.scanners) await registry.changeScanner(name, { mayProbe: null, mayNotProbe: [] });
  for (const { name } of state.rangeGroups) await registry.deleteRangeGroup(name);
});

async function send(list: string, query: string, body: string, type = "text/csv"): Promise<{ status: number; diff: Diff }> {
  const response = await api.ask("POST", `/v1/${list}/import${query}`, { body, headers: { "content-type": type } });
  return { status: response.status, diff: (await response.json()) as Diff };
}

const dump = async (list: string, format: string): Promise<string> => (await api.ask("GET", `/v1/${list}.${format}`)).text();

async function fill(): Promise<void> {
  const { registry } = api.store;
  await registry.addRangeGroup({ name: "lan", ranges: ["198.51.100.0/24", "2001:db8::/124", "203.0.113.7"] });
  await registry.addRangeGroup({ name: "empty", ranges: [] });
  await registry.addExclusion({
    ranges: ["198.51.100.7"],
    ports: "9100,U:53",
    owner: '=the "ops", team',
    reason: "a\nb",
    expiresAtMs: null,
  });
  await registry.addKnownGood({
    ranges: ["198.51.100.8/31"],
    ports: null,
    owner: "it",
    reason: "web",
    expiresAtMs: api.store.clock.nowMs + 5_000,
  });
  await registry.changeScanner("de01", { mayProbe: ["lan"], mayNotProbe: ["empty"] });
  await registry.addGroup({ name: "pinned", members: [{ scanner: "de01", pinned: 1 }] });
  await registry.addGroup({ name: "nobody", members: [] });
  const plan = {
    name: "office",
    include: ["lan"],
    exclude: ["empty"],
    ports: "22,80-90",
    group: "pinned",
    cron: "30 3 * * 1-5",
    timeZone: "Europe/Berlin",
  };
  const made = await api.ask("POST", "/v1/plans", {
    body: { ...plan, homes: ["eu", "us"], canaries: [{ address: "2001:db8::1", port: 443 }] },
  });
  expect(made.status).toBe(201);
}

test("what was exported changes nothing when it is imported again, and makes everything anew where nothing is", async () => {
  const { registry } = api.store;
  await fill();
  const before = await registry.state();
  for (const format of ["csv", "ndjson"]) {
    const type = format === "csv" ? "text/csv" : "application/x-ndjson";
    for (const list of BULK_LISTS) {
      const { status, diff } = await send(list, "?mode=replace", await dump(list, format), type);
      expect([list, format, status, diff]).toMatchObject([
        list,
        format,
        200,
        { added: [], changed: [], removed: [], refused: [], written: false },
      ]);
    }
  }
  expect((await registry.state()).version).toBe(before.version);
  const files = new Map(await Promise.all(BULK_LISTS.map(async (list) => [list, await dump(list, "csv")] as const)));
  await registry.deletePlan("office");
  for (const rule of before.exclusions) await registry.deleteExclusion(rule.id);
  await registry.deleteGroup("pinned");
  await registry.changeScanner("de01", { mayProbe: null, mayNotProbe: [] });
  await registry.deleteRangeGroup("lan");
  for (const list of ["range-groups", "scanners", "groups", "exclusions", "plans"] as const) {
    expect([list, (await send(list, "", files.get(list) ?? "")).diff]).toMatchObject([list, { refused: [], written: true }]);
  }
  const after = await registry.state();
  const essence = (state: typeof before): unknown => ({
    ...state,
    version: 0,
    plans: state.plans.map((plan) => ({ ...plan, id: "", revision: 0, createdAtMs: 0 })),
    rangeGroups: state.rangeGroups.map((group) => ({ ...group, ranges: group.ranges.map(({ canonical }) => canonical) })),
    exclusions: state.exclusions.map((rule) => ({ ...rule, createdAtMs: 0 })),
  });
  expect(essence(after)).toEqual(essence(before));
});

test("a rehearsal tells what would happen, and the file then does just that in one version", async () => {
  const { registry } = api.store;
  await fill();
  const before = await registry.state();
  const file = 'ranges,ports,owner,reason\n198.51.100.7,"9100,U:53",it,moved\n203.0.113.9,,it,new';
  const dry = await send("exclusions", "?dryRun=true&mode=replace", file);
  expect(dry.diff).toMatchObject({
    added: [expect.any(String)],
    changed: [before.exclusions[0]?.id],
    removed: [],
    unchanged: 0,
    written: false,
  });
  expect((await registry.state()).version).toBe(before.version);
  const real = await send("exclusions", "?mode=replace", file);
  expect(real.diff).toMatchObject({ added: dry.diff.added, changed: dry.diff.changed, written: true });
  const after = await registry.state();
  expect(after.version).toBe(before.version + 1);
  expect(after.exclusions.map(({ owner, reason }) => `${owner} ${reason}`).toSorted()).toEqual(["it moved", "it new"]);
});

test("a refused line refuses the whole file, with its number and the reason, and nothing is half-written", async () => {
  const before = await api.store.registry.state();
  const file = "group,range\nlan,198.51.100.0/24\nlan,198.51.100.1/24\nwan,nonsense\nother,203.0.113.0/24";
  const { diff } = await send("range-groups", "?dryRun=true", file);
  expect(diff.refused.map(({ line }) => line)).toEqual([3, 4]);
  const response = await api.ask("POST", "/v1/range-groups/import", { body: file, headers: { "content-type": "text/csv" } });
  expect([response.status, await response.json()]).toMatchObject([
    400,
    { errors: [{ pointer: "/line 3", detail: expect.stringContaining("198.51.100.0/24") }, { pointer: "/line 4" }] },
  ]);
  expect(await api.store.registry.state()).toEqual(before);
});

test("plain ranges and exclude files come with the group, owner and reason of the request", async () => {
  const { registry } = api.store;
  const ranges = await send("range-groups", "?group=cf", "173.245.48.0/20\n103.21.244.0/22 # anycast\n", "text/plain");
  expect(ranges.diff).toMatchObject({ added: ["cf"], written: true });
  const excluded = await send("exclusions", "?owner=ops&reason=list", "# dod\n198.51.100.0/25\n\n203.0.113.1-203.0.113.9\n", "text/plain");
  expect(excluded.diff).toMatchObject({ refused: [], written: true });
  expect((await registry.state()).exclusions.map(({ ranges: all, reason, owner }) => `${all[0]} ${reason} ${owner}`).toSorted()).toEqual([
    "198.51.100.0/25 dod ops",
    "203.0.113.1-203.0.113.9 list ops",
  ]);
  expect(await dump("range-groups", "txt")).toBe("103.21.244.0/22\n173.245.48.0/20\n");
  expect((await send("exclusions", "", "198.51.100.0/25\n", "text/plain")).status).toBe(400);
  expect((await send("exclusions", "", "x", "image/png")).status).toBe(400);
});

test("replacing takes away what the file does not name, but nothing that others still use", async () => {
  await fill();
  const gone = await send("range-groups", "?mode=replace&dryRun=true", "group,range\nwan,192.0.2.0/25");
  expect(gone.diff.refused.map(({ line, reason }) => [line, reason])).toEqual([
    [0, expect.stringContaining('"empty"')],
    [0, expect.stringContaining('"lan"')],
  ]);
  const narrower = await send("range-groups", "?mode=replace", "group,range\nlan,198.51.100.0/24\nlan,2001:db8::/124\nempty,\n");
  expect(narrower.diff).toMatchObject({ added: [], changed: ["lan"], removed: [], unchanged: 1, written: true });
});

test("40,000 ranges come in one file and one version, and go out again", async () => {
  const { registry } = api.store;
  const lines = Array.from({ length: 40_000 }, (_, index) => `10.${index >> 8}.${index & 255}.0/25`);
  const { version } = await registry.state();
  expect((await send("range-groups", "?group=big", lines.join("\n"), "text/plain")).diff).toMatchObject({
    added: ["big"],
    refused: [],
    written: true,
  });
  expect((await registry.state()).version).toBe(version + 1);
  expect((await dump("range-groups", "txt")).split("\n")).toHaveLength(40_001);
});

test("a scanner's key and addresses are changed by a file, but not its region", async () => {
  const columns = "name,region,addresses,publicKey";
  expect((await send("scanners", "?dryRun=true", `${columns}\nde01,us,192.0.2.250,${publicKey(0)}`)).diff.refused[0]?.reason).toMatch(
    /region "eu"/,
  );
  expect((await send("scanners", "", `${columns}\nde01,eu,192.0.2.251 2001:db8::5,${publicKey(4)}`)).diff).toMatchObject({
    changed: ["de01"],
  });
  const { scanners } = await api.store.registry.state();
  expect(scanners).toMatchObject([{ addresses: ["192.0.2.251", "2001:db8::5"], publicKey: publicKey(4) }]);
});
