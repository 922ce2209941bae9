import { accept, applyPeer, type HeadMemory } from "./accept.ts";
import { type Database, type DatabaseOptions, httpDatabase, numberOf, textOf } from "./database.ts";
import { runDeferred } from "./deferred.ts";
import { awaitCommand, finishCommand, submitCommand, takeCommands } from "./inbox.ts";
import { job, jobSpec, listJobs, listShards, listTiles } from "./jobs.ts";
import { ensureLog, releaseLease, renewLease, takeLease } from "./lease.ts";
import { progress, putHeartbeat, putProgress, scanners } from "./live.ts";
import { counts, host, listChanges, listServices, portCounts } from "./services.ts";
import type { Ledger } from "./types.ts";
import { completableTiles, isWanted, openAssignments, openTiles, planRuns, runningJobs } from "./work.ts";

/** Opens the ledger of one region over HTTP; connects at the first call. */
export function openLedger(options: DatabaseOptions & { readonly region: string }): Ledger {
  return ledgerOn(httpDatabase(options), options.region);
}

/** The ledger on any database that has its tables. */
export function ledgerOn(database: Database, region: string): Ledger {
  // Appends of one keeper wait for each other: they would only take each other's numbers.
  let appending: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(append: () => Promise<T>): Promise<T> => {
    const turn = appending.then(append, append);
    appending = turn.catch(() => undefined);
    return turn;
  };
  const memory: HeadMemory = { head: null };
  return {
    region,
    ensureLog: (mintLogId) => ensureLog(database, region, mintLogId),
    takeLease: (request) => takeLease(database, request),
    renewLease: (request) => renewLease(database, request),
    releaseLease: (lease) => releaseLease(database, lease),
    accept: (items, context) => inTurn(() => accept(database, items, context, memory)),
    // Turn by turn too: a peer's stamp must not be above the one that our next record gets.
    applyPeer: (items, context) =>
      inTurn(async () => {
        memory.head = null;
        await applyPeer(database, items, context);
      }),
    runDeferred: (context) => runDeferred(database, context),
    openAssignments: (query) => openAssignments(database, query),
    completableTiles: (query) => completableTiles(database, query),
    runningJobs: () => runningJobs(database),
    openTiles: (id) => openTiles(database, id),
    planRuns: () => planRuns(database),
    isWanted: (key) => isWanted(database, key),
    takeCommands: (query) => takeCommands(database, query),
    finishCommand: (id, result, context) => finishCommand(database, id, result, context),
    putHeartbeat: (heartbeat, nowMs) => putHeartbeat(database, heartbeat, nowMs),
    putProgress: (rows, nowMs) => putProgress(database, rows, nowMs),
    listServices: (query) => listServices(database, query),
    host: (address) => host(database, address),
    counts: () => counts(database),
    portCounts: (limit) => portCounts(database, limit),
    listChanges: (query) => listChanges(database, query),
    listJobs: (query) => listJobs(database, query),
    job: (id) => job(database, id),
    jobSpec: (id) => jobSpec(database, id),
    listTiles: (query) => listTiles(database, query),
    listShards: (query) => listShards(database, query),
    scanners: () => scanners(database),
    progress: (query) => progress(database, query),
    frontier: () => readFrontier(database),
    holes: () => readHoles(database),
    submitCommand: (kind, body, command) => submitCommand(database, kind, body, command),
    awaitCommand: (id, timeoutMs) => awaitCommand(database, id, timeoutMs),
    close: () => database.close(),
  };
}

async function readFrontier(database: Database): Promise<Record<string, number>> {
  const [rows] = await database.batch([{ sql: "select id, prefix from log where prefix >= 0 order by n" }], "read");
  return Object.fromEntries((rows ?? []).map((row) => [textOf(row, "id"), numberOf(row, "prefix")]));
}

async function readHoles(database: Database): Promise<{ log: string; region: string; prefix: number; highest: number }[]> {
  const [rows] = await database.batch(
    [
      {
        sql: `select id, region, prefix, highest from (select l.id, l.region, l.prefix, max(
            coalesce((select max(r.rseq) from record r where r.log = l.n), -1),
            coalesce((select max(f.upto) from frontier f cross join job j on j.id = f.rec where f.log = l.n and j.ended_at_ms is null), -1)) as highest
          from log l) where highest > prefix order by id`,
      },
    ],
    "read",
  );
  return (rows ?? []).map((row) => ({
    log: textOf(row, "id"),
    region: textOf(row, "region"),
    prefix: numberOf(row, "prefix"),
    highest: numberOf(row, "highest"),
  }));
}
