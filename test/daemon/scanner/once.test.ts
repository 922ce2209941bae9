import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newScannerKey, writeScannerCredentials } from "../../../src/local/credentials.ts";
import { type Region, startRegion } from "../../../src/local/region.ts";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));

let dir: string;
let region: Region;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "portolan-once-"));
  region = await startRegion({ dir: join(dir, "data"), region: "eu", scanners: [] });
});

afterAll(async () => {
  await region?.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function api(method: string, path: string, body?: object): Promise<unknown> {
  const headers = { authorization: `Bearer ${region.adminToken}`, "content-type": "application/json" };
  const answer = await fetch(`${region.apiUrl}${path}`, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const value: unknown = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${JSON.stringify(value)}`);
  return value;
}

/** The sample script, as cron would start it. */
async function cron(config: string): Promise<{ code: number | null; said: string }> {
  const script = join(ROOT, "scanner-daemon/examples/cron-scanner.sh");
  const child = spawn(script, [config, "5"], { cwd: dir, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, TMPDIR: dir } });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (bytes: Buffer) => (said += bytes.toString()));
  const code = await new Promise<number | null>((resolve) => void child.once("close", resolve));
  return { code, said };
}

test("a scanner that cron starts scans what waits, reports it, and ends; its job has coverage", async () => {
  const server = createServer((socket) => socket.on("error", () => {}).destroy());
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const { seed, publicKey } = newScannerKey();
  const config = join(dir, "berlin-1.json");
  writeScannerCredentials(config, {
    name: "berlin-1",
    region: "eu",
    natsUrl: region.natsUrl,
    keeperPublicKeys: [region.keeperPublicKey],
    seed,
  });
  await api("POST", "/v1/scanners", { name: "berlin-1", region: "eu", addresses: ["127.0.0.2"], publicKey });
  const ranges = { name: "lo", ranges: ["127.0.0.1"], allowSpecialPurpose: true };
  await api("POST", "/v1/range-groups", ranges).catch(() => api("POST", "/v1/range-groups", { name: "lo", ranges: ["127.0.0.1"] }));
  await api("POST", "/v1/plans", { name: "cron", include: ["lo"], ports: String(port), engine: "connect", confirm: false });
  try {
    // The keeper waits a moment for a sign of life of scanners that it has never heard.
    await expect.poll(() => api("POST", "/v1/plans/cron/jobs").then(() => "started", String)).toBe("started");
    const ran = await cron(config);
    expect([ran.code, ran.said]).toEqual([0, expect.stringContaining("1 shards complete, 0 partial")]);
    const state = async (): Promise<unknown> => ((await api("GET", "/v1/jobs")) as { items: { state: string }[] }).items[0]?.state;
    await expect.poll(state).toBe("complete");
    expect(await api("GET", "/v1/hosts/127.0.0.1")).toMatchObject({});
    // Nothing waits any more.
    expect((await cron(config)).code).toBe(0);
  } finally {
    server.close();
  }
});

test("without its region it says so and ends with 5", async () => {
  const { seed } = newScannerKey();
  const config = join(dir, "alone.json");
  writeScannerCredentials(config, {
    name: "alone",
    region: "eu",
    natsUrl: "nats://127.0.0.1:1",
    keeperPublicKeys: [region.keeperPublicKey],
    seed,
  });
  const ran = await cron(config);
  expect([ran.code, ran.said]).toEqual([5, expect.stringContaining("does not answer")]);
});
