import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkCertificate } from "../../src/core/certificate/check.ts";
import { COMPLETES, CONFIRMS, COVERS, JOBS, NEEDS, PAYLOADS, SEEN } from "../../src/ledger/history-sql.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import { readStates } from "../../src/ledger/state-hash.ts";
import { verify } from "../../src/ledger/verify.ts";
import { contextAt, sha256 } from "./builders.ts";
import { bound, chained, drain } from "./delivered.ts";
import { deliveryOf, historyOf, randomOf } from "./history.ts";
import { openMemoryDatabase } from "./memory-database.ts";
import { startLedgerDatabase } from "./sqld-ledger.ts";

const reader = { decompress: (bytes: Uint8Array): Uint8Array => zstdDecompressSync(bytes) };
const memory = openMemoryDatabase();
let server: Awaited<ReturnType<typeof startLedgerDatabase>>;

beforeAll(async () => {
  server = await startLedgerDatabase();
});

afterAll(async () => {
  memory.close();
  await server.stop();
});

/** The first seed whose history closes something. */
const SEED = 11;

describe("on sqld, with payloads stored compressed", () => {
  test("certificates, histories, the replay and the rebuild are those of SQLite in memory", async () => {
    const random = randomOf(SEED);
    const items = chained(bound(historyOf(random, 60)));
    const compress = (bytes: Uint8Array): Uint8Array => zstdCompressSync(bytes);
    const ledger = ledgerOn(server.database, "eu", reader);
    const other = ledgerOn(memory, "eu");
    const epochs = [];
    for (const one of [ledger, other]) {
      const epoch = (await one.takeLease({ holder: "k1", nowMs: 0, ttlMs: 1 }))?.epoch ?? -1;
      epochs.push(epoch);
      for (const group of deliveryOf(random, items, "shuffled"))
        await one.applyPeers({ items: group }, { ...contextAt(epoch, 0), ...(one === ledger ? { compress } : {}) });
      await drain(one, epoch);
    }
    const services = (await ledger.listServices({ state: "all" })).items;
    expect(services.length).toBeGreaterThan(3);
    for (const service of services) {
      const result = checkCertificate(await ledger.why(service), { sha256, verify: () => true });
      expect(result).toEqual({ ok: true, verdict: service.state });
      expect(await ledger.history(service)).toEqual(await other.history(service));
    }
    const before = await ledger.stateHash(sha256);
    expect(await readStates(server.database, "")).toEqual(await readStates(memory, ""));
    expect(before).toMatchObject({ settled: true, services: services.length });
    expect(before).toEqual(await other.stateHash(sha256));
    const atMs = items[Math.floor(items.length / 2)]?.acceptance.stampMs ?? 0;
    expect(await ledger.openAt({ atMs })).toEqual(await other.openAt({ atMs }));
    const points = { a: { atMs }, b: { atMs: atMs + 1_000_000 } };
    expect(await ledger.diff(points)).toEqual(await other.diff(points));
    memory.clear();
    const shadow = { ledger: ledgerOn(memory, "eu"), database: memory };
    expect(await verify(server.database, { shadow, sha256, ...reader })).toMatchObject({ ok: true, records: items.length });
    await ledger.startRebuild({ epoch: epochs[0] ?? -1 });
    expect((await ledger.stateHash(sha256)).settled).toBe(false);
    await drain(ledger, epochs[0] ?? -1);
    expect(await ledger.stateHash(sha256)).toEqual(before);
  });

  test("a process that cannot decompress says so", async () => {
    const ledger = ledgerOn(server.database, "eu");
    const [service] = (await ledger.listServices({ state: "all" })).items;
    if (service === undefined) throw new Error("no service");
    await expect(ledger.history(service)).rejects.toMatchObject({ code: "unavailable" });
  });
});

test("histories seek what concerns the services, however much else there is", async () => {
  for (const sql of [COVERS, JOBS, COMPLETES, NEEDS, CONFIRMS, SEEN, PAYLOADS]) {
    const args = ["[]", sql === COVERS ? 1 : "[]", 1].slice(0, sql === PAYLOADS ? 3 : sql === COVERS ? 2 : 1);
    const [rows] = await server.database.batch([{ sql: `explain query plan ${sql}`, args }], "read");
    const scans = (rows ?? [])
      .map((row) => String(row["detail"]))
      .filter((line) => line.startsWith("SCAN") && !/VIRTUAL TABLE|\(subquery/.test(line));
    // Layouts are as many as target sets there ever were; uploads have no index by address.
    expect(scans.filter((line) => line !== "SCAN y" && line !== "SCAN o")).toEqual([]);
  }
});
