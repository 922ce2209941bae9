import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createApp } from "../../src/api/app.ts";
import { migrate } from "../../src/local/migrate.ts";
import { freePort } from "../../src/local/ports.ts";
import { type Sqld, startSqld } from "../../src/local/sqld.ts";
import { openRegistry, type Registry } from "../../src/registry/registry.ts";
import { until } from "../bus/until.ts";
import { REGISTRY_MIGRATIONS } from "../registry/harness.ts";
import { cannedLedger } from "./harness.ts";

let dir: string;
let primary: Sqld;
let replica: Sqld;
let registry: Registry;
let ask: (method: string, path: string, body?: unknown) => Promise<Response>;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "portolan-away-"));
  const grpcPort = await freePort();
  primary = await startSqld({ dir: join(dir, "primary"), grpcPort });
  await migrate({ url: primary.url, folder: REGISTRY_MIGRATIONS });
  replica = await startSqld({ dir: join(dir, "replica"), primaryGrpcUrl: `http://127.0.0.1:${grpcPort}` });
  registry = openRegistry({ url: replica.url, primaryUrl: primary.url });
  await registry.addRegion("eu");
  const { text } = await registry.tokens.issue({ name: "admin", role: "admin", expiresAtMs: null });
  const local = openRegistry({ url: replica.url });
  await until("the replica has the token", async () => (await local.tokens.verify(text).catch(() => null)) !== null, 30_000);
  local.close();
  const app = createApp({ registry, ledger: denyingLedger(), clock: () => Date.now(), version: "0", region: "us" });
  const headers = { authorization: `Bearer ${text}`, "content-type": "application/json", "if-match": "*" };
  ask = async (method, path, body) => app.request(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
}, 60_000);
afterAll(async () => {
  registry?.close();
  await replica?.stop();
  await primary?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const DENY = { id: "d".repeat(64), ranges: ["192.0.2.1"], ports: null, reason: "", by: "admin", atMs: 1, expiresAtMs: null, lifted: null };

/** Its keeper accepts a deny. */
function denyingLedger(): ReturnType<typeof cannedLedger> {
  return { ...cannedLedger(), deny: async () => DENY, awaitCommand: async () => ({ ok: true, result: { deny: DENY.id } }) };
}

const EDITS: readonly (readonly [string, string, unknown?])[] = [
  ["POST", "/v1/regions", { name: "us" }],
  ["PATCH", "/v1/regions/eu", { latitude: 1, longitude: 2 }],
  ["DELETE", "/v1/regions/eu"],
  ["POST", "/v1/range-groups", { name: "g", ranges: [] }],
];

async function editsAreRefusedInTime(): Promise<void> {
  for (const [method, path, body] of EDITS) {
    const beganMs = performance.now();
    const answer = await ask(method, path, body);
    // 2 s are promised; the rest is the test machine's.
    expect(performance.now() - beganMs).toBeLessThan(2_500);
    expect([path, answer.status, answer.headers.get("retry-after")]).toEqual([path, 503, "2"]);
    expect(answer.headers.get("content-type")).toContain("application/problem+json");
    expect(await answer.json()).toMatchObject({ code: "unavailable" });
  }
  // An emergency does not wait for the registry.
  expect((await ask("POST", "/v1/deny", { ranges: ["192.0.2.1"], reason: "abuse report" })).status).toBe(201);
  const read = await ask("GET", "/v1/regions");
  expect([read.status, (await read.json()).items[0].name]).toEqual([200, "eu"]);
}

test("edits are refused within 2 s with Retry-After while the registry's primary is frozen, reads go on; after the thaw they work", async () => {
  process.kill(primary.pid, "SIGSTOP");
  try {
    await editsAreRefusedInTime();
  } finally {
    process.kill(primary.pid, "SIGCONT");
  }
  await until("an edit is taken", async () => (await ask("PATCH", "/v1/regions/eu", { latitude: 3, longitude: 4 })).status === 200, 30_000);
}, 60_000);

test("edits are refused within 2 s with Retry-After when the registry's primary is dead, reads go on", async () => {
  await primary.kill9();
  await editsAreRefusedInTime();
}, 60_000);
