import { accept, type HeadMemory } from "./accept.ts";
import { shardFinds, wouldMiss } from "./brake.ts";
import { confirmsDue } from "./confirms.ts";
import { type Database, type DatabaseOptions, httpDatabase } from "./database.ts";
import { runDeferred } from "./deferred.ts";
import { finishCommand, takeCommands } from "./inbox.ts";
import { ensureLog, releaseLease, renewLease, takeLease } from "./lease.ts";
import { blockedJobs, lostScanners, reassignable, reassigned, regionNews, scannerAbilities } from "./members.ts";
import { putHeartbeat, putProgress } from "./live.ts";
import { outsideOn } from "./outside.ts";
import type { PeerBatch, PeerCommands } from "./peer-types.ts";
import { resetCheckpoint, setPeer, setPublished } from "./peers.ts";
import { applyBatch, cutBatch } from "./peers-apply.ts";
import { retireLog } from "./peers-retire.ts";
import { finishRebuild, runRebuild, startRebuild } from "./rebuild.ts";
import { applyRules, runRules } from "./rules.ts";
import type { StoredReader } from "./stored.ts";
import type { Ledger } from "./types.ts";
import { completableTiles, interruptedJobs, isWanted, openAssignments, openTiles, planRuns, runningJobs, tileState } from "./work.ts";
import { readerOn } from "./reader.ts";

/** Opens the ledger of one region over HTTP; connects at the first call. */
export function openLedger(options: DatabaseOptions & StoredReader & { readonly region: string }): Ledger {
  return ledgerOn(httpDatabase(options), options.region, options);
}

/** The ledger on any database that has its tables. */
export function ledgerOn(database: Database, region: string, reader: StoredReader = {}): Ledger {
  // Appends of one keeper wait for each other: they would only take each other's numbers.
  let appending: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(append: () => Promise<T>): Promise<T> => {
    const turn = appending.then(append, append);
    appending = turn.catch(() => undefined);
    return turn;
  };
  const memory: HeadMemory = { head: null };
  return {
    ...readerOn(database, reader),
    ...outsideOn(database, region),
    region,
    ensureLog: (mintLogId) => ensureLog(database, region, mintLogId),
    takeLease: (request) => takeLease(database, request),
    renewLease: (request) => renewLease(database, request),
    releaseLease: (lease) => releaseLease(database, lease),
    accept: (items, context) => inTurn(() => accept(database, items, context, memory)),
    ...peerCommands(database, memory, inTurn),
    runDeferred: async (context) =>
      (await runRebuild(database, { ...reader, ...context })) ||
      (await runDeferred(database, context)) ||
      (await finishRebuild(database, context)) ||
      (await runRules(database, context)),
    applyRules: (kind, rules, context) => applyRules(database, kind, rules, context),
    startRebuild: (context) => startRebuild(database, context),
    openAssignments: (query) => openAssignments(database, query),
    completableTiles: (query) => completableTiles(database, query),
    runningJobs: () => runningJobs(database),
    openTiles: (id) => openTiles(database, id),
    planRuns: () => planRuns(database),
    tileState: (id, tile) => tileState(database, id, tile),
    interruptedJobs: (home) => interruptedJobs(database, home),
    isWanted: (key) => isWanted(database, key),
    confirmsDue: (query) => confirmsDue(database, query),
    wouldMiss: (tile) => wouldMiss(database, tile),
    shardFinds: (tile) => shardFinds(database, tile),
    lostScanners: () => lostScanners(database),
    scannerAbilities: () => scannerAbilities(database),
    regionNews: () => regionNews(database),
    reassignable: (query) => reassignable(database, query),
    reassigned: (key) => reassigned(database, key),
    blockedJobs: () => blockedJobs(database),
    takeCommands: (query) => takeCommands(database, query),
    finishCommand: (id, result, context) => finishCommand(database, id, result, context),
    putHeartbeat: (heartbeat, nowMs) => putHeartbeat(database, heartbeat, nowMs),
    putProgress: (rows, nowMs) => putProgress(database, rows, nowMs),
    close: () => database.close(),
  };
}

function peerCommands(database: Database, memory: HeadMemory, inTurn: <T>(append: () => Promise<T>) => Promise<T>): PeerCommands {
  return {
    // Turn by turn too: a peer's stamp must not be above the one that our next record gets.
    applyPeers: async (batch: PeerBatch, context) => {
      for (const part of cutBatch(batch)) {
        await inTurn(async () => {
          const stampMs = part.items.reduce((latest, { acceptance }) => Math.max(latest, acceptance.stampMs), 0);
          if (memory.head !== null) memory.head = { ...memory.head, stampMs: Math.max(memory.head.stampMs, stampMs) };
          await applyBatch(database, part, context);
        });
      }
    },
    setPublished: (at, context) => setPublished(database, at, context),
    setPeer: (state, context) => setPeer(database, state, context),
    resetCheckpoint: (region, context) => resetCheckpoint(database, region, context),
    retireLog: (mintLogId, context) =>
      inTurn(async () => {
        memory.head = null;
        return retireLog(database, mintLogId, context);
      }),
  };
}
