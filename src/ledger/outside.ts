import { addressToHex, formatAddress, parseAddress } from "../core/address.ts";
import { PortolanError } from "../core/errors.ts";
import type { ImportCounts } from "../core/import/tally.ts";
import { type Database, numberOf, type SqlRow, textOf } from "./database.ts";
import type {
  ImportRow,
  LegacyJob,
  LegacyJobState,
  NewImport,
  NewLegacyJob,
  OutsideCommands,
  OutsideReader,
  Traceroute,
} from "./outside-types.ts";
import { claimLease } from "./settle.ts";

/** Uploads of about 120 KiB each that may wait for the keeper. */
const UPLOADS_WAITING_MAX = 256;

/** Queries and commands for what comes from outside, on any database with the ledger's tables. */
export function outsideOn(database: Database, region: string | null): OutsideReader & OutsideCommands {
  return {
    submitUpload: (upload, options) => submitUpload(database, upload, options),
    putImport: (row, nowMs) => putImport(database, row, nowMs),
    importOf: (id) => importOf(database, id),
    legacyJobs: (query) => legacyJobs(database, query),
    legacyJob: async (number, nowMs) =>
      (await legacyJobs(database, { nowMs, after: number - 1, limit: 1 })).find((job) => job.number === number) ?? null,
    traceroute: (address) => traceroute(database, address, region),
    commandPayload: (id) => commandPayload(database, id),
    addLegacyJob: (job, context) => addLegacyJob(database, job, context),
    endLegacyJob: (number, how, context) => endLegacyJob(database, number, { how, ...context }),
  };
}

async function submitUpload(
  database: Database,
  { id, body, payload }: Parameters<OutsideReader["submitUpload"]>[0],
  { nowMs, ttlMs }: { nowMs: number; ttlMs: number },
): Promise<void> {
  const [, rows] = await database.batch(
    [
      {
        sql: `insert into inbox(id, kind, body, payload, created_at_ms, expires_at_ms) select ?1, 'upload', ?2, ?3, ?4, ?5
          where (select count(*) from inbox where done_at_ms is null and payload is not null) < ?6 or exists (select 1 from inbox where id = ?1)
          on conflict(id) do update set expires_at_ms = excluded.expires_at_ms, payload = excluded.payload, done_at_ms = null, result = null
            where done_at_ms is null or result not like '{"ok":true%'`,
        args: [id, JSON.stringify(body), payload, nowMs, nowMs + ttlMs, UPLOADS_WAITING_MAX],
      },
      { sql: "select count(*) as n from inbox where id = ?1", args: [id] },
    ],
    "write",
  );
  if (numberOf(rows?.[0], "n") === 0) {
    throw new PortolanError(
      "unavailable",
      `${UPLOADS_WAITING_MAX} uploads wait for this region's keeper; check that its daemon runs, then repeat`,
    );
  }
}

async function putImport(database: Database, { id, source, format, counts, records }: NewImport, nowMs: number): Promise<void> {
  const sql =
    "insert into import(id, source, format, records, counts, created_at_ms) values (?1, ?2, ?3, ?4, ?5, ?6) on conflict do nothing";
  const forget = "delete from import where created_at_ms < ?1";
  await database.batch(
    [
      { sql, args: [id, source, format, JSON.stringify(records), JSON.stringify(counts), nowMs] },
      { sql: forget, args: [nowMs - KEEP_IMPORTS_MS] },
    ],
    "write",
  );
}

const KEEP_IMPORTS_MS = 30 * 86_400_000;

async function importOf(database: Database, id: string): Promise<ImportRow | null> {
  const [rows] = await database.batch(
    [
      {
        sql: `select i.id, i.source, i.format, i.counts, i.created_at_ms, json_array_length(i.records) as records,
            (select count(distinct k.value) from json_each(i.records) k cross join record r on r.id = unhex(k.value)) as held,
            (select count(*) from json_each(i.records) k cross join inbox b on b.id = k.value and b.done_at_ms is null) as waiting
          from import i where i.id = ?1`,
        args: [id],
      },
    ],
    "read",
  );
  const row = rows?.[0];
  if (row === undefined) return null;
  const counts: ImportCounts = JSON.parse(textOf(row, "counts"));
  return {
    id: textOf(row, "id"),
    source: textOf(row, "source"),
    format: textOf(row, "format"),
    counts,
    records: numberOf(row, "records"),
    held: numberOf(row, "held"),
    waiting: numberOf(row, "waiting"),
    createdAtMs: numberOf(row, "created_at_ms"),
  };
}

type JobsQuery = Parameters<OutsideReader["legacyJobs"]>[0];

async function legacyJobs(database: Database, { nowMs, open = false, after = 0, limit }: JobsQuery): Promise<LegacyJob[]> {
  const isOpen = open ? "and received_at_ms is null and cancelled_at_ms is null and (expires_at_ms is null or expires_at_ms > ?3)" : "";
  const sql = `select * from legacy_job where n > ?1 ${isOpen} order by n limit ?2`;
  const [rows] = await database.batch([{ sql, args: open ? [after, limit, nowMs] : [after, limit] }], "read");
  return (rows ?? []).map((row) => jobOf(row, nowMs));
}

function jobOf(row: SqlRow, nowMs: number): LegacyJob {
  const optional = (name: string): number | null => (row[name] === null ? null : numberOf(row, name));
  const [expiresAtMs, receivedAtMs] = [optional("expires_at_ms"), optional("received_at_ms")];
  const isExpired = expiresAtMs !== null && expiresAtMs <= nowMs;
  const state: LegacyJobState =
    optional("cancelled_at_ms") !== null ? "cancelled" : receivedAtMs !== null ? "received" : isExpired ? "expired" : "open";
  const proto = textOf(row, "proto");
  return {
    number: numberOf(row, "n"),
    cidr: textOf(row, "cidr"),
    ports: textOf(row, "ports"),
    protocol: proto === "udp" || proto === "sctp" ? proto : "tcp",
    requestedBy: textOf(row, "requested_by"),
    state,
    createdAtMs: numberOf(row, "created_at_ms"),
    expiresAtMs,
    receivedAtMs,
  };
}

async function traceroute(database: Database, address: string, region: string | null): Promise<Traceroute | null> {
  const key = parseAddress(address);
  const sql = "select region, source, path, at_s from traceroute where ip = unhex(?1) order by region = ?2 desc, at_s desc, region limit 1";
  const [rows] = await database.batch([{ sql, args: [addressToHex(key), region] }], "read");
  const row = rows?.[0];
  if (row === undefined) return null;
  const [from, source, path] = [textOf(row, "region"), textOf(row, "source"), textOf(row, "path")];
  return { address: formatAddress(key), region: from, source, path, atS: numberOf(row, "at_s") };
}

async function commandPayload(database: Database, id: string): Promise<Uint8Array | null> {
  const [rows] = await database.batch([{ sql: "select payload from inbox where id = ?1", args: [id] }], "read");
  const payload = rows?.[0]?.["payload"];
  if (payload instanceof ArrayBuffer) return new Uint8Array(payload);
  return payload instanceof Uint8Array ? payload : null;
}

async function addLegacyJob(database: Database, job: NewLegacyJob, { epoch, nowMs }: { epoch: number; nowMs: number }): Promise<number> {
  const { origin, cidr, ports, protocol, requestedBy, expiresAtMs } = job;
  const [, , rows] = await database.batch(
    [
      claimLease(epoch, 0),
      {
        // Not "on conflict": a refused insert would use up a number.
        sql: `insert into legacy_job(origin, cidr, ports, proto, requested_by, created_at_ms, expires_at_ms) select ?1, ?2, ?3, ?4, ?5, ?6, ?7
          where not exists (select 1 from legacy_job where origin = ?1)`,
        args: [origin, cidr, ports, protocol, requestedBy, nowMs, expiresAtMs],
      },
      { sql: "select n from legacy_job where origin = ?1", args: [origin] },
    ],
    "write",
  );
  return numberOf(rows?.[0], "n");
}

async function endLegacyJob(
  database: Database,
  number: number,
  { how, epoch, nowMs }: { how: "received" | "cancelled"; epoch: number; nowMs: number },
): Promise<boolean> {
  const column = how === "received" ? "received_at_ms" : "cancelled_at_ms";
  const [, , rows] = await database.batch(
    [
      claimLease(epoch, 0),
      { sql: `update legacy_job set ${column} = coalesce(${column}, ?2) where n = ?1 and cancelled_at_ms is null`, args: [number, nowMs] },
      { sql: "select count(*) as n from legacy_job where n = ?1", args: [number] },
    ],
    "write",
  );
  return numberOf(rows?.[0], "n") === 1;
}
