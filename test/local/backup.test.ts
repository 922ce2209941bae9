import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import { httpDatabase } from "../../src/ledger/database.ts";
import { listBackups, rotateBackups, takeBackup } from "../../src/local/backup.ts";
import { startDatabase } from "../../src/local/database-child.ts";
import { lockFolder } from "../../src/local/lock.ts";
import { restoreBackup } from "../../src/local/restore.ts";
import { type Sqld, startSqld } from "../../src/local/sqld.ts";
import { openRegistry } from "../../src/registry/registry.ts";
import { sha256 } from "../ledger/builders.ts";
import { TestKeeper } from "../ledger/ledger-test.ts";
import { startLedgerDatabase } from "../ledger/sqld-ledger.ts";
import { startTestRegistry } from "../registry/harness.ts";

const NOW_MS = Date.UTC(2026, 5, 1, 12, 30, 15, 250);
let dir = "";
const cleanups: (() => Promise<unknown> | void)[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "portolan-backup-"));
  mkdirSync(join(dir, "backups"));
});
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean();
  rmSync(dir, { recursive: true, force: true });
});

const backups = (): string => join(dir, "backups");

async function startRestored(store: "registry" | "ledger"): Promise<Sqld> {
  const sqld = await startSqld({ dir: join(dir, store) });
  cleanups.push(() => sqld.stop());
  return sqld;
}

test("a ledger that was dumped and restored has the same state, and begins a new log instead of going on with the old one", async () => {
  const source = await startLedgerDatabase();
  cleanups.push(() => source.stop());
  const keeper = await TestKeeper.on(source.database);
  for (const seen of [["192.0.2.1:22", "192.0.2.1:443", "192.0.2.2:80"], ["192.0.2.1:443"], ["192.0.2.1:443", "192.0.2.2:80"]]) {
    await keeper.runJob(seen);
  }
  const before = await keeper.ledger.stateHash(sha256);
  expect(before).toMatchObject({ settled: true, services: 3 });
  const { file } = await takeBackup({ store: "ledger", url: source.url, dir: backups(), nowMs: NOW_MS });
  const restored = await restoreBackup({ file, dir, nowMs: NOW_MS });
  expect(restored).toMatchObject({ store: "ledger", dir: join(dir, "ledger"), setAside: null });

  const sqld = await startRestored("ledger");
  const database = httpDatabase({ url: sqld.url });
  cleanups.push(() => database.close());
  const ledger = ledgerOn(database, "eu");
  expect(await ledger.stateHash(sha256)).toEqual(before);
  expect((await ledger.listServices({ state: "all" })).items).toEqual((await keeper.ledger.listServices({ state: "all" })).items);
  const [old] = await keeper.ledger.logStands();
  expect(await ledger.ensureLog(() => "b".repeat(32))).toEqual({ log: "b".repeat(32), next: 0 });
  expect(await ledger.logStands()).toMatchObject([
    { ...old, own: false },
    { log: "b".repeat(32), own: true, prefix: -1 },
  ]);
  expect(await ledger.publishedUpto()).toBeNull();
  expect(await ledger.takeLease({ holder: "another", nowMs: 0, ttlMs: 1_000 })).not.toBeNull();
});

test("a registry that was dumped and restored has the same configuration, at a version that was never given", async () => {
  const source = await startTestRegistry();
  cleanups.push(() => source.close());
  await source.registry.addRegion("eu");
  await source.registry.addRangeGroup({ name: "it's; odd", ranges: ["192.0.2.0/24"] }).catch(() => undefined);
  await source.registry.addRangeGroup({ name: "office", ranges: ["192.0.2.0/24", "2001:db8::/64"] });
  await source.registry.addExclusion({
    ranges: ["192.0.2.7"],
    ports: null,
    owner: "o'hara",
    reason: "printer; loud\n-- never",
    expiresAtMs: null,
  });
  const { text } = await source.registry.tokens.issue({ name: "anna", role: "admin", expiresAtMs: null });
  const before = await source.registry.state();
  const { file } = await takeBackup({ store: "registry", url: source.sqld.url, dir: backups(), nowMs: NOW_MS });
  const restored = await restoreBackup({ file, dir, nowMs: NOW_MS });
  expect(restored).toMatchObject({ store: "registry", setAside: null });
  const sqld = await startDatabase({ dir: join(dir, "registry") }, "registry");
  cleanups.push(() => sqld.stop());
  const registry = openRegistry({ url: (sqld as Sqld).url, timeoutMs: 5_000 });
  cleanups.push(() => registry.close());
  const after = await registry.state();
  expect(after).toEqual({ ...before, version: after.version });
  expect(after.version).toBeGreaterThan(before.version + 1_000);
  expect(await registry.tokens.verify(text)).toMatchObject({ name: "anna" });
});

test("a restore sets aside what was there, and a second one works on top of the first", async () => {
  mkdirSync(join(dir, "ledger/dbs/default"), { recursive: true });
  writeFileSync(join(dir, "ledger/dbs/default/data"), "the old one");
  const source = await startLedgerDatabase();
  cleanups.push(() => source.stop());
  const { file } = await takeBackup({ store: "ledger", url: source.url, dir: backups(), nowMs: NOW_MS });
  const { setAside } = await restoreBackup({ file, dir, nowMs: NOW_MS });
  expect(readFileSync(join(setAside ?? "", "dbs/default/data"), "utf8")).toBe("the old one");
  expect((await restoreBackup({ file, dir, nowMs: NOW_MS + 1 })).setAside).not.toBe(setAside);
});

test("a dump that is cut off, damaged, of something else or missing is refused, and the database stays as it was", async () => {
  const source = await startLedgerDatabase();
  cleanups.push(() => source.stop());
  const { file } = await takeBackup({ store: "ledger", url: source.url, dir: backups(), nowMs: NOW_MS });
  const sql = zstdDecompressSync(readFileSync(file)).toString();
  const put = (name: string, bytes: string | Uint8Array): string => {
    writeFileSync(join(dir, name), bytes);
    return join(dir, name);
  };
  mkdirSync(join(dir, "ledger/dbs/default"), { recursive: true });
  writeFileSync(join(dir, "ledger/dbs/default/data"), "the old one");
  const bad: [string, RegExp][] = [
    [put("cut.sql", sql.slice(0, sql.length / 2)), /cut off|incomplete|cannot be restored/],
    [put("uncommitted.sql", sql.replace(/COMMIT;\s*$/, "")), /cut off/],
    [put("cut.sql.zst", readFileSync(file).subarray(0, 300)), /cannot be restored/],
    [put("other.sql", "BEGIN;\nCREATE TABLE t(a);\nCOMMIT;\n"), /of no registry and of no ledger/],
    [put("noise.sql.zst", zstdCompressSync(Buffer.from("no SQL at all;"))), /cannot be restored/],
    [join(dir, "missing.sql.zst"), /there is no file/],
  ];
  for (const [path, why] of bad) await expect(restoreBackup({ file: path, dir, nowMs: NOW_MS })).rejects.toThrow(why);
  expect(readFileSync(join(dir, "ledger/dbs/default/data"), "utf8")).toBe("the old one");
  expect(readdirSync(dir)).not.toContain("restoring");
  const lock = await lockFolder(dir);
  await expect(restoreBackup({ file, dir, nowMs: NOW_MS })).rejects.toThrow("already in use by a running portolan");
  await lock.release();
});

test("a dump that a database breaks off leaves no file, and the error says that the earlier dumps are untouched", async () => {
  const server = createServer((_request, response) => response.end("BEGIN TRANSACTION;\nCREATE TABLE t(a);\n"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const taking = takeBackup({ store: "ledger", url, dir: backups(), nowMs: NOW_MS });
  await expect(taking).rejects.toThrow(/the dump was cut off; the earlier dumps in .* are untouched/);
  expect(readdirSync(backups())).toEqual([]);
});

test("rotation keeps the newest dumps within count and bytes, the newest one whatever its size, and removes interrupted ones", () => {
  const put = (store: string, hour: number, bytes: number): void =>
    writeFileSync(join(backups(), `${store}-2026-06-01T${String(hour).padStart(2, "0")}-00-00.000Z.sql.zst`), Buffer.alloc(bytes));
  for (let hour = 0; hour < 6; hour += 1) put("ledger", hour, 100);
  put("registry", 3, 100);
  writeFileSync(join(backups(), "ledger-2026-06-01T09-00-00.000Z.sql.zst.partial"), "");
  writeFileSync(join(backups(), "notes.txt"), "mine");
  const hours = (): number[] => listBackups(backups(), "ledger").map(({ takenAtMs }) => new Date(takenAtMs).getUTCHours());
  expect(hours()).toEqual([5, 4, 3, 2, 1, 0]);
  expect(rotateBackups(backups(), "ledger", { countMax: 4, bytesMax: 1_000 })).toHaveLength(2);
  expect(hours()).toEqual([5, 4, 3, 2]);
  rotateBackups(backups(), "ledger", { countMax: 4, bytesMax: 250 });
  expect(hours()).toEqual([5, 4]);
  rotateBackups(backups(), "ledger", { countMax: 4, bytesMax: 10 });
  expect(hours()).toEqual([5]);
  expect(readdirSync(backups()).toSorted()).toEqual([
    "ledger-2026-06-01T05-00-00.000Z.sql.zst",
    "notes.txt",
    "registry-2026-06-01T03-00-00.000Z.sql.zst",
  ]);
});

test("dumps are readable by their owner only and named by their time", async () => {
  const source = await startTestRegistry();
  cleanups.push(() => source.close());
  const taken = await takeBackup({ store: "registry", url: source.sqld.url, dir: backups(), nowMs: NOW_MS });
  expect(taken.file).toBe(join(backups(), "registry-2026-06-01T12-30-15.250Z.sql.zst"));
  expect(statSync(taken.file).mode & 0o777).toBe(0o600);
  expect(listBackups(backups())).toEqual([taken]);
});
