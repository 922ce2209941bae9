import { decodeSightingTable, type SightingTable } from "../core/columns.ts";
import { canonicalJson } from "../core/canonical.ts";
import { PortolanError } from "../core/errors.ts";
import type { Acceptance } from "../core/messages/record.ts";
import type { Outcome, Report } from "../core/messages/report.ts";
import type { Sha256Hex } from "../core/statement.ts";
import type { Sql } from "./database.ts";
import { projectJob } from "./project-job.ts";
import { projectReport, projectTileAbandoned, projectTileComplete } from "./project-report.ts";
import type { AcceptItem } from "./types.ts";

/** A record with its position. */
export type Positioned = { readonly item: AcceptItem; readonly acceptance: Acceptance };

/** libSQL takes no argument above 5 MB. */
const BODY_CHARS_MAX = 4_000_000;

/** Appends one record. A position that is taken by another record fails the transaction; the same record again does nothing. */
export function insertRecord({ item, acceptance }: Positioned, compress: ((bytes: Uint8Array) => Uint8Array) | undefined): Sql {
  const body = canonicalJson(item.statement.content);
  if (body.length > BODY_CHARS_MAX) {
    throw new PortolanError(
      "too-large",
      `a ${item.statement.kind} of ${body.length} characters; the ledger takes ${BODY_CHARS_MAX}: split it`,
    );
  }
  const payload = item.payload === null || compress === undefined ? item.payload : (item.compressed ?? compress(item.payload));
  return {
    sql: `insert into record(log, rseq, id, kind, stamp_ms, chain, signature, author, body, payload, zstd)
      select l.n, ?2, unhex(?3), ?4, ?5, unhex(?6), ?7, ?8, ?9, ?10, ?11 from log l
      where l.id = ?1 and not exists (select 1 from record r where r.id = unhex(?3) and r.log = l.n)`,
    args: [
      acceptance.log,
      acceptance.rseq,
      item.id,
      item.statement.kind,
      acceptance.stampMs,
      acceptance.chain,
      acceptance.signature,
      canonicalJson(item.author),
      body,
      payload,
      item.payload === null || compress === undefined ? 0 : 1,
    ],
  };
}

/** What a record means to the register. Each statement may be repeated, and no order of records is assumed. */
export function project(positioned: Positioned, sha256: Sha256Hex): Sql[] {
  const { item, acceptance } = positioned;
  const { statement, id } = item;
  switch (statement.kind) {
    case "job":
      return projectJob(id, statement.content, sha256);
    case "part":
      return [upsertSightings(positioned, 1)];
    case "upload":
      return [upsertSightings(positioned, 0)];
    case "report":
      return projectReport(id, countedReport(statement.content, item.judged), acceptance.stampMs);
    case "tile-complete":
      return projectTileComplete(id, statement.content);
    case "tile-abandoned":
      return projectTileAbandoned(id, statement.content);
  }
}

/** A report as it counts: what its scanner calls complete is partial when the keeper's own judgement says so. */
function countedReport(report: Report, judged: Outcome | undefined): Report {
  return judged === undefined || report.outcome.kind === "partial" ? report : { ...report, outcome: judged };
}

/** The sightings of a part or upload, decoded once. */
function sightingTable(item: AcceptItem): SightingTable {
  if (item.sightings !== undefined) return item.sightings;
  if (item.payload === null) throw new PortolanError("invalid", `the ${item.statement.kind} ${item.id} has no payload`);
  return decodeSightingTable(item.payload);
}

// The rows travel as one blob of rows of one length: 16 bytes of address, then decimal digits, which `cast` reads from a
// blob too: protocol × 65536 + port, seconds after the earliest row. That is cheaper than JSON on both sides. They are in
// the order of the primary key, because unsorted ones would dirty nearly every page.
const ADDRESS_BYTES = 16;
const SERVICE_DIGITS = 7;
const TIME_AT = ADDRESS_BYTES + SERVICE_DIGITS;

const UPSERT_SIGHTINGS = `with recursive place(at) as (select 1 where length(?1) > 0 union all select at + ?6 from place where at + ?6 < length(?1))
  insert into sighting(ip, port, proto, log, first_at_s, last_at_s, last_rseq, vantage)
  select substr(?1, at, 16), cast(substr(?1, at + 16, 7) as integer) & 65535, cast(substr(?1, at + 16, 7) as integer) >> 16,
    (select n from log where id = ?2), ?5 + cast(substr(?1, at + 23, ?6 - 23) as integer), ?5 + cast(substr(?1, at + 23, ?6 - 23) as integer), ?3, ?4
  from place where true
  on conflict do update set first_at_s = min(first_at_s, excluded.first_at_s), last_at_s = max(last_at_s, excluded.last_at_s),
    last_rseq = max(last_rseq, excluded.last_rseq), vantage = max(vantage, excluded.vantage)`;

function upsertSightings({ item, acceptance }: Positioned, vantage: 0 | 1): Sql {
  const table = sightingTable(item);
  const earliestS = table.observedAtS.reduce((earliest, at) => Math.min(earliest, at), table.observedAtS[0] ?? 0);
  const latestS = table.observedAtS.reduce((latest, at) => Math.max(latest, at), earliestS);
  const rowBytes = TIME_AT + String(latestS - earliestS).length;
  return {
    sql: UPSERT_SIGHTINGS,
    args: [packRows(table, earliestS, rowBytes), acceptance.log, acceptance.rseq, vantage, earliestS, rowBytes],
  };
}

function packRows({ count, addresses, ports, protocols, observedAtS }: SightingTable, earliestS: number, rowBytes: number): Uint8Array {
  const bytes = new Uint8Array(count * rowBytes);
  for (let row = 0; row < count; row += 1) {
    const at = row * rowBytes;
    for (let byte = 0; byte < ADDRESS_BYTES; byte += 1) bytes[at + byte] = addresses[row * ADDRESS_BYTES + byte] ?? 0;
    writeDigits(bytes, at + ADDRESS_BYTES, at + TIME_AT, (protocols[row] ?? 0) * 65_536 + (ports[row] ?? 0));
    writeDigits(bytes, at + TIME_AT, at + rowBytes, (observedAtS[row] ?? 0) - earliestS);
  }
  return bytes;
}

const DIGIT_ZERO = 48;

/** Decimal digits with zeros in front, up to `end` (exclusive). */
function writeDigits(bytes: Uint8Array, begin: number, end: number, value: number): void {
  let rest = value;
  for (let at = end - 1; at >= begin; at -= 1) {
    const tenth = Math.floor(rest / 10);
    bytes[at] = DIGIT_ZERO + rest - tenth * 10;
    rest = tenth;
  }
}
