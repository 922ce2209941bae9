import { hc } from "hono/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { AppType } from "../../src/api/app.ts";
import { openLedger } from "../../src/ledger/ledger.ts";
import { type TestFacts, startTestFacts } from "../api/facts.ts";
import { type TestRegistry, publicKey, startTestRegistry } from "../registry/harness.ts";
import { type Environment, type Server, startDeno, startNode, startWorkerd } from "./servers.ts";

let store: TestRegistry;
let facts: TestFacts;
let environment: Environment;
let token: string;
let stopKeeper: () => Promise<void>;

beforeAll(async () => {
  store = await startTestRegistry();
  facts = await startTestFacts();
  store.clock.nowMs = Date.now();
  await store.registry.addRegion("eu");
  await store.registry.addScanner({ name: "de01", region: "eu", addresses: ["192.0.2.250"], publicKey: publicKey(0) });
  token = (await store.registry.tokens.issue({ name: "tests", role: "admin", expiresAtMs: null })).text;
  environment = { PORTOLAN_REGION: "eu", PORTOLAN_REGISTRY_URL: store.sqld.url, PORTOLAN_LEDGER_URL: facts.sqld.url };
  stopKeeper = startCommandKeeper(facts.sqld.url);
});

afterAll(async () => {
  await stopKeeper?.();
  await facts?.stop();
  await store?.close();
});

/** The part of a keeper that answers commands: each start gets the same job id. */
function startCommandKeeper(url: string): () => Promise<void> {
  const ledger = openLedger({ url, region: "eu", timeoutMs: 30_000 });
  let isRunning = true;
  const loop = async (): Promise<void> => {
    const lease = await ledger.takeLease({ holder: "test", nowMs: Date.now(), ttlMs: 300_000 });
    while (isRunning && lease !== null) {
      const commands = await ledger.takeCommands({ limit: 10, nowMs: Date.now() });
      for (const command of commands) {
        await ledger.finishCommand(command.id, { ok: true, result: { job: "cd".repeat(32) } }, { epoch: lease.epoch, nowMs: Date.now() });
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    ledger.close();
  };
  const ended = loop();
  return async () => {
    isRunning = false;
    await ended;
  };
}

describe.each([
  { runtime: "Node", start: startNode, servesStatic: true },
  { runtime: "Deno", start: startDeno, servesStatic: true },
  // Assets are the platform's there, not the worker's.
  { runtime: "workerd", start: startWorkerd, servesStatic: false },
])("on $runtime", ({ runtime, start, servesStatic }) => {
  let server: Server;
  const plan = `plan-${runtime.toLowerCase()}`;

  beforeAll(async () => {
    server = await start(environment);
  });

  afterAll(async () => {
    await server?.stop();
  });

  const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
    fetch(`${server.url}${path}`, { headers: { authorization: `Bearer ${token}`, ...headers }, redirect: "manual" });

  test("both stores are ready and the version is told", async () => {
    const ready = await get("/readyz");
    expect([ready.status, await ready.json()]).toMatchObject([200, { ready: true, region: "eu" }]);
    expect(await (await get("/version")).json()).toMatchObject({ name: "portolan", region: "eu" });
  });

  test("a request without a token gets a problem, a page a redirect to sign-in", async () => {
    const refused = await fetch(`${server.url}/v1/plans`);
    expect([refused.status, refused.headers.get("content-type")]).toEqual([401, "application/problem+json"]);
    await refused.arrayBuffer();
    const page = await fetch(`${server.url}/`, { redirect: "manual" });
    expect([page.status, page.headers.get("location")]).toEqual([303, expect.stringContaining("/login")]);
  });

  test("the typed client creates a plan, reads it and starts a job", async () => {
    const client = hc<AppType>(server.url, { headers: { authorization: `Bearer ${token}` } });
    const json = { name: plan, ranges: ["192.0.2.0/24"], ports: "22,443", every: "6h" };
    const created = await client.v1.plans.$post({ json });
    expect(created.status).toBe(201);
    expect((await client.v1.plans.$post({ json })).status).toBe(200);
    const read = await client.v1.plans[":name"].$get({ param: { name: plan } });
    expect(await read.json()).toMatchObject({ name: plan, intervalS: 21_600, pairs: 512, problem: null });
    const started = await client.v1.plans[":name"].jobs.$post({ param: { name: plan } });
    expect([started.status, await started.json()]).toEqual([201, { job: "cd".repeat(32) }]);
    await client.v1.plans[":name"].$delete({ param: { name: plan } });
  });

  test("lists have cursors bound to their filter and cost a 304 when nothing changed", async () => {
    const first = await get("/v1/range-groups?limit=1000");
    expect(first.status).toBe(200);
    await first.arrayBuffer();
    const again = await get("/v1/range-groups?limit=1000", { "if-none-match": first.headers.get("etag") ?? "" });
    expect(again.status).toBe(304);
    expect((await get("/v1/services?cidr=192.0.2.0/24&cursor=AAAA")).status).toBe(400);
    expect(await (await get("/v1/services?cidr=192.0.2.0/24")).json()).toEqual({ items: [], next_cursor: null, hiddenKnownGood: 0 });
  });

  test("a wrong request gets the same problem as everywhere", async () => {
    const response = await get("/v1/hosts/1.2.3.400");
    expect([response.status, await response.json()]).toMatchObject([400, { code: "invalid", type: "urn:portolan:problem:invalid" }]);
  });

  test("the pages are there", async () => {
    const login = await get("/login");
    expect([login.status, login.headers.get("content-type")]).toEqual([200, expect.stringContaining("text/html")]);
    const page = await get("/", { cookie: `portolan_token=${token}` });
    expect([page.status, await page.text()]).toEqual([200, expect.stringContaining("No plan yet")]);
    const style = await get("/static/portolan.css");
    await style.arrayBuffer();
    if (servesStatic) expect(style.headers.get("content-type")).toContain("text/css");
  });
});
