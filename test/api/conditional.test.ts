import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createApp } from "../../src/api/app.ts";
import { publicKey } from "../registry/harness.ts";
import { startTestApi, type TestApi } from "./harness.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api?.close();
});

const raw = (method: string, path: string, headers: Record<string, string>, body?: unknown): Promise<Response> =>
  Promise.resolve(
    api.app.request(path, {
      method,
      headers: { authorization: `Bearer ${api.tokens.admin}`, "content-type": "application/json", ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  );
const codeOf = async (response: Response): Promise<[number, unknown]> => [
  response.status,
  ((await response.json()) as { code?: unknown }).code,
];

describe("versions", () => {
  beforeEach(async () => {
    const { registry } = api.store;
    for (const { name } of (await registry.state()).plans) await registry.deletePlan(name);
    for (const { name } of (await registry.state()).rangeGroups) await registry.deleteRangeGroup(name);
    await registry.addRangeGroup({ name: "lan", ranges: ["198.51.100.0/24"] });
    await api.ask("POST", "/v1/plans", { body: { name: "office", include: ["lan"], ports: "80" } });
  });

  test("a change without If-Match is 428, with a stale one 412, with the one that was read it is done", async () => {
    const read = await raw("GET", "/v1/plans/office", {});
    const etag = read.headers.get("etag") ?? "";
    expect(etag).toMatch(/^"[0-9a-f]{16}\.[0-9a-f]{16}"$/);
    expect(await codeOf(await raw("PATCH", "/v1/plans/office", {}, { retries: 1 }))).toEqual([428, "precondition-required"]);
    const changed = await raw("PATCH", "/v1/plans/office", { "if-match": etag }, { retries: 1 });
    expect(changed.status).toBe(200);
    expect(await codeOf(await raw("PATCH", "/v1/plans/office", { "if-match": etag }, { retries: 2 }))).toEqual([412, "stale"]);
    expect(await codeOf(await raw("DELETE", "/v1/plans/office", { "if-match": etag }))).toEqual([412, "stale"]);
    // The answer to a change tells the next version; a proxy may have weakened it.
    const next = changed.headers.get("etag") ?? "";
    expect((await raw("PATCH", "/v1/plans/office", { "if-match": `W/${next}` }, { retries: 2 })).status).toBe(200);
    expect((await raw("DELETE", "/v1/plans/office", { "if-match": "*" })).status).toBe(200);
  });

  test("of two writers who read the same, one is refused: no edit is undone unawares", async () => {
    const etag = (await raw("GET", "/v1/range-groups/lan", {})).headers.get("etag") ?? "";
    const put = (range: string): Promise<Response> => raw("PUT", "/v1/range-groups/lan/ranges", { "if-match": etag }, { ranges: [range] });
    const statuses = (await Promise.all([put("203.0.113.0/25"), put("203.0.113.128/25")]))
      .map(({ status }) => status)
      .toSorted((a, b) => a - b);
    expect(statuses).toEqual([200, 412]);
  });

  test("polling a list or a thing costs 304 until it changes", async () => {
    for (const path of ["/v1/plans", "/v1/plans/office", "/v1/range-groups", "/v1/exclusions", "/v1/webhooks"]) {
      const etag = (await raw("GET", path, {})).headers.get("etag") ?? "";
      expect((await raw("GET", path, { "if-none-match": etag })).status, path).toBe(304);
    }
    const etag = (await raw("GET", "/v1/plans", {})).headers.get("etag") ?? "";
    await raw("PATCH", "/v1/plans/office", { "if-match": "*" }, { retries: 5 });
    expect((await raw("GET", "/v1/plans", { "if-none-match": etag })).status).toBe(200);
  });
});

describe("Idempotency-Key", () => {
  const make = (key: string, name: string, more: Record<string, string> = {}): Promise<Response> =>
    raw("POST", "/v1/tokens", { "idempotency-key": key, ...more }, { name, role: "viewer" });

  test("a repeat gets the same answer, the secret in it too, and nothing happens twice", async () => {
    const first = await make("k-1", "robot");
    const again = await make("k-1", "robot");
    expect([first.status, again.status, again.headers.get("idempotency-replayed")]).toEqual([201, 201, "true"]);
    const text = await first.text();
    expect(await again.text()).toBe(text);
    const dump = await (await fetch(`${api.store.sqld.url}/dump`)).text();
    expect(dump).not.toContain((JSON.parse(text) as { token: string }).token.slice(17, 81));
    expect(await codeOf(await make("k-1", "another"))).toEqual([422, "mismatch"]);
    expect(await codeOf(await make("k-2", "robot"))).toEqual([409, "conflict"]);
    expect(await codeOf(await make("k 3", "x"))).toEqual([400, "invalid"]);
  });

  test("another token's key is another key, and after 24 h so is one's own", async () => {
    const body = { name: "twin", ranges: [] };
    const post = (role: "admin" | "operator"): Promise<Response> =>
      api.ask("POST", "/v1/range-groups", { role, body, headers: { "idempotency-key": "same" } });
    expect([(await post("admin")).status, (await post("operator")).status]).toEqual([201, 200]);
    api.store.clock.nowMs += 24 * 3_600_000 + 1;
    const later = await post("admin");
    expect([later.status, later.headers.get("idempotency-replayed")]).toEqual([200, null]);
  });

  test("of ten at once one goes on; the others are told so, or get its answer", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => make("k-10", "ten")));
    const statuses = answers.map(({ status }) => status);
    expect(statuses.every((status) => status === 201 || status === 409)).toBe(true);
    expect(statuses).toContain(201);
    expect((await api.store.registry.tokens.list()).filter(({ name }) => name === "ten")).toHaveLength(1);
  });
});

test("limits are told on each answer; above them it is 429 with the time to wait, for that token alone", async () => {
  const { registry, clock } = api.store;
  const limits = { reads: 3, writes: 2, failures: 2 };
  const app = createApp({ registry, ledger: api.ledger, clock: () => clock.nowMs, version: "0", region: "eu", limits });
  const get = (token: string): Promise<Response> =>
    Promise.resolve(app.request("/v1/me", { headers: { authorization: `Bearer ${token}` } }));
  const answers = [await get(api.tokens.viewer), await get(api.tokens.viewer), await get(api.tokens.viewer), await get(api.tokens.viewer)];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429]);
  expect(answers[0]?.headers.get("ratelimit-policy")).toBe('"reads";q=3;w=60');
  expect(answers[1]?.headers.get("ratelimit")).toBe('"reads";r=1;t=60');
  expect([answers[3]?.headers.get("retry-after"), await answers[3]?.json()]).toMatchObject(["60", { code: "rate-limited" }]);
  expect((await get(api.tokens.admin)).status).toBe(200);
  clock.nowMs += 60_000;
  expect((await get(api.tokens.viewer)).status).toBe(200);
});

test("a token with a scope changes what belongs to its regions and groups, and nothing else", async () => {
  const { registry } = api.store;
  await registry.addRegion("ap");
  await registry.addGroup({ name: "mine", members: [{ scanner: "de01", pinned: null }] });
  await registry.addRangeGroup({ name: "scoped", ranges: ["203.0.113.0/24"] });
  const { text } = await registry.tokens.issue({
    name: "scoped",
    role: "admin",
    expiresAtMs: null,
    scope: { regions: ["eu"], groups: ["mine"] },
  });
  const { text: regional } = await registry.tokens.issue({
    name: "regional",
    role: "admin",
    expiresAtMs: null,
    scope: { regions: ["eu"], groups: null },
  });
  const ask = async (token: string, method: string, path: string, body?: unknown): Promise<number> =>
    (await raw(method, path, { authorization: `Bearer ${token}`, "if-match": "*" }, body)).status;
  const plan = (name: string, more: object): object => ({ name, include: ["scoped"], ports: "80", ...more });
  expect(await ask(text, "POST", "/v1/plans", plan("a", { group: "mine", home: "eu" }))).toBe(201);
  expect(await ask(text, "POST", "/v1/plans", plan("b", { home: "eu" }))).toBe(403);
  expect(await ask(text, "POST", "/v1/plans", plan("c", { group: "mine", home: "ap" }))).toBe(403);
  expect(await ask(text, "PATCH", "/v1/plans/a", { homes: ["eu", "ap"] })).toBe(403);
  expect(await ask(text, "PATCH", "/v1/plans/a", { group: "@all" })).toBe(403);
  expect(await ask(text, "PATCH", "/v1/plans/a", { retries: 1 })).toBe(200);
  expect(await ask(text, "POST", "/v1/plans/a/jobs")).toBe(201);
  expect(await ask(text, "POST", "/v1/exclusions", { ranges: ["203.0.113.1"], owner: "o", reason: "r" })).toBe(403);
  expect(await ask(text, "POST", "/v1/tokens", { name: "wider", role: "admin" })).toBe(403);
  expect(await ask(regional, "PATCH", "/v1/scanners/de01", { enabled: true })).toBe(200);
  const scanner = (region: string): object => ({ name: `new-${region}`, region, addresses: ["192.0.2.77"], publicKey: publicKey(9) });
  expect(await ask(regional, "POST", "/v1/scanners", scanner("ap"))).toBe(403);
  expect(await ask(regional, "POST", "/v1/scanners", scanner("eu"))).toBe(201);
  expect(await ask(text, "GET", "/v1/tokens")).toBe(200);
  expect((await registry.state()).plans.map(({ name }) => name)).toContain("a");
});
