import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openLedger } from "../../src/ledger/ledger.ts";
import { newScannerKey, writeScannerCredentials } from "../../src/local/credentials.ts";
import { type Api, openApi } from "../../src/local/demo/api.ts";
import { type Region, startRegion } from "../../src/local/region.ts";
import { ROOT } from "../../src/local/tools.ts";
import { Listeners } from "./listeners.ts";

// One region end to end, without root: real sqld, nats-server, daemons and API, the connect engine against loopback.

const PORTS = [20_101, 20_102, 20_103, 20_104, 20_105];
const listeners = new Listeners();
let dir = "";
let region: Region;
let api: Api;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "portolan-e2e-"));
  for (let host = 1; host <= 20; host += 1) await listeners.listen(`127.7.7.${host}`, PORTS[host % PORTS.length] ?? 0);
  region = await startRegion({
    dir: join(dir, "data"),
    region: "eu",
    scanners: [
      { name: "s1", addresses: ["127.0.0.1"] },
      { name: "s2", addresses: ["127.0.0.1"] },
    ],
    keeper: { tickMs: 100 },
  });
  api = openApi(region.apiUrl, region.adminToken);
  await api.post("/v1/plans", {
    name: "loop",
    ranges: ["127.7.7.0/27"],
    ports: PORTS.join(","),
    engine: "connect",
    rateLimitPps: 20_000,
    pairsMax: 40,
    closeAfter: 2,
    confirm: false,
  });
});
afterAll(async () => {
  await region?.stop();
  await listeners.closeAll();
  await rm(dir, { recursive: true, force: true });
});

async function runJob(): Promise<void> {
  const id = await api.startJob("loop");
  await expect.poll(() => api.job(id), { timeout: 60_000, interval: 100 }).not.toMatchObject({ state: "running" });
  expect(await api.job(id)).toMatchObject({ state: "complete", tiles: { total: 4, complete: 4, abandoned: 0 } });
}

async function inState(...states: string[]): Promise<string[]> {
  const services = await api.services();
  return services
    .filter((service) => states.includes(service.state))
    .map((service) => `${service.address} ${service.port}`)
    .toSorted();
}

test("a plan becomes a job of tiles shared by two scanners, and its services are exactly what listens", async () => {
  await runJob();
  await expect.poll(() => inState("open"), { timeout: 60_000 }).toEqual(listeners.open);
  expect(await inState("missing", "closed")).toEqual([]);
});

test("closed ports become missing after one complete job, closed after two, and reopened when they come back", async () => {
  const gone = listeners.open.slice(0, 3);
  const pair = (key: string): [string, number] => [key.split(" ")[0] ?? "", Number(key.split(" ")[1])];
  for (const key of gone) await listeners.close(...pair(key));
  await runJob();
  await expect.poll(() => inState("missing"), { timeout: 60_000 }).toEqual(gone);
  expect(await inState("closed")).toEqual([]);
  await runJob();
  await expect.poll(() => inState("closed"), { timeout: 60_000 }).toEqual(gone);
  expect(await inState("open")).toEqual(listeners.open);

  const back = gone.slice(0, 1);
  for (const key of back) await listeners.listen(...pair(key));
  await runJob();
  await expect.poll(() => inState("closed"), { timeout: 60_000 }).toEqual(gone.slice(1));
  const services = await api.services();
  expect(services.filter((service) => service.reopened).map((service) => `${service.address} ${service.port}`)).toEqual(back);
});

test("a scanner added while the region runs is let in, heard, and shares the jobs of @all", async () => {
  const { seed, publicKey } = newScannerKey();
  const file = join(dir, "s3.json");
  const keeperPublicKeys = [region.keeperPublicKey];
  writeScannerCredentials(file, { name: "s3", region: "eu", natsUrl: region.natsUrl, keeperPublicKeys, seed });
  const daemon = spawn(process.execPath, [join(ROOT, "scanner-daemon/main.ts"), "--config", file], { cwd: dir, stdio: "ignore" });
  const ended = new Promise((resolve) => daemon.once("exit", resolve));
  try {
    await api.post("/v1/scanners", { name: "s3", region: "eu", addresses: ["127.0.0.3"], publicKey });
    const heard = async (): Promise<boolean> =>
      (await openLedger({ url: region.ledgerUrl, region: "eu" }).scanners()).some(({ scanner }) => scanner === "s3");
    await expect.poll(heard, { timeout: 90_000, interval: 100 }).toBe(true);
    await runJob();
  } finally {
    daemon.kill("SIGTERM");
    await ended;
  }
});

test("a second start on the same folder is refused", async () => {
  await expect(startRegion({ dir: join(dir, "data"), region: "eu", scanners: [] })).rejects.toThrow("already in use by a running portolan");
});
