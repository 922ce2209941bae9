import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import { READ_LOG, STANDS } from "../../src/ledger/peers.ts";
import { stateHash } from "../../src/ledger/state-hash.ts";
import { contextAt, sha256, sightingsOf, uploadOf } from "./builders.ts";
import { bound, drain } from "./delivered.ts";
import { historyOf, randomOf } from "./history.ts";
import { openMemoryDatabase } from "./memory-database.ts";
import { TestRegion, travelled } from "./regions.ts";
import { startLedgerDatabase } from "./sqld-ledger.ts";

const memory = openMemoryDatabase();
let server: Awaited<ReturnType<typeof startLedgerDatabase>>;

beforeAll(async () => {
  server = await startLedgerDatabase();
});

afterAll(async () => {
  memory.close();
  await server.stop();
});

const plan = async (sql: string, args: (string | number)[] = []): Promise<string[]> => {
  const [rows] = await server.database.batch([{ sql: `explain query plan ${sql}`, args }], "read");
  return (rows ?? []).map((row) => String(row["detail"]));
};

test("a log is read and its stand told by index alone: no more rows than are given, whatever the log's length", async () => {
  const read = (await plan(READ_LOG, ["0", 0, 256])).join("\n");
  expect(read).toContain("SEARCH l USING COVERING INDEX log_id_unique (id=?)");
  expect(read.match(/SEARCH r USING INDEX record_position \(log=\? AND rseq=\?\)/g)?.length).toBe(2);
  expect(read).toContain("SEARCH r USING INTEGER PRIMARY KEY (rowid=?)");
  expect(read).not.toMatch(/SCAN (?!run|CONSTANT)|TEMP B-TREE/);
  const stands = (await plan(STANDS)).filter((line) => /^(?:SCAN|SEARCH)/.test(line));
  expect(stands).toEqual([
    "SCAN l",
    "SEARCH r USING COVERING INDEX record_position (log=?)",
    "SEARCH r USING INDEX record_position (log=? AND rseq=?)",
  ]);
});

test("sqld and SQLite in memory exchange, give up a log and rebuild alike, with payloads stored compressed", async () => {
  const ledger = ledgerOn(server.database, "us", { decompress: (bytes) => zstdDecompressSync(bytes) });
  await ledger.ensureLog(() => "b".repeat(32));
  const epoch = (await ledger.takeLease({ holder: "k", nowMs: 0, ttlMs: 1 }))?.epoch ?? -1;
  const context = { ...contextAt(epoch, 1), compress: (bytes: Uint8Array) => zstdCompressSync(bytes) };
  const eu = await TestRegion.on("eu", "a", memory);
  for (const { acceptance, region: _, ...item } of bound(historyOf(randomOf(11), 60))) {
    if (acceptance.log.startsWith("a")) await eu.accept(item);
    else await ledger.accept([item], context);
  }
  const exchange = async (): Promise<void> => {
    for (const { log, own } of await eu.ledger.logStands()) {
      if (own || log.startsWith("a"))
        await ledger.applyPeers({ items: (await eu.ledger.readLog({ log, from: 0, limit: 256 })).map(travelled) }, context);
    }
    await drain(ledger, epoch);
    for (const { log, region } of await ledger.logStands())
      if (region === "us") await eu.apply((await ledger.readLog({ log, from: 0, limit: 256 })).map(travelled));
    await drain(eu.ledger, eu.epoch);
  };
  await exchange();
  expect(await stateHash(server.database, sha256)).toEqual({ ...(await eu.hash()), settled: true });
  const { rseq, log } = { rseq: (await ledger.logStands()).find(({ own }) => own)?.highest ?? 0, log: "b".repeat(32) };
  // A fork: the end of the log is known to nobody else.
  await ledger.accept([uploadOf(sightingsOf(["192.0.2.1:80"]), "forked")], context);
  await ledger.retireLog(() => "d".repeat(32), { epoch, reason: "test", fork: { above: rseq, sha256, sign: () => "C".repeat(86) } });
  expect(await ledger.logStands()).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ log, own: false, prefix: rseq, highest: rseq }),
      expect.objectContaining({ log: "d".repeat(32), own: true, prefix: 0, highest: 0 }),
    ]),
  );
  expect((await ledger.accept([uploadOf(sightingsOf(["192.0.2.1:80"]), "later")], context))[0]).toMatchObject({ rseq: 1 });
  await drain(ledger, epoch);
  await exchange();
  expect(await stateHash(server.database, sha256)).toEqual({ ...(await eu.hash()), settled: true });
}, 60_000);
