import { zstdDecompressSync } from "node:zlib";
import { decodeSightings } from "../../src/core/columns.ts";
import { authorSchema, type Judged, type Statement, statementSchema } from "../../src/core/messages/record.ts";
import type { PositionedRecord } from "../../src/core/verdict/coverage.ts";
import type { LedgerServer } from "./ledger-server.ts";

/** A record as it lies in the ledger. */
export type StoredRecord = PositionedRecord & { readonly chain: string; readonly stampMs: number };

/** All records, in the order of their positions. */
export function readRecords(ledger: LedgerServer): StoredRecord[] {
  const rows = ledger.read(
    `select l.id as log, l.region, r.author, r.rseq, lower(hex(r.id)) as id, r.kind, r.stamp_ms, r.judged, lower(hex(r.chain)) as chain, r.body, r.payload, r.zstd
      from record r join log l on l.n = r.log order by l.n, r.rseq`,
  );
  return rows.map((row) => {
    const {
      log,
      region,
      author,
      rseq,
      id,
      kind,
      body,
      payload,
      zstd,
      chain,
      judged,
      stamp_ms: stampMs,
    } = row as Record<string, unknown> & {
      log: string;
      region: string;
      author: string;
      rseq: number;
      id: string;
      kind: string;
      body: string;
      payload: Buffer | null;
      zstd: number;
      chain: string;
      judged: Judged;
      stamp_ms: number;
    };
    const statement: Statement = statementSchema.parse({ kind, content: JSON.parse(body) });
    const bytes = payload === null ? null : zstd === 1 ? zstdDecompressSync(payload) : payload;
    const { publicKey } = authorSchema.parse(JSON.parse(author));
    const sightings = bytes === null ? [] : decodeSightings(new Uint8Array(bytes));
    return { id, log, region, author: publicKey, rseq, statement, judged, sightings, chain, stampMs };
  });
}
