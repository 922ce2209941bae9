import { listReports, scannerTotals } from "./accounting.ts";
import { heldTiles } from "./brake.ts";
import { type Database, numberOf, textOf } from "./database.ts";
import { readDurability } from "./durability.ts";
import { denied, deny, listDenies } from "./denies.ts";
import { awaitCommand, submitCommand } from "./inbox.ts";
import { job, jobSpec, listJobs, listShards, listTiles } from "./jobs.ts";
import { progress, scanners } from "./live.ts";
import { listChanges } from "./feed.ts";
import { diff, historyOf, openAt } from "./history.ts";
import { labelsOf } from "./labels.ts";
import { chainAt, logStands, peers, publishedUpto, readLog } from "./peers.ts";
import { rulesVersion } from "./rules.ts";
import { facetsOf, searchCounts } from "./search/facets.ts";
import { searchServices } from "./search/search.ts";
import { stateHash } from "./state-hash.ts";
import { outsideOn } from "./outside.ts";
import type { PeerQueries } from "./peer-types.ts";
import type { StoredReader } from "./stored.ts";
import { vantagesOf } from "./vantage.ts";
import { whyOf } from "./why.ts";
import { countKnown, counts, host, listServices, portCounts } from "./services.ts";
import type { LedgerReader } from "./types.ts";

/** What a reader (API, pages) may do with any database that has the ledger's tables. */
export function readerOn(database: Database, reader: StoredReader = {}): LedgerReader & PeerQueries {
  return {
    listServices: (query) => listServices(database, query),
    host: (address) => host(database, address),
    countKnown: (query) => countKnown(database, query),
    counts: () => counts(database),
    portCounts: (limit) => portCounts(database, limit),
    search: (query) => searchServices(database, query),
    searchCounts: (context) => searchCounts(database, context),
    facets: (context, facets) => facetsOf(database, context, facets),
    listChanges: (query) => listChanges(database, query),
    history: (service) => historyOf(database, service, reader),
    openAt: (query) => openAt(database, query, reader),
    diff: (query) => diff(database, query, reader),
    why: (service) => whyOf(database, service),
    labels: (query) => labelsOf(database, query),
    vantages: (services) => vantagesOf(database, services),
    rulesVersion: (kind) => rulesVersion(database, kind),
    stateHash: (sha256) => stateHash(database, sha256),
    listJobs: (query) => listJobs(database, query),
    job: (id) => job(database, id),
    jobSpec: (id) => jobSpec(database, id),
    listTiles: (query) => listTiles(database, query),
    listShards: (query) => listShards(database, query),
    listReports: (query) => listReports(database, query),
    heldTiles: (query) => heldTiles(database, query),
    scannerTotals: (id) => scannerTotals(database, id),
    scanners: () => scanners(database),
    progress: (query) => progress(database, query),
    frontier: () => readFrontier(database),
    durability: () => readDurability(database),
    listDenies: (query) => listDenies(database, query),
    deny: (id) => deny(database, id),
    denied: (nowMs) => denied(database, nowMs),
    holes: () => readHoles(database),
    logStands: () => logStands(database),
    readLog: (query) => readLog(database, query, reader),
    chainAt: (position) => chainAt(database, position),
    publishedUpto: () => publishedUpto(database),
    peers: () => peers(database),
    ...outsideOn(database, null),
    submitCommand: (kind, body, command) => submitCommand(database, kind, body, command),
    awaitCommand: (id, timeoutMs) => awaitCommand(database, id, timeoutMs),
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
