import { decodeSightingTable, type SightingTable } from "../core/columns.ts";
import { canonicalJson } from "../core/canonical.ts";
import { PortolanError } from "../core/errors.ts";
import type { Acceptance, Judged } from "../core/messages/record.ts";
import type { Outcome, Report } from "../core/messages/report.ts";
import type { Sha256Hex } from "../core/statement.ts";
import type { Sql } from "./database.ts";
import { projectJob } from "./project-job.ts";
import { projectJobControl, projectReassignment, projectScannerHeard, projectScannerLost } from "./project-control.ts";
import { projectDeny, projectDenyLift } from "./project-deny.ts";
import { projectProbe, projectRevoke } from "./project-probe.ts";
import { projectRelease, projectReport, projectTileAbandoned, projectTileComplete } from "./project-report.ts";
import { projectTraceroute } from "./project-traceroute.ts";
import { upsertSightings } from "./sightings.ts";
import type { AcceptItem } from "./types.ts";

/** A record with its position. */
export type Positioned = { readonly item: AcceptItem; readonly acceptance: Acceptance };

/** libSQL takes no argument above 5 MB. */
const BODY_CHARS_MAX = 4_000_000;

/**
 * Appends one record. A position that is taken by another record, or a record that stands elsewhere in the log, fails the
 * transaction; the same record at the same position again does nothing.
 */
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
    sql: `insert into record(log, rseq, id, kind, stamp_ms, chain, signature, author, body, payload, zstd, judged)
      select l.n, ?2, unhex(?3), ?4, ?5, unhex(?6), ?7, ?8, ?9, ?10, ?11, ?12 from log l
      where l.id = ?1 and not exists (select 1 from record r where r.id = unhex(?3) and r.log = l.n and r.rseq = ?2 and r.chain = unhex(?6))`,
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
      acceptance.judged,
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
      return [upsertSightings(sightingTable(item), acceptance, item.author.publicKey)];
    case "upload":
      return [upsertSightings(sightingTable(item), acceptance, null)];
    case "report":
      return projectReport(id, countedReport(statement.content, acceptance.judged, item.judged), item.author.publicKey, acceptance.stampMs);
    case "tile-complete":
      return projectTileComplete(id, statement.content);
    case "tile-abandoned":
      return projectTileAbandoned(id, statement.content);
    case "probe":
      return projectProbe(id, statement.content, item.author.publicKey, acceptance);
    case "release":
      return projectRelease(id, statement.content);
    case "scanner-lost":
      return projectScannerLost(statement.content, acceptance.stampMs);
    case "scanner-heard":
      return projectScannerHeard(statement.content, acceptance.stampMs);
    case "reassignment":
      return projectReassignment(id, statement.content);
    case "revoke":
      return projectRevoke(statement.content);
    case "traceroute":
      return projectTraceroute(id, statement.content);
    case "job-control":
      return projectJobControl(id, statement.content, acceptance);
    case "deny":
      return projectDeny(id, statement.content);
    case "deny-lift":
      return projectDenyLift(id, statement.content);
  }
}

/** Why a report is partial that its scanner calls complete, where the accepting keeper's own words are not at hand. */
const JUDGED_PARTIAL = "the keeper that accepted the report found its evidence incomplete";

/** A report as it counts by this acceptance: what its scanner calls complete is partial when the accepting keeper judged so. */
function countedReport(report: Report, judged: Judged, own: Outcome | undefined): Report {
  if (report.outcome.kind === "partial" || judged === "complete") return report;
  return { ...report, outcome: own?.kind === "partial" ? own : { kind: "partial", reasons: [JUDGED_PARTIAL] } };
}

/** The sightings of a part or upload, decoded once. */
function sightingTable(item: AcceptItem): SightingTable {
  if (item.sightings !== undefined) return item.sightings;
  if (item.payload === null) throw new PortolanError("invalid", `the ${item.statement.kind} ${item.id} has no payload`);
  return decodeSightingTable(item.payload);
}
