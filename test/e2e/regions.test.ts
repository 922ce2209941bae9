import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sha256Hex } from "../../src/bus/keys.node.ts";
import { run } from "../../src/cli/main.ts";
import { openLedger } from "../../src/ledger/ledger.ts";
import { type Api, openApi } from "../../src/local/demo/api.ts";
import { type Regions, startRegions } from "../../src/local/regions.ts";
import { until } from "../bus/until.ts";
import { Listeners } from "./listeners.ts";

// Three regions on one machine: real sqld with mutual TLS, nats-server, keepers and APIs; the connect engine against loopback.

const DEADLINE_MS = 90_000;
const NAMES = ["eu", "us", "ap"];
const listeners = new Listeners();
let dir = "";
let regions: Regions;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "portolan-regions-"));
  for (let host = 1; host <= 6; host += 1) await listeners.listen(`127.7.9.${host}`, 20_201);
  const place = { scanners: [], latitude: 0, longitude: 0 };
  regions = await startRegions({
    dir: join(dir, "data"),
    regions: NAMES.map((name) => ({ ...place, name, scanners: name === "eu" ? [{ name: "s1", addresses: ["127.0.0.1"] }] : [] })),
    keeper: { tickMs: 100 },
    backups: { countMax: 2 },
  });
});
afterAll(async () => {
  await regions?.stop();
  await listeners.closeAll();
  await rm(dir, { recursive: true, force: true });
});

const api = (name: string): Api => openApi(regions.region(name).apiUrl, regions.adminToken);

type Answer = { readonly status: number; readonly body: unknown; readonly headers: Headers };

async function ask(region: string, path: string, body?: unknown): Promise<Answer> {
  const headers = { authorization: `Bearer ${regions.adminToken}`, "content-type": "application/json" };
  const init = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
  const response = await fetch(`${regions.region(region).apiUrl}${path}`, { ...init, signal: AbortSignal.timeout(30_000) });
  return { status: response.status, body: await response.json(), headers: response.headers };
}

const addGroup = (region: string, name: string): Promise<Answer> => ask(region, "/v1/range-groups", { name, ranges: ["127.7.9.0/28"] });

async function hasGroup(region: string, name: string): Promise<boolean> {
  const { status, body } = await ask(region, "/v1/range-groups?limit=1000");
  return status === 200 && (body as { items: { name: string }[] }).items.some((group) => group.name === name);
}

/** The state hash of a region's ledger; null while something is put off. */
async function hashOf(region: string): Promise<string | null> {
  const ledger = openLedger({ url: regions.region(region).ledgerUrl, region, timeoutMs: 10_000 });
  try {
    const { hash, services, settled } = await ledger.stateHash(sha256Hex);
    return settled && services > 0 ? hash : null;
  } finally {
    ledger.close();
  }
}

async function equalEverywhere(): Promise<void> {
  const look = async (): Promise<boolean> => {
    const hashes = await Promise.all(NAMES.map((name) => hashOf(name).catch(() => null)));
    return hashes[0] !== null && new Set(hashes).size === 1;
  };
  await until("equal state hashes", look, DEADLINE_MS);
}

type Done = { readonly code: number; readonly out: string; readonly err: string };

/** The command line as a person at this machine types it. */
async function portolan(...args: string[]): Promise<Done> {
  const said = { out: "", err: "" };
  const sink = (name: "out" | "err") => ({ isTTY: false, columns: 100, write: (text: string) => void (said[name] += text), stream: null });
  const code = await run([...args, "--dir", join(dir, "data")], {
    stdout: sink("out"),
    stderr: sink("err"),
    env: {},
    cwd: dir,
    fetch: (request) => fetch(request),
    now: () => Date.now(),
    sleep: () => Promise.resolve(),
    signal: new AbortController().signal,
  });
  return { code, ...said };
}

test("an edit made in any region is there for the next read in that region, and soon everywhere", async () => {
  for (const name of NAMES) {
    expect(await addGroup(name, `from-${name}`)).toMatchObject({ status: 201 });
    expect(await hasGroup(name, `from-${name}`)).toBe(true);
    for (const other of NAMES) await until(`${other} has it`, () => hasGroup(other, `from-${name}`), DEADLINE_MS);
  }
});

test("what one region's scanner finds is in every region's register, with equal state hashes", async () => {
  const plan = { name: "loop", ranges: ["127.7.9.0/28"], ports: "20201", engine: "connect", rateLimitPps: 20_000, confirm: false };
  await api("eu").post("/v1/plans", plan);
  const job = await api("eu").startJob("loop");
  await until("the job ends", async () => (await api("eu").job(job)).state === "complete", DEADLINE_MS);
  for (const name of NAMES) {
    const found = async (): Promise<boolean> => (await api(name).services()).length === listeners.open.length;
    await until(`${name} has them`, found, DEADLINE_MS);
  }
  await equalEverywhere();
});

test("with the registry's home dead, reads go on and edits answer 503 at once; after a promotion by command edits work again", async () => {
  const home = regions.region("eu").child("registry");
  await home.kill9({ stayDown: true });
  for (const name of ["us", "ap"]) expect(await hasGroup(name, "from-eu")).toBe(true);
  const startedMs = performance.now();
  const refused = await addGroup("ap", "refused");
  expect(refused).toMatchObject({ status: 503, body: { code: "unavailable" } });
  expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
  // Two seconds are promised on a quiet machine.
  expect(performance.now() - startedMs).toBeLessThan(10_000);

  const done = await portolan("region", "promote", "us", "--json");
  expect(done, done.err).toMatchObject({ code: 0 });
  expect(JSON.parse(done.out)).toMatchObject({ home: "us", was: "eu", caughtUp: false });
  expect(regions.home()).toBe("us");
  expect(await addGroup("ap", "after")).toMatchObject({ status: 201 });
  await home.start();
  for (const name of NAMES) await until(`${name} has it`, () => hasGroup(name, "after").catch(() => false), DEADLINE_MS);
  expect(await addGroup("eu", "from the old home").then(({ status }) => status)).toBe(400);
  expect(await addGroup("eu", "from-the-old-home")).toMatchObject({ status: 201 });
});

test("a region whose ledger is lost gets a new log and is filled by its peers until it equals them", async () => {
  const refused = await portolan("region", "rebuild", "ap");
  expect(refused).toMatchObject({ code: 2, err: expect.stringContaining("say --yes") });
  const done = await portolan("region", "rebuild", "ap", "--yes", "--no-wait", "--json");
  expect(done, done.err).toMatchObject({ code: 0 });
  const { log, setAside } = JSON.parse(done.out) as { log: string; setAside: string };
  expect(log).toMatch(/^[0-9a-f]{32}$/);
  expect(existsSync(join(setAside, "dbs/default/data"))).toBe(true);
  await equalEverywhere();
  await until("its keeper says that it lacks nothing", async () => (await regions.filling("ap")) === 0, DEADLINE_MS);
  expect((await api("ap").services()).length).toBe(listeners.open.length);
});

test("dumps are made on command, the registry's where its primary is, and listed; a restore waits until the region is stopped", async () => {
  const done = await portolan("backup", "now", "--json");
  expect(done, done.err).toMatchObject({ code: 0 });
  const files = (JSON.parse(done.out) as { items: { file: string }[] }).items.map(({ file }) => file);
  expect(files.filter((file) => file.includes("/registry-"))).toEqual([expect.stringContaining("data/us/backups/")]);
  expect(files).toHaveLength(4);
  const listed = await portolan("backup", "ls", "--json");
  expect((JSON.parse(listed.out) as { items: unknown[] }).items).toHaveLength(4);
  const early = await portolan("restore", files.find((file) => file.includes("/ap/")) ?? "", "--region", "ap");
  expect(early).toMatchObject({ code: 2, err: expect.stringContaining("already in use by a running portolan") });
});
