import { PortolanError } from "../core/errors.ts";
import { authorSchema, judgedSchema, statementSchema } from "../core/messages/record.ts";
import { type Database, numberOf, type SqlRow, textOf } from "./database.ts";
import type { PeerItem } from "./types.ts";

/** How stored records are read again. */
export type StoredReader = {
  /** zstd; without it records whose payload was stored compressed cannot be read (`unavailable`). */
  readonly decompress?: (bytes: Uint8Array) => Uint8Array;
};

/** A record as it stands in the ledger; `n` is the order in which it came here. */
export type StoredRecord = PeerItem & { readonly n: number };

/** What `storedOf` takes, of a record `r` and its log `l`. */
export const STORED_COLUMNS = `r.n, lower(hex(r.id)) as id, r.kind, r.body, r.author, r.payload, r.zstd, l.id as log, l.region, r.rseq, r.stamp_ms, r.judged,
  lower(hex(r.chain)) as chain, r.signature`;

/** Bytes of bodies and payloads in one answer, about. */
const PAGE_RECORDS_MAX = 64;

/** Records in the order in which they came here, from number `from` up to `upto` (both inclusive): at most 64. */
export async function readRecords(database: Database, from: number, upto: number, reader: StoredReader): Promise<StoredRecord[]> {
  const sql = `select ${STORED_COLUMNS} from record r cross join log l on l.n = r.log where r.n >= ?1 and r.n <= ?2 order by r.n limit ${PAGE_RECORDS_MAX}`;
  const [rows] = await database.batch([{ sql, args: [from, upto] }], "read");
  return (rows ?? []).map((row) => storedOf(row, reader));
}

/** The records with these numbers, at most 64. */
export async function readNumbered(database: Database, numbers: readonly number[], reader: StoredReader): Promise<StoredRecord[]> {
  const sql = `select ${STORED_COLUMNS} from json_each(?1) k cross join record r on r.n = k.value cross join log l on l.n = r.log limit ${PAGE_RECORDS_MAX}`;
  const [rows] = await database.batch([{ sql, args: [JSON.stringify(numbers)] }], "read");
  return (rows ?? []).map((row) => storedOf(row, reader));
}

/** A record from a row with `STORED_COLUMNS`. */
export function storedOf(row: SqlRow, { decompress }: StoredReader): StoredRecord {
  const statement = statementSchema.parse({ kind: textOf(row, "kind"), content: JSON.parse(textOf(row, "body")) });
  return {
    n: numberOf(row, "n"),
    id: textOf(row, "id"),
    statement,
    author: authorSchema.parse(JSON.parse(textOf(row, "author"))),
    payload: payloadOf(row, decompress),
    region: textOf(row, "region"),
    acceptance: {
      log: textOf(row, "log"),
      rseq: numberOf(row, "rseq"),
      stampMs: numberOf(row, "stamp_ms"),
      judged: judgedSchema.parse(row["judged"]),
      chain: textOf(row, "chain"),
      signature: textOf(row, "signature"),
    },
  };
}

function payloadOf(row: SqlRow, decompress: StoredReader["decompress"]): Uint8Array | null {
  const stored = row["payload"];
  if (stored === null || stored === undefined) return null;
  const bytes = stored instanceof ArrayBuffer ? new Uint8Array(stored) : stored;
  if (!(bytes instanceof Uint8Array)) throw new PortolanError("internal", "the ledger's column payload is not bytes");
  if (row["zstd"] !== 1) return bytes;
  if (decompress === undefined) {
    throw new PortolanError(
      "unavailable",
      "stored sightings are compressed and this process cannot read them; ask an API that runs on Node",
    );
  }
  return decompress(bytes);
}
