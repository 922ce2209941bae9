import type { CertificateRecord } from "../core/certificate/schema.ts";
import { authorSchema, judgedSchema, statementSchema } from "../core/messages/record.ts";
import { type Database, numberOf, type SqlRow, textOf } from "./database.ts";
import type { WhyMiss } from "./why-sequence.ts";

/** Records in one answer: their bodies may be large. */
const CHUNK_RECORDS = 200;

/** Ids of the reports that the tile-completes name, and of the releases that let held ones count. */
export async function loadEvidence(database: Database, misses: readonly WhyMiss[]): Promise<string[]> {
  if (misses.length === 0) return [];
  const [rows] = await database.batch(
    [
      {
        sql: `select lower(hex(n.report)) as id from json_each(?1) k cross join tile_need n on n.tc = unhex(k.value)
          union select lower(hex(x.rec)) from json_each(?2) k cross join tile_release x on x.tc = unhex(k.value)`,
        args: [JSON.stringify(misses.map(({ counting }) => counting)), JSON.stringify(misses.flatMap(({ completes }) => completes))],
      },
    ],
    "read",
  );
  return (rows ?? []).map((row) => textOf(row, "id"));
}

/** The records with these ids and all their positions, as far as they are here. */
export async function loadRecords(database: Database, ids: readonly string[]): Promise<CertificateRecord[]> {
  const records = new Map<string, CertificateRecord>();
  for (let at = 0; at < ids.length; at += CHUNK_RECORDS) {
    const [rows] = await database.batch([{ sql: RECORDS, args: [JSON.stringify(ids.slice(at, at + CHUNK_RECORDS))] }], "read");
    for (const row of rows ?? []) {
      const record = recordOf(row);
      const before = records.get(record.id);
      records.set(record.id, before === undefined ? record : { ...before, positions: [...before.positions, ...record.positions] });
    }
  }
  return [...records.values()];
}

const RECORDS = `select lower(hex(r.id)) as id, r.kind, r.body, r.author, l.id as log, r.rseq, r.stamp_ms, r.judged, lower(hex(r.chain)) as chain,
    iif(r.rseq = 0, '', (select lower(hex(p.chain)) from record p where p.log = r.log and p.rseq = r.rseq - 1)) as previous
  from json_each(?1) k cross join record r on r.id = unhex(k.value) cross join log l on l.n = r.log order by k.key, l.n`;

function recordOf(row: SqlRow): CertificateRecord {
  const previous = row["previous"];
  return {
    id: textOf(row, "id"),
    statement: statementSchema.parse({ kind: textOf(row, "kind"), content: JSON.parse(textOf(row, "body")) }),
    author: authorSchema.parse(JSON.parse(textOf(row, "author"))),
    positions: [
      {
        log: textOf(row, "log"),
        rseq: numberOf(row, "rseq"),
        stampMs: numberOf(row, "stamp_ms"),
        judged: judgedSchema.parse(row["judged"]),
        previous: typeof previous === "string" ? previous : null,
        chain: textOf(row, "chain"),
      },
    ],
  };
}
