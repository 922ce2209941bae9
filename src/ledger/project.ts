import { decodeSightingRows, type SightingRow } from "../core/columns.ts";
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
  const payload = item.payload === null || compress === undefined ? item.payload : compress(item.payload);
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
function sightingRows(item: AcceptItem): readonly SightingRow[] {
  if (item.rows !== undefined) return item.rows;
  if (item.payload === null) throw new PortolanError("invalid", `the ${item.statement.kind} ${item.id} has no payload`);
  return decodeSightingRows(item.payload);
}

function upsertSightings({ item, acceptance }: Positioned, vantage: 0 | 1): Sql {
  return {
    sql: `insert into sighting(ip, port, proto, log, first_at_s, last_at_s, last_rseq, vantage)
      select unhex(value->>0), value->>1, value->>2, (select n from log where id = ?2), value->>3, value->>3, ?3, ?4 from json_each(?1) where true
      on conflict do update set first_at_s = min(first_at_s, excluded.first_at_s), last_at_s = max(last_at_s, excluded.last_at_s),
        last_rseq = max(last_rseq, excluded.last_rseq), vantage = max(vantage, excluded.vantage)`,
    args: [rowsJson(sightingRows(item)), acceptance.log, acceptance.rseq, vantage],
  };
}

/** JSON in the order of the primary key: unsorted rows would dirty nearly every page. */
function rowsJson(rows: readonly SightingRow[]): string {
  const sorted = isSorted(rows) ? rows : rows.toSorted(compareRows);
  let json = "[";
  for (const { hex, port, protocol, observedAtS } of sorted)
    json += `${json.length === 1 ? "" : ","}["${hex}",${port},${protocol},${observedAtS}]`;
  return `${json}]`;
}

function isSorted(rows: readonly SightingRow[]): boolean {
  for (const [index, row] of rows.entries()) {
    const next = rows[index + 1];
    if (next !== undefined && compareRows(row, next) > 0) return false;
  }
  return true;
}

function compareRows(a: SightingRow, b: SightingRow): number {
  if (a.hex !== b.hex) return a.hex < b.hex ? -1 : 1;
  return a.port - b.port || a.protocol - b.protocol;
}
