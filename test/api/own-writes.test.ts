import { afterAll, beforeAll, expect, test } from "vitest";
import { createApp } from "../../src/api/app.ts";
import { openRegistry, type Registry } from "../../src/registry/registry.ts";
import { type LaggingReplica, startLaggingReplica } from "./lagging-replica.ts";
import { type TestApi, startTestApi } from "./harness.ts";

let api: TestApi;
let replica: LaggingReplica;
const registries: Registry[] = [];

beforeAll(async () => {
  api = await startTestApi();
  replica = await startLaggingReplica(api.store.sqld.url);
});
afterAll(async () => {
  for (const registry of registries) registry.close();
  await replica?.close();
  await api?.close();
});

/** Another process of the API: its reads go to the fake replica, its writes to the primary. */
function process(): (method: string, path: string, options?: { body?: unknown; version?: string | null }) => Promise<Response> {
  const registry = openRegistry({ url: replica.url, primaryUrl: api.store.sqld.url, timeoutMs: 10_000 });
  registries.push(registry);
  const app = createApp({ registry, ledger: api.ledger, clock: () => 0, version: "0", region: "eu" });
  return async (method, path, { body, version } = {}) => {
    const headers: Record<string, string> = {
      authorization: `Bearer ${api.tokens.admin}`,
      "content-type": "application/json",
      "if-match": "*",
    };
    if (version !== undefined && version !== null) headers["x-registry-version"] = version;
    // The guard's deadline is for people; here a busy machine must not decide.
    return app.request(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  };
}

test("1,000 of 1,000 reads that name the version of a write see it, in another process before a lagging (fake) replica", async () => {
  const writer = process();
  const reader = process();
  let seen = 0;
  let seenWithoutName = 0;
  for (let round = 1; round <= 1_000; round++) {
    const written = await writer("PATCH", "/v1/regions/eu", { body: { latitude: round / 100, longitude: 0 } });
    expect(written.status).toBe(200);
    if (round % 100 === 0) replica.catchUp();
    // Somebody else, in a third process, who names nothing: shows that the fake lags.
    if (round % 100 === 50) {
      const { latitude } = await (await process()("GET", "/v1/regions/eu")).json();
      seenWithoutName += latitude === round / 100 ? 1 : 0;
    }
    const read = await reader("GET", "/v1/regions/eu", { version: written.headers.get("x-registry-version") });
    const { latitude } = await read.json();
    seen += latitude === round / 100 ? 1 : 0;
  }
  expect(seen).toBe(1_000);
  expect(seenWithoutName).toBeLessThan(10);
}, 120_000);

test("a version that nobody wrote is ignored", async () => {
  const reader = process();
  const answer = await reader("GET", "/v1/regions/eu", { version: "999999999" });
  expect(answer.status).toBe(200);
  expect((await reader("GET", "/v1/regions/eu", { version: "1; drop" })).status).toBe(200);
  const written = await reader("PATCH", "/v1/regions/eu", { body: { latitude: 1, longitude: 1 } });
  expect(Number(written.headers.get("x-registry-version"))).toBeLessThan(999_999_999);
});
