import { createClient } from "@libsql/client/web";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApp } from "../../src/api/app.ts";
import { openLedger } from "../../src/ledger/ledger.ts";
import type { Ledger, Service } from "../../src/ledger/types.ts";
import { contextAt, itemOf, jobSpecOf, sightingsOf, uploadOf } from "../ledger/builders.ts";
import { type TestFacts, startTestFacts } from "./facts.ts";
import { startTestRegistry, type TestRegistry } from "../registry/harness.ts";

const NOW_MS = 1_700_000_000_000;
const SERVICES = 2_500;

let store: TestRegistry;
let facts: TestFacts;
let ledger: Ledger;
let token: string;
let job: string;
const bugs: unknown[] = [];

beforeAll(async () => {
  store = await startTestRegistry();
  facts = await startTestFacts();
  ledger = openLedger({ url: facts.sqld.url, region: "eu", timeoutMs: 5_000 });
  await store.registry.addRegion("eu");
  token = (await store.registry.tokens.issue({ name: "tests", role: "admin", expiresAtMs: null })).text;
  await ledger.ensureLog(() => "ab".repeat(16));
  const lease = await ledger.takeLease({ holder: "test", nowMs: NOW_MS, ttlMs: 600_000 });
  const context = contextAt(lease?.epoch ?? 0, NOW_MS);
  const texts = Array.from({ length: SERVICES }, (_, index) =>
    index % 5 === 0 ? `2001:db8::${index.toString(16)}:443` : `10.0.${index >> 8}.${index & 255}:${80 + (index % 3)}`,
  );
  const item = itemOf({ kind: "job", content: jobSpecOf({ pairsMax: 4 }) });
  job = item.id;
  await ledger.accept([uploadOf(sightingsOf(texts)), item], context);
  while (await ledger.runDeferred(context));
});

afterAll(async () => {
  ledger?.close();
  await facts?.stop();
  await store?.close();
});

function app(reader: Ledger = ledger): ReturnType<typeof createApp> {
  return createApp({
    registry: store.registry,
    ledger: reader,
    clock: () => NOW_MS,
    version: "0",
    region: "eu",
    onBug: (error) => bugs.push(error),
  });
}

async function get(path: string): Promise<Response> {
  return app().request(path, { headers: { authorization: `Bearer ${token}` } });
}

type List<T> = { items: T[]; next_cursor: string | null };

async function all<T>(path: string, limit: number): Promise<T[]> {
  const items: T[] = [];
  const untilMs = Date.now() + 30_000;
  let cursor: string | null = null;
  do {
    const response = await get(`${path}${path.includes("?") ? "&" : "?"}limit=${limit}${cursor === null ? "" : `&cursor=${cursor}`}`);
    // What a busy machine does not answer in time may be asked again.
    if (response.status === 503 && Date.now() < untilMs) continue;
    expect(response.status).toBe(200);
    const page = (await response.json()) as List<T>;
    expect(page.items.length).toBeLessThanOrEqual(limit);
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null);
  return items;
}

describe("the register", () => {
  const keyOf = (service: Service): string => `${service.address} ${service.protocol} ${service.port}`;

  test("comes page by page with every service once, for every filter", async () => {
    const whole = await all<Service>("/v1/services", 1_000);
    expect(new Set(whole.map(keyOf)).size).toBe(SERVICES);
    expect((await all<Service>("/v1/services", 333)).map(keyOf)).toEqual(whole.map(keyOf));
    const inRange = await all<Service>("/v1/services?cidr=10.0.1.0/24&port=81", 10);
    expect(inRange.map(keyOf)).toEqual(whole.filter((service) => service.address.startsWith("10.0.1.") && service.port === 81).map(keyOf));
    expect(await all<Service>("/v1/services?cidr=2001:db8::/64", 100)).toHaveLength(SERVICES / 5);
    expect(await all<Service>("/v1/services?state=closed", 100)).toEqual([]);
    expect(await all<Service>("/v1/services?state=all&protocol=udp", 100)).toEqual([]);
  });

  test("finds what a filter says, counts it, and exports it whole", async () => {
    const whole = await all<Service>("/v1/services", 1_000);
    const q = encodeURIComponent("10.0.1.0/24,10.0.3.0/24 -port:81 seen:<52w");
    const found = await all<Service>(`/v1/services?q=${q}`, 100);
    const wanted = whole.filter(({ address, port }) => /^10\.0\.[13]\./.test(address) && port !== 81).map(keyOf);
    expect([wanted.length > 100, found.map(keyOf)]).toEqual([true, wanted]);
    expect((await all<Service>(`/v1/services?q=${q}&sort=-address`, 100)).map(keyOf)).toEqual(wanted.toReversed());
    const total = { count: wanted.length, exact: true };
    expect(await (await get(`/v1/services?limit=1&q=${q}`)).json()).toMatchObject({ total });
    expect(await (await get(`/v1/services/facets?facet=port&q=${q}`)).json()).toMatchObject({ total, facets: { port: [{}, {}] } });
    const lines = (await (await get(`/v1/services.ndjson?q=${q}`)).text()).trimEnd().split("\n");
    expect(lines.map((line) => keyOf(JSON.parse(line) as Service))).toEqual(wanted);
    const file = (await (await get("/v1/services.json")).json()) as List<Service>;
    expect(file.items.map(keyOf)).toEqual(whole.map(keyOf));
    expect((await all<{ address: string }>(`/v1/changes?q=10.0.1.0/24+port:81`, 50)).length).toBe(
      whole.filter(({ address, port }) => address.startsWith("10.0.1.") && port === 81).length,
    );
    const unknown = await get("/v1/services?q=group:nowhere");
    expect([unknown.status, await unknown.text()]).toEqual([404, expect.stringContaining("nowhere")]);
    const wrong = await get("/v1/changes?q=seen:<1h");
    expect([wrong.status, await wrong.text()]).toEqual([400, expect.stringContaining("GET /v1/services")]);
  });

  test("hides known-good services in every list, says how many, and shows them alone or with the others when asked", async () => {
    const whole = await all<Service>("/v1/services?known=show", 1_000);
    const client = createClient({ url: facts.sqld.url });
    const isKnown = (service: Service): boolean => service.address.startsWith("10.0.1.") || service.port === 443;
    try {
      await client.execute("update service set known = 1 where port = 443 or hex(ip) like '%0A0001__'");
      for (const filter of [
        "",
        "port=443",
        "cidr=10.0.0.0/16",
        "cidr=10.0.1.0/24&port=81",
        "state=open",
        "state=closed",
        "state=all&protocol=tcp",
      ]) {
        const shown = await all<Service>(`/v1/services?known=show&${filter}`, 400);
        const hidden = await all<Service>(`/v1/services?${filter}`, 400);
        const only = await all<Service>(`/v1/services?known=only&${filter}`, 400);
        expect(hidden.map(keyOf), filter).toEqual(shown.filter((service) => !isKnown(service)).map(keyOf));
        expect(only.map(keyOf), filter).toEqual(shown.filter(isKnown).map(keyOf));
        expect(only.every((service) => service.known)).toBe(true);
        expect(await (await get(`/v1/services?limit=1&${filter}`)).json(), filter).toMatchObject({ hiddenKnownGood: only.length });
        expect(await (await get(`/v1/services?limit=1&known=show&${filter}`)).json()).toMatchObject({ hiddenKnownGood: 0 });
      }
      expect(await all<Service>("/v1/services?known=show", 1_000)).toHaveLength(whole.length);
    } finally {
      await client.execute("update service set known = 0 where known = 1");
      client.close();
    }
  });

  test("tells one host in whatever spelling, and the summary", async () => {
    expect(await (await get("/v1/hosts/2001:DB8:0:0:0:0:0:5")).json()).toMatchObject({
      address: "2001:db8::5",
      services: [{ port: 443, state: "open" }],
    });
    expect(await (await get("/v1/services/summary")).json()).toMatchObject({ counts: { open: SERVICES, closed: 0 } });
  });

  test("shows a job with its tiles and shards page by page", async () => {
    expect(await (await get(`/v1/jobs/${job}`)).json()).toMatchObject({ id: job, state: "running", tiles: { total: 8, complete: 0 } });
    expect(await all("/v1/jobs", 1)).toHaveLength(1);
    expect(await all(`/v1/jobs/${job}/tiles`, 3)).toHaveLength(8);
    expect(await all(`/v1/jobs/${job}/shards`, 5)).toHaveLength(16);
    expect(await all(`/v1/jobs/${job}/shards?tile=2`, 5)).toHaveLength(2);
    expect(await all("/v1/changes", 1_000)).toHaveLength(SERVICES);
  });

  test("refuses any place that no page gave, also under a true filter", async () => {
    const first = (await (await get("/v1/services?limit=1")).json()) as List<Service>;
    const [hash] = atob((first.next_cursor ?? "").replaceAll("-", "+").replaceAll("_", "/")).split(":");
    const place = fc.oneof(
      fc.string({ maxLength: 60 }),
      fc.stringMatching(/^[0-9a-f]{32}\.\d{1,5}\.\d{1,3}$/),
      fc.stringMatching(/^\d{1,20}(\.[0-9a-f]{1,64})?$/),
    );
    await fc.assert(
      fc.asyncProperty(place, async (text) => {
        const cursor = btoa(unescape(encodeURIComponent(`${hash}:${text.toWellFormed()}`)));
        const response = await get(`/v1/services?limit=1&cursor=${encodeURIComponent(cursor)}`);
        await response.arrayBuffer();
        expect(response.status).toBeLessThan(500);
      }),
      { numRuns: 300 },
    );
    expect(bugs).toEqual([]);
  });

  test("is a 503 with the remedy, soon and not never, while its database is frozen, and back after the thaw", async () => {
    const reader = openLedger({ url: facts.sqld.url, region: "eu", timeoutMs: 1_500 });
    const ask = async (): Promise<Response> =>
      app(reader).request("/v1/services?limit=1", { headers: { authorization: `Bearer ${token}` } });
    process.kill(facts.sqld.pid, "SIGSTOP");
    try {
      const before = performance.now();
      const response = await ask();
      expect(performance.now() - before).toBeLessThan(15_000);
      expect([response.status, response.headers.get("retry-after")]).toEqual([503, "2"]);
      expect(await response.json()).toMatchObject({ code: "unavailable", detail: expect.stringContaining("check") });
    } finally {
      process.kill(facts.sqld.pid, "SIGCONT");
    }
    await expect.poll(async () => (await ask()).status).toBe(200);
    reader.close();
  });
});
