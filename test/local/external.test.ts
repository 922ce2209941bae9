import { spawn } from "node:child_process";
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { createClient } from "@libsql/client/web";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { DaemonConfigInput } from "../../scanner-daemon/config.ts";
import { newSeed, publicKeyOf } from "../../src/bus/keys.node.ts";
import { takeBackup } from "../../src/local/backup.ts";
import { migrate } from "../../src/local/migrate.ts";
import { startNats } from "../../src/local/nats.ts";
import { freePort } from "../../src/local/ports.ts";
import { type Sqld, startSqld } from "../../src/local/sqld.ts";
import { ROOT } from "../../src/local/tools.ts";
import { bootstrap, openRegistry } from "../../src/registry/registry.ts";
import { composeApp } from "../../workers/compose.ts";
import { readConfig } from "../../workers/config.ts";
import { until } from "../bus/until.ts";

// Registry and ledger as somebody else's databases: addresses and tokens, and nothing else.

const DEADLINE_MS = 60_000;
const dir = mkdtempSync(join(tmpdir(), "portolan-external-"));
const cleanups: (() => Promise<unknown> | void)[] = [];
let stores: { readonly registry: Sqld; readonly ledger: Sqld };
let key: KeyObject;
let rw = "";
let ro = "";
let adminToken = "";
let seed = "";

function jwt(access: "rw" | "ro"): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "EdDSA", typ: "JWT" })}.${part({ a: access })}`;
  return `${text}.${sign(null, Buffer.from(text), key).toString("base64url")}`;
}

beforeAll(async () => {
  const pair = generateKeyPairSync("ed25519");
  key = pair.privateKey;
  const jwtKeyFile = join(dir, "jwt.pem");
  writeFileSync(jwtKeyFile, pair.publicKey.export({ type: "spki", format: "pem" }));
  [rw, ro] = [jwt("rw"), jwt("ro")];
  const start = async (store: "registry" | "ledger"): Promise<Sqld> => {
    const sqld = await startSqld({ dir: join(dir, store), jwtKeyFile, authToken: rw });
    cleanups.push(() => sqld.stop());
    await migrate({ url: sqld.url, authToken: rw, folder: join(ROOT, "migrations", store) });
    return sqld;
  };
  const [registry, ledger] = await Promise.all([start("registry"), start("ledger")]);
  stores = { registry, ledger };
  const store = openRegistry({ url: registry.url, authToken: rw, timeoutMs: 5_000 });
  cleanups.push(() => store.close());
  seed = newSeed();
  adminToken = (await bootstrap(store, { region: "eu", tokenName: "first" }))?.text ?? "";
  await store.addScanner({ name: "local", region: "eu", addresses: ["127.0.0.1"], publicKey: publicKeyOf(seed) });
});
afterAll(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
  rmSync(dir, { recursive: true, force: true });
});

function app(token: string): ReturnType<typeof composeApp> {
  const config = readConfig({
    PORTOLAN_REGION: "eu",
    PORTOLAN_REGISTRY_URL: stores.registry.url,
    PORTOLAN_REGISTRY_TOKEN: token,
    PORTOLAN_LEDGER_URL: stores.ledger.url,
    PORTOLAN_LEDGER_TOKEN: token,
  });
  return composeApp(config, { log: () => undefined, decompress: (bytes) => zstdDecompressSync(bytes) });
}

async function ask(
  served: ReturnType<typeof app>,
  path: string,
  init: { method?: string; body?: unknown; headers?: Record<string, string> } = {},
) {
  const { method = "GET", body, headers = {} } = init;
  const request = new Request(`http://api.example${path}`, {
    method,
    headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json", "if-match": "*", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const response = await served.fetch(request);
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === "" ? null : (JSON.parse(text) as unknown) };
}

const plan = (name: string, port: number) => ({ name, ranges: ["127.0.0.1/32"], ports: String(port), engine: "connect", confirm: false });

test("the databases refuse whoever has no token, and a reader who writes", async () => {
  const client = (authToken?: string) => createClient({ url: stores.ledger.url, ...(authToken === undefined ? {} : { authToken }) });
  await expect(client().execute("select 1")).rejects.toThrow("401");
  expect((await client(ro).execute("select count(*) from log")).rows).toHaveLength(1);
  await expect(client(ro).execute("delete from log")).rejects.toThrow(/403|forbidden|not authorized|unauthorized/i);
});

test("the API reads and edits with tokens alone", async () => {
  const served = app(rw);
  expect(await ask(served, "/readyz")).toMatchObject({ status: 200, body: { ready: true } });
  expect(await ask(served, "/v1/plans", { method: "POST", body: plan("office", 443) })).toMatchObject({ status: 201 });
  expect(await ask(served, "/v1/plans", { method: "POST", body: plan("office", 443) })).toMatchObject({ status: 200 });
  const first = await ask(served, "/v1/plans");
  expect(first.body).toMatchObject({ items: [{ name: "office" }] });
  const again = await ask(served, "/v1/plans", { headers: { "if-none-match": first.headers.get("etag") ?? "" } });
  expect(again.status).toBe(304);
  expect(await ask(served, "/v1/services")).toMatchObject({ status: 200, body: { items: [] } });
  expect(await ask(served, "/v1/plans/office", { method: "DELETE" })).toMatchObject({ status: 200 });
});

test("an API whose token the databases refuse says that they cannot be reached, within its time", async () => {
  const startedMs = performance.now();
  expect(await ask(app(`${rw.slice(0, -4)}AAAA`), "/v1/plans")).toMatchObject({ status: 503, body: { code: "unavailable" } });
  expect(performance.now() - startedMs).toBeLessThan(10_000);
});

test("a dump needs no more than a reader's token", async () => {
  const taken = await takeBackup({ store: "ledger", url: stores.ledger.url, authToken: ro, dir, nowMs: 0 });
  expect(taken.bytes).toBeGreaterThan(1_000);
  await expect(takeBackup({ store: "ledger", url: stores.ledger.url, dir, nowMs: 1 })).rejects.toThrow("it answered 401");
});

test("a keeper without admin access does a whole job, and says that the provider answers for durability", async () => {
  const { health } = await startKeeper();
  const leading = async (): Promise<Record<string, unknown> | null> => {
    const response = await fetch(`${health}/readyz`, { signal: AbortSignal.timeout(2_000) }).catch(() => null);
    const details = response?.ok === true ? ((await response.json()) as Record<string, unknown> & { keeper?: { leader?: boolean } }) : null;
    return details?.keeper?.leader === true ? details : null;
  };
  expect(await until("the keeper has the lease", leading, DEADLINE_MS)).toMatchObject({ durability: "provider" });
  const listener = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => new Promise((resolve) => listener.close(resolve)));
  const { port } = listener.address() as AddressInfo;
  const served = app(rw);
  expect(await ask(served, "/v1/plans", { method: "POST", body: plan("self", port) })).toMatchObject({ status: 201 });
  const started = async (): Promise<string | null> => {
    const { status, body } = await ask(served, "/v1/plans/self/jobs", { method: "POST" });
    return status === 201 ? (body as { job: string }).job : null;
  };
  const job = await until("the job starts", started, DEADLINE_MS);
  const ended = async (): Promise<unknown> => {
    const { body } = await ask(served, `/v1/jobs/${job}`);
    return (body as { state?: string } | null)?.state === "running" ? null : body;
  };
  expect(await until("the job ends", ended, DEADLINE_MS)).toMatchObject({ state: "complete" });
  const open = async (): Promise<boolean> => {
    const { body } = await ask(served, "/v1/services?state=open");
    return (body as { items: { port: number }[] }).items.some((service) => service.port === port);
  };
  await until("the service is shown", open, DEADLINE_MS);
});

/** One daemon with both roles, its tokens in files. */
async function startKeeper(): Promise<{ readonly health: string }> {
  const user = { name: "local", publicKey: publicKeyOf(seed) };
  writeFileSync(join(dir, "seed"), seed, { mode: 0o600 });
  writeFileSync(join(dir, "token"), `${rw}\n`, { mode: 0o600 });
  const nats = await startNats({ dir: join(dir, "nats"), region: "eu", keepers: [user], scanners: [] });
  cleanups.push(() => nats.stop());
  const healthPort = await freePort();
  const config: DaemonConfigInput = {
    region: "eu",
    dataDir: join(dir, "state"),
    roles: ["scanner", "keeper"],
    nats: { url: nats.url },
    keySeedFile: join(dir, "seed"),
    keeperPublicKeys: [user.publicKey],
    registry: { url: stores.registry.url, tokenFile: join(dir, "token") },
    ledger: { url: stores.ledger.url, tokenFile: join(dir, "token") },
    scanner: { name: "local" },
    keeper: { name: "k1", tickMs: 100, connectTimeoutMs: 500 },
    healthPort,
  };
  writeFileSync(join(dir, "daemon.json"), JSON.stringify(config));
  const daemon = spawn(process.execPath, [join(ROOT, "scanner-daemon/main.ts"), "--config", join(dir, "daemon.json")], { stdio: "ignore" });
  const exited = new Promise((resolve) => daemon.once("exit", resolve));
  cleanups.push(() => {
    daemon.kill("SIGTERM");
    return exited;
  });
  return { health: `http://127.0.0.1:${healthPort}` };
}
