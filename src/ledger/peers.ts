import { PortolanError } from "../core/errors.ts";
import { type Database, numberOf, optionalTextOf, type Sql, textOf } from "./database.ts";
import type { LogStand, PeerState } from "./peer-types.ts";
import { leaseLost } from "./append.ts";
import { claimLease, isLeaseLost } from "./settle.ts";
import { STORED_COLUMNS, storedOf, type StoredReader } from "./stored.ts";
import type { PeerItem } from "./types.ts";

/** Of one answer. */
const LOG_RECORDS_MAX = 256;
const LOG_BYTES_MAX = 4_000_000;

/** See `PeerQueries.logStands`; exported for the test of its plan. */
export const STANDS = `select l.id, l.region, l.own, l.prefix, coalesce((select max(r.rseq) from record r where r.log = l.n), -1) as highest,
    coalesce((select lower(hex(r.chain)) from record r where r.log = l.n and r.rseq = l.prefix), '') as chain
  from log l order by l.n`;

/** See `PeerQueries.logStands`. */
export async function logStands(database: Database): Promise<LogStand[]> {
  const [rows] = await database.batch([{ sql: STANDS }], "read");
  return (rows ?? []).map((row) => ({
    log: textOf(row, "id"),
    region: textOf(row, "region"),
    own: numberOf(row, "own") === 1,
    prefix: numberOf(row, "prefix"),
    highest: numberOf(row, "highest"),
    chain: textOf(row, "chain"),
  }));
}

// Bytes of a record on the wire, about: of the payload as it was before it was compressed.
const BYTES = "length(r.body) + length(r.author) + 600 + iif(r.payload is null, 0, r.body->>'$.payloadBytes')";

/** See `PeerQueries.readLog`; exported for the test of its plan. Walks from number to number, so it reads no more than it gives. */
export const READ_LOG = `with recursive run(n, log, rseq, left, bytes) as (
    select r.n, r.log, r.rseq, ?3 - 1, ${BYTES} from log l cross join record r on r.log = l.n and r.rseq = ?2 where l.id = ?1
    union all
    select r.n, r.log, r.rseq, run.left - 1, run.bytes + ${BYTES} from run cross join record r on r.log = run.log and r.rseq = run.rseq + 1
      where run.left > 0 and run.bytes + ${BYTES} <= ${LOG_BYTES_MAX})
  select ${STORED_COLUMNS} from run cross join record r on r.n = run.n cross join log l on l.n = r.log`;

/** See `PeerQueries.readLog`. */
export async function readLog(
  database: Database,
  { log, from, limit }: { readonly log: string; readonly from: number; readonly limit: number },
  reader: StoredReader,
): Promise<PeerItem[]> {
  if (!Number.isInteger(limit) || limit < 1 || limit > LOG_RECORDS_MAX)
    throw new PortolanError("invalid", `limit ${limit} is not a whole number from 1 to ${LOG_RECORDS_MAX}`);
  const [rows] = await database.batch([{ sql: READ_LOG, args: [log, from, limit] }], "read");
  const items = (rows ?? []).map((row) => {
    const { n: _, ...item } = storedOf(row, reader);
    return item;
  });
  // The database would sort them with their bodies.
  return items.toSorted((a, b) => a.acceptance.rseq - b.acceptance.rseq);
}

/** See `PeerQueries.chainAt`. */
export async function chainAt(database: Database, { log, rseq }: { readonly log: string; readonly rseq: number }): Promise<string | null> {
  const sql = "select lower(hex(r.chain)) as chain from log l cross join record r on r.log = l.n and r.rseq = ?2 where l.id = ?1";
  const [rows] = await database.batch([{ sql, args: [log, rseq] }], "read");
  return optionalTextOf(rows?.[0], "chain");
}

/** See `PeerQueries.publishedUpto`. */
export async function publishedUpto(database: Database): Promise<{ log: string; rseq: number; seq: number } | null> {
  const sql = "select l.id, p.rseq, p.seq from published p cross join log l on l.n = p.log where l.own = 1";
  const [rows] = await database.batch([{ sql }], "read");
  const row = rows?.[0];
  return row === undefined ? null : { log: textOf(row, "id"), rseq: numberOf(row, "rseq"), seq: numberOf(row, "seq") };
}

/** See `PeerQueries.peers`: sorted by region. */
export async function peers(database: Database): Promise<PeerState[]> {
  const sql = "select region, checkpoint, contact_ms, behind, equal_at_ms, alarm from peer order by region";
  const [rows] = await database.batch([{ sql }], "read");
  return (rows ?? []).map((row) => ({
    region: textOf(row, "region"),
    checkpoint: numberOf(row, "checkpoint"),
    contactMs: numberOf(row, "contact_ms"),
    behind: numberOf(row, "behind"),
    equalAtMs: row["equal_at_ms"] === null ? null : numberOf(row, "equal_at_ms"),
    alarm: optionalTextOf(row, "alarm"),
  }));
}

/** See `PeerCommands.setPublished`. A log that is the own one no more is left alone. */
export async function setPublished(
  database: Database,
  { log, rseq, seq }: { readonly log: string; readonly rseq: number; readonly seq: number },
  { epoch }: { readonly epoch: number },
): Promise<void> {
  await underLease(database, epoch, {
    sql: `insert into published(id, log, rseq, seq) select 1, n, ?2, ?3 from log where id = ?1 and own = 1
      on conflict do update set log = excluded.log, rseq = excluded.rseq, seq = excluded.seq`,
    args: [log, rseq, seq],
  });
}

/** See `PeerCommands.setPeer`. */
export async function setPeer(
  database: Database,
  { region, contactMs, behind, equalAtMs, alarm }: Omit<PeerState, "checkpoint">,
  { epoch }: { readonly epoch: number },
): Promise<void> {
  await underLease(database, epoch, {
    sql: `insert into peer(region, contact_ms, behind, equal_at_ms, alarm) values (?1, ?2, ?3, ?4, ?5)
      on conflict do update set contact_ms = excluded.contact_ms, behind = excluded.behind, equal_at_ms = excluded.equal_at_ms, alarm = excluded.alarm`,
    args: [region, contactMs, behind, equalAtMs, alarm],
  });
}

/** See `PeerCommands.resetCheckpoint`. */
export async function resetCheckpoint(database: Database, region: string, { epoch }: { readonly epoch: number }): Promise<void> {
  await underLease(database, epoch, { sql: "update peer set checkpoint = 0 where region = ?1", args: [region] });
}

async function underLease(database: Database, epoch: number, statement: Sql): Promise<void> {
  try {
    await database.batch([claimLease(epoch, 0), statement], "write");
  } catch (error) {
    throw isLeaseLost(error) ? leaseLost(error) : error;
  }
}
