import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type Region, startRegion } from "../../src/local/region.ts";
import { ROOT } from "../../src/local/tools.ts";

// The sample scripts, as they stand, against a real region (Node runtime, real sqld) whose NATS speaks TLS.

const dir = mkdtempSync(join(tmpdir(), "portolan-examples-"));
const CLI = [process.execPath, join(ROOT, "src/cli/main.ts")];
let region: Region;

beforeAll(async () => {
  region = await startRegion({
    dir: join(dir, "data"),
    region: "eu",
    scanners: [{ name: "s1", addresses: ["127.0.0.1"] }],
    natsTls: true,
    keeper: { tickMs: 100 },
    backups: false,
  });
  writeFileSync(join(dir, "token"), region.adminToken, { mode: 0o600 });
});
afterAll(async () => {
  await region?.stop();
  rmSync(dir, { recursive: true, force: true });
});

type Ran = { readonly code: number; readonly stdout: string; readonly stderr: string };

function run(argv: readonly string[]): Promise<Ran> {
  const [program = "", ...args] = argv;
  const env = {
    PATH: process.env["PATH"],
    PORTOLAN_URL: region.apiUrl,
    PORTOLAN_TOKEN_FILE: join(dir, "token"),
    PORTOLAN: CLI.join(" "),
    NODE_NO_WARNINGS: "1",
  };
  return new Promise((resolve) => {
    execFile(program, args, { cwd: dir, env, timeout: 120_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === "number" ? error.code : 99, stdout, stderr });
    });
  });
}

const script = (name: string, ...args: readonly string[]): Promise<Ran> =>
  run(["sh", join(ROOT, "scanner-daemon/examples", name), ...args]);
const portolan = (...args: readonly string[]): Promise<Ran> => run([...CLI, ...args]);

async function servicesOf(): Promise<string[]> {
  const { stdout } = await portolan("service", "ls", "--all", "--ndjson", "--known", "show");
  const rows = stdout.split("\n").filter((line) => line !== "");
  return rows.map((line) => JSON.parse(line) as { address: string; port: number }).map(({ address, port }) => `${address}:${port}`);
}

test("import-ranges shows what would change, changes it only on demand, and finds nothing to do the second time", async () => {
  const file = join(dir, "ranges.txt");
  writeFileSync(file, "# from the inventory\n192.0.2.0/25\n198.51.100.7\n");
  const dry = await script("import-ranges.sh", "office", file);
  expect([dry.code, dry.stderr]).toEqual([1, ""]);
  expect((await portolan("range", "ls", "office")).code).toBe(4);
  const first = await script("import-ranges.sh", "office", file, "--write");
  expect([first.code, first.stderr]).toEqual([0, ""]);
  expect((await portolan("range", "ls", "office", "--json")).stdout).toContain("192.0.2.0/25");
  expect((await script("import-ranges.sh", "office", file)).code).toBe(0);
  writeFileSync(file, "# nothing\n");
  expect(await script("import-ranges.sh", "office", file, "--write")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("no range"),
  });
  expect((await portolan("range", "ls", "office", "--json")).stdout).toContain("198.51.100.7");
});

test("known-good-from-inventory makes a rule of each row, and the same ones only once", async () => {
  const file = join(dir, "inventory.csv");
  writeFileSync(file, 'name,address,ports,team\nweb-1,192.0.2.10,"80,443",web team\n"jump, old",192.0.2.11,22,it\n');
  for (let time = 0; time < 2; time++) {
    const ran = await script("known-good-from-inventory.sh", file);
    expect([ran.code, ran.stderr]).toEqual([0, ""]);
    const { stdout } = await portolan("known", "ls", "--ndjson");
    const rules = stdout.split("\n").filter((line) => line !== "");
    expect(rules).toHaveLength(2);
    expect(stdout).toContain("jump, old");
  }
  writeFileSync(file, "something,else\n");
  expect((await script("known-good-from-inventory.sh", file)).code).toBe(2);
});

const MASSCAN = (address: string, port: number): string =>
  `[\n{   "ip": "${address}",   "timestamp": "1700000000", "ports": [ {"port": ${port}, "proto": "tcp", "status": "open", "reason": "syn-ack", "ttl": 64} ] }\n]\n`;

test("upload-results hands in masscan's JSON with curl, and a repeat changes nothing", async () => {
  const file = join(dir, "scan.json");
  writeFileSync(file, MASSCAN("192.0.2.20", 8080));
  for (let time = 0; time < 2; time++) {
    const ran = await script("upload-results.sh", file, "json", "old-server");
    expect([ran.code, ran.stderr]).toEqual([0, ""]);
    expect(JSON.parse(ran.stdout)).toMatchObject({ state: "done", sightings: 1, refused: 0 });
    expect(await servicesOf()).toEqual(["192.0.2.20:8080"]);
  }
  writeFileSync(join(dir, "token-bad"), "ptl_api_00000000_x_y");
});

test("import-masscan-json takes a folder of files, broken ones as far as they go, and moves away what it took", async () => {
  const spool = join(dir, "spool");
  mkdirSync(spool);
  writeFileSync(join(spool, "1.json"), MASSCAN("192.0.2.21", 22));
  writeFileSync(join(spool, "2.json"), MASSCAN("192.0.2.22", 25).replace("]\n", ",\n"));
  const ran = await script("import-masscan-json.sh", spool, "old-server");
  expect([ran.code, ran.stderr.includes("stays")]).toEqual([0, false]);
  expect(readdirSync(spool)).toEqual(["done"]);
  expect(await servicesOf()).toEqual(expect.arrayContaining(["192.0.2.21:22", "192.0.2.22:25"]));
});

test("nightly-csv writes a whole file, and the next one names what is new", async () => {
  const exports = join(dir, "exports");
  mkdirSync(exports);
  expect(await script("nightly-csv.sh", exports)).toMatchObject({ code: 0, stdout: "", stderr: "" });
  writeFileSync(join(dir, "more.json"), MASSCAN("192.0.2.23", 3389));
  await script("upload-results.sh", join(dir, "more.json"), "json");
  // Files are named by the second.
  const stamp = (): string => new Date().toISOString().slice(0, 19).replaceAll(":", "");
  await expect.poll(() => readdirSync(exports)[0]?.includes(stamp())).toBe(false);
  const second = await script("nightly-csv.sh", exports);
  expect([second.code, second.stdout.includes("192.0.2.23")]).toEqual([0, true]);
  const files = readdirSync(exports).toSorted();
  expect(readFileSync(join(exports, files.at(-1) ?? ""), "utf8")).toContain("192.0.2.23");
});

test("doctor finds API, stores, durability, token and NATS with TLS in order, and logs in as the scanner of a configuration", async () => {
  const config = join(dir, "data", "daemons", "scanner-s1.json");
  const ran = await portolan("doctor", "--config", config, "--no-machine", "--json");
  const { items } = JSON.parse(ran.stdout) as { items: { check: string; state: string; detail: string }[] };
  const states = Object.fromEntries(items.map(({ check, state }) => [check, state]));
  expect([ran.code, states]).toEqual([
    0,
    {
      settings: "ok",
      api: "ok",
      "clock (API)": "ok",
      registry: "ok",
      ledger: "ok",
      durability: "ok",
      token: "ok",
      nats: "ok",
      "nats login": "ok",
      "nats rights": "ok",
    },
  ]);
  expect(items.find(({ check }) => check === "nats")?.detail).toContain("asks for TLS");
  const checked = await portolan("config", "check", config);
  expect([checked.code, checked.stdout.includes("usable configuration")]).toEqual([0, true]);
});

test("nats config writes what the region's own server runs with, and says when nothing changed", async () => {
  const out = join(dir, "nats.conf");
  const args = ["nats", "config", "--region", "eu", "--store", "/var/lib/nats", "--out", out];
  expect((await portolan(...args)).code).toBe(1);
  expect(statSync(out).mode & 0o777).toBe(0o644);
  const text = readFileSync(out, "utf8");
  expect(text).toContain(region.keeperPublicKey);
  const running = readFileSync(join(dir, "data", "nats", "nats.conf"), "utf8");
  const accounts = (config: string): string => config.slice(config.indexOf("accounts {"));
  expect(accounts(text)).toBe(accounts(running));
  expect((await portolan(...args)).code).toBe(0);
  expect(await portolan("nats", "config", "--region", "eu", "--store", "/x", "--host", "0.0.0.0")).toMatchObject({
    code: 2,
    stderr: expect.stringContaining("without TLS"),
  });
});
