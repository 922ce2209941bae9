import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import BetterSqlite3 from "better-sqlite3";
import { decodeSightingRows, encodeSightings, type Sighting } from "../../src/core/columns.ts";
import { openMemoryDatabase } from "../ledger/memory-database.ts";

/** A loop of prepared statements in better-sqlite3: what the keeper's way into the ledger is measured against. */
export type Loop = {
  /** Writes these parts, one transaction each, on disk when it returns; gives seconds. */
  write(parts: readonly (readonly Sighting[])[]): number;
  longestTransactionMs(): number;
  close(): void;
};

const BARE = `create table sighting(ip blob not null, port integer not null, proto integer not null, log integer not null, first_at_s integer not null,
  last_at_s integer not null, last_rseq integer not null, vantage integer not null, primary key(ip, port, proto, log)) strict, without rowid`;

const UPSERT = `insert into sighting(ip, port, proto, log, first_at_s, last_at_s, last_rseq, vantage) values (?, ?, ?, 1, ?, ?, ?, 1)
  on conflict do update set first_at_s = min(first_at_s, excluded.first_at_s), last_at_s = max(last_at_s, excluded.last_at_s),
    last_rseq = max(last_rseq, excluded.last_rseq), vantage = max(vantage, excluded.vantage)`;

const APPEND = `insert into record(log, rseq, id, kind, stamp_ms, chain, signature, author, body, payload, zstd)
  values (1, ?, ?, 'part', 0, ?, '', '', '{}', ?, 1)`;

/** `same tables`: the ledger's own tables, triggers and records. `bare table`: the table of sightings and nothing else. `synchronous` is FULL. */
export function openLoop(kind: "same tables" | "bare table"): Loop {
  const dir = mkdtempSync(join(tmpdir(), "portolan-bench-"));
  const path = join(dir, "loop.db");
  const sqlite = kind === "bare table" ? new BetterSqlite3(path) : openMemoryDatabase(undefined, path).sqlite;
  sqlite.pragma("journal_mode = wal");
  sqlite.pragma("synchronous = full");
  if (kind === "bare table") sqlite.exec(BARE);
  const upsert = sqlite.prepare(UPSERT);
  const append = kind === "bare table" ? null : sqlite.prepare(APPEND);
  let rseq = 0;
  let longestMs = 0;
  const transaction = sqlite.transaction(({ payload, rows }: Chunk) => {
    rseq += 1;
    append?.run(rseq, digest(`record ${rseq}`), digest(payload), zstdCompressSync(payload));
    for (const { ip, port, protocol, observedAtS } of rows) upsert.run(ip, port, protocol, observedAtS, observedAtS, rseq);
  });
  return {
    write: (parts) => {
      // Made before the clock starts: the loop is spared what the keeper has to do for its input.
      const chunks = parts.map(chunkOf);
      const began = performance.now();
      for (const chunk of chunks) {
        const beganOne = performance.now();
        transaction.immediate(chunk);
        longestMs = Math.max(longestMs, performance.now() - beganOne);
      }
      return (performance.now() - began) / 1_000;
    },
    longestTransactionMs: () => longestMs,
    close: () => {
      sqlite.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

type Chunk = ReturnType<typeof chunkOf>;

function chunkOf(part: readonly Sighting[]) {
  const payload = encodeSightings(part);
  const rows = decodeSightingRows(payload).map(({ hex, port, protocol, observedAtS }) => {
    return { ip: Buffer.from(hex, "hex"), port, protocol, observedAtS };
  });
  return { payload, rows };
}

function digest(data: string | Uint8Array): Buffer {
  return createHash("sha256").update(data).digest();
}
