import { PortolanError } from "../core/errors.ts";
import { type Database, numberOf, optionalTextOf, type SqlRow, type SqlValue, textOf } from "./database.ts";
import { limitOf, page } from "./page.ts";
import type { Page } from "./types.ts";

/** What one report says about the work behind it. Times by the scanner's clock. */
export type ReportRow = {
  /** Record id. */
  readonly id: string;
  readonly tile: number;
  readonly shard: number;
  readonly attempt: number;
  readonly scanner: string;
  readonly complete: boolean;
  /** Covers nothing: its run id stands in another report too, or its key was revoked. */
  readonly isVoid: boolean;
  readonly found: number;
  readonly probesSent: number;
  readonly startedAtMs: number;
  readonly endedAtMs: number;
  /** First reason of a partial report. */
  readonly problem: string | null;
};

/** All reports of one scanner in a job. */
export type ScannerTotal = {
  readonly scanner: string;
  readonly reports: number;
  readonly complete: number;
  readonly found: number;
  readonly probesSent: number;
  /** Sum over its runs. */
  readonly workedMs: number;
};

export type ReportQuery = { readonly job: string; readonly limit?: number; readonly cursor?: string };

/** See `LedgerReader.listReports`: by tile, shard and attempt. */
export async function listReports(database: Database, query: ReportQuery): Promise<Page<ReportRow>> {
  const limit = limitOf(query.limit);
  const [rows] = await database.batch(
    [
      {
        sql: `select lower(hex(r.id)) as id, r.tile, r.shard, r.attempt, r.scanner, r.complete, r.void, r.sightings, r.probes_sent, r.started_at_ms, r.ended_at_ms, r.problem
          from report r where r.job = unhex(?1) and (r.tile, r.shard, r.attempt, r.id) > (?3, ?4, ?5, unhex(?6))
          order by r.tile, r.shard, r.attempt, r.id limit ?2`,
        args: [query.job, limit + 1, ...placeOf(query.cursor)],
      },
    ],
    "read",
  );
  return page((rows ?? []).map(reportOf), limit, (last) => `${last.tile}.${last.shard}.${last.attempt}.${last.id}`);
}

/** See `LedgerReader.scannerTotals`: by name. */
export async function scannerTotals(database: Database, job: string): Promise<ScannerTotal[]> {
  const [rows] = await database.batch(
    [
      {
        sql: `select scanner, count(*) as reports, sum(complete) as complete, sum(sightings) as found, sum(probes_sent) as probes_sent,
            sum(max(0, ended_at_ms - started_at_ms)) as worked_ms from report where job = unhex(?1) group by scanner order by scanner`,
        args: [job],
      },
    ],
    "read",
  );
  return (rows ?? []).map((row) => ({
    scanner: textOf(row, "scanner"),
    reports: numberOf(row, "reports"),
    complete: numberOf(row, "complete"),
    found: numberOf(row, "found"),
    probesSent: numberOf(row, "probes_sent"),
    workedMs: numberOf(row, "worked_ms"),
  }));
}

function placeOf(cursor: string | undefined): SqlValue[] {
  if (cursor === undefined) return [-1, 0, 0, ""];
  const match = /^(\d{1,15})\.(\d{1,9})\.(\d{1,9})\.([0-9a-f]{64})$/.exec(cursor);
  if (match === null) throw new PortolanError("invalid", "the cursor is not one that this list gave; start again without it");
  return [Number(match[1]), Number(match[2]), Number(match[3]), match[4] ?? ""];
}

function reportOf(row: SqlRow): ReportRow {
  return {
    id: textOf(row, "id"),
    tile: numberOf(row, "tile"),
    shard: numberOf(row, "shard"),
    attempt: numberOf(row, "attempt"),
    scanner: textOf(row, "scanner"),
    complete: numberOf(row, "complete") === 1,
    isVoid: numberOf(row, "void") !== 0,
    found: numberOf(row, "sightings"),
    probesSent: numberOf(row, "probes_sent"),
    startedAtMs: numberOf(row, "started_at_ms"),
    endedAtMs: numberOf(row, "ended_at_ms"),
    problem: optionalTextOf(row, "problem"),
  };
}
