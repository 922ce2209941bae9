import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import BetterSqlite3 from "better-sqlite3";
import { decodeSightingRows, encodeSightings, type Sighting } from "../../src/core/columns.ts";
import { parseAddress } from "../../src/core/address.ts";
import { formatPorts, parsePorts } from "../../src/core/port.ts";
import { SIGHTINGS_PER_PART_MAX } from "../../src/core/messages/report.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import type { AcceptContext, AcceptItem, Ledger } from "../../src/ledger/types.ts";
import { contextAt, itemOf, jobSpecOf, partOf, reportOf, sha256, tileCompleteOf } from "../ledger/builders.ts";
import { randomOf } from "../ledger/history.ts";
import { openMemoryDatabase } from "../ledger/memory-database.ts";
import { startLedgerDatabase } from "../ledger/sqld-ledger.ts";

/** Rows per second for a first and a second sight of the same services. */
export type IngestRates = { readonly first: number; readonly again: number };

/** The ledger alone (payload in memory → committed record and projection) against loops of prepared statements in SQLite. */
export type LedgerIngest = {
  readonly sightings: number;
  readonly ledger: IngestRates;
  /** better-sqlite3, synchronous = FULL, one transaction per part: records, sightings, triggers as in the ledger. */
  readonly sameTables: IngestRates;
  /** The same with the table of sightings only. */
  readonly bareTable: IngestRates;
  /** Ledger rate ÷ loop rate. Budgets: ≥ 0.9 for the same tables, ≥ 0.4 for the bare one. */
  readonly ratios: { readonly sameTables: IngestRates; readonly bareTable: IngestRates };
  readonly longestTransactionMs: number;
  /** Closing pass of a complete tile over all services, none and all of them missed. */
  readonly closingPassMs: { readonly noneMissed: number; readonly allMissed: number };
};

const PORTS = [21, 22, 25, 53, 80, 110, 123, 143, 443, 445, 993, 3306, 3389, 5432, 8080, 8443];
const FIRST_ADDRESS = parseAddress("10.0.0.0");

/** Measures the ledger on a sqld of its own and the loops on files beside it, on one machine in one run. */
export async function benchLedgerIngest({ sightings = 1_000_000 }: { sightings?: number } = {}): Promise<LedgerIngest> {
  const parts = makeParts(sightings);
  const server = await startLedgerDatabase();
  try {
    const ledger = ledgerOn(server.database, "eu");
    await ledger.ensureLog(() => "a".repeat(32));
    const lease = await ledger.takeLease({ holder: "bench", nowMs: Date.now(), ttlMs: 3_600_000 });
    const context = { ...contextAt(lease?.epoch ?? -1, Date.now()), compress: (bytes: Uint8Array) => zstdCompressSync(bytes) };
    const first = await acceptAll(ledger, context, parts, "first");
    const again = await acceptAll(ledger, context, parts, "again");
    const noneMissed = await closingPass(ledger, context, parts);
    const allMissed = await closingPass(ledger, context, []);
    const own = { first: sightings / first.seconds, again: sightings / again.seconds };
    const sameTables = loopRates(parts, "same tables");
    const bareTable = loopRates(parts, "bare table");
    const ratio = (loop: IngestRates): IngestRates => ({ first: own.first / loop.first, again: own.again / loop.again });
    return {
      sightings,
      ledger: own,
      sameTables,
      bareTable,
      ratios: { sameTables: ratio(sameTables), bareTable: ratio(bareTable) },
      longestTransactionMs: Math.max(first.longestMs, again.longestMs),
      closingPassMs: { noneMissed, allMissed },
    };
  } finally {
    await server.stop();
  }
}

/** Random hosts with common ports, in the order of the register's key, cut into parts of full size. */
function makeParts(count: number): Sighting[][] {
  const random = randomOf(7);
  const all: Sighting[] = [];
  let address = FIRST_ADDRESS;
  while (all.length < count) {
    address += BigInt(1 + random.below(24));
    const ports = new Set(Array.from({ length: 1 + random.below(4) }, () => random.pick(PORTS)));
    for (const port of [...ports].toSorted((a, b) => a - b)) all.push({ address, protocol: "tcp", port, observedAtS: 1_700_000_000 });
  }
  const parts: Sighting[][] = [];
  for (let at = 0; at < count; at += SIGHTINGS_PER_PART_MAX) parts.push(all.slice(at, Math.min(count, at + SIGHTINGS_PER_PART_MAX)));
  return parts;
}

async function acceptAll(
  ledger: Ledger,
  context: AcceptContext,
  parts: readonly Sighting[][],
  run: string,
): Promise<{ seconds: number; longestMs: number }> {
  const items = parts.map((part, index) => partOf({ job: "0".repeat(64), tile: 0, shard: 1, attempt: 1 }, run, index, part));
  let longestMs = 0;
  const begin = performance.now();
  for (const item of items) {
    const began = performance.now();
    await ledger.accept([item], context);
    longestMs = Math.max(longestMs, performance.now() - began);
  }
  return { seconds: (performance.now() - begin) / 1_000, longestMs };
}

/** A job over everything whose only shard reports `seen`; the time of its deferred pass. */
async function closingPass(ledger: Ledger, context: AcceptContext, seen: readonly Sighting[][]): Promise<number> {
  const ports = formatPorts(parsePorts(PORTS.join(",")));
  const spec = jobSpecOf({
    scanners: ["scanner-1"],
    ranges: ["10.0.0.0/8"],
    ports,
    pairsMax: Number.MAX_SAFE_INTEGER,
    frontier: await ledger.frontier(),
  });
  const job = itemOf({ kind: "job", content: spec });
  await ledger.accept([job], context);
  const key = { job: job.id, tile: 0, shard: 1, attempt: 1 };
  const parts: AcceptItem[] = seen.map((part, index) => partOf(key, job.id, index, part));
  for (const part of parts) await ledger.accept([part], context);
  const report = reportOf({ key, run: job.id, parts });
  await ledger.accept([report], context);
  await ledger.accept([tileCompleteOf(job.id, 0, [report])], context);
  const began = performance.now();
  while (await ledger.runDeferred({ epoch: context.epoch, sha256 }));
  return performance.now() - began;
}

type Loop = "same tables" | "bare table";

const BARE = `create table sighting(ip blob not null, port integer not null, proto integer not null, log integer not null, first_at_s integer not null,
  last_at_s integer not null, last_rseq integer not null, vantage integer not null, primary key(ip, port, proto, log)) strict, without rowid`;

const UPSERT = `insert into sighting(ip, port, proto, log, first_at_s, last_at_s, last_rseq, vantage) values (?, ?, ?, 1, ?, ?, ?, 1)
  on conflict do update set first_at_s = min(first_at_s, excluded.first_at_s), last_at_s = max(last_at_s, excluded.last_at_s),
    last_rseq = max(last_rseq, excluded.last_rseq), vantage = max(vantage, excluded.vantage)`;

const APPEND = `insert into record(log, rseq, id, kind, stamp_ms, chain, signature, author, body, payload, zstd)
  values (1, ?, ?, 'part', 0, ?, '', '', '{}', ?, 1)`;

function loopRates(parts: readonly Sighting[][], loop: Loop): IngestRates {
  const dir = mkdtempSync(join(tmpdir(), "portolan-bench-"));
  const path = join(dir, "loop.db");
  const sqlite = loop === "bare table" ? new BetterSqlite3(path) : openMemoryDatabase(undefined, path).sqlite;
  try {
    sqlite.pragma("journal_mode = wal");
    sqlite.pragma("synchronous = full");
    if (loop === "bare table") sqlite.exec(BARE);
    const sightings = parts.reduce((sum, part) => sum + part.length, 0);
    const chunks = parts.map((part) => {
      const payload = encodeSightings(part);
      return {
        payload,
        rows: decodeSightingRows(payload).map(({ hex, port, protocol, observedAtS }) => ({
          ip: Buffer.from(hex, "hex"),
          port,
          protocol,
          observedAtS,
        })),
      };
    });
    const upsert = sqlite.prepare(UPSERT);
    const append = loop === "bare table" ? null : sqlite.prepare(APPEND);
    let rseq = 0;
    const accept = sqlite.transaction(({ payload, rows }: (typeof chunks)[number]) => {
      rseq++;
      append?.run(
        rseq,
        createHash("sha256").update(String(rseq)).digest(),
        createHash("sha256").update(payload).digest(),
        zstdCompressSync(payload),
      );
      for (const { ip, port, protocol, observedAtS } of rows) upsert.run(ip, port, protocol, observedAtS, observedAtS, rseq);
    });
    const round = (): number => {
      const began = performance.now();
      for (const chunk of chunks) accept.immediate(chunk);
      return sightings / ((performance.now() - began) / 1_000);
    };
    return { first: round(), again: round() };
  } finally {
    sqlite.close();
    rmSync(dir, { recursive: true, force: true });
  }
}
