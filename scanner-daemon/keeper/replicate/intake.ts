import { zstdCompressSync } from "node:zlib";
import { sha256Hex } from "../../../src/bus/keys.node.ts";
import type { WireRecord } from "../../../src/core/record-wire.ts";
import { ACCEPT_ITEMS_MAX, type Ledger } from "../../../src/ledger/types.ts";
import { type Head, linkProblem } from "./link.ts";

/** What one transaction applies at most: longer ones would keep the region's own records waiting. */
const BATCH_SIGHTINGS_MAX = 20_000;
const BATCH_BYTES_MAX = 4_000_000;

/** What became of records that a peer sent. */
export type Taken = {
  readonly applied: number;
  /** Logs of which something is missing before what was sent. */
  readonly holes: readonly string[];
  /** Logs whose next record was refused, and why. */
  readonly refused: ReadonlyMap<string, string>;
};

/** The one way for other ledgers' records into ours: one transaction at a time, link by link, and nothing that cannot be proved. */
export type Intake = {
  /** Learns anew from the ledger what is held. */
  load(): Promise<void>;
  /** Where a log that is fetched has to be continued; null for our own log, which is never fetched. */
  head(log: string): Head | null;
  /**
   * Applies what continues the logs that are held, in the order given; leaves out what is held, and what lies behind a hole. The
   * checkpoint is committed with the last of it. Throws when the ledger does not take it; then some of it may be applied.
   */
  take(records: readonly WireRecord[], checkpoint?: { readonly region: string; readonly seq: number }): Promise<Taken>;
};

type IntakeDeps = {
  readonly ledger: Pick<Ledger, "logStands" | "applyPeers">;
  readonly nowMs: () => number;
  /** Throws `conflict` without the lease. */
  readonly epoch: () => number;
  /** Keys that may sign the logs of a region. */
  readonly keys: (region: string) => readonly string[];
  /** Records of these kinds were applied. */
  readonly onApplied: (kinds: ReadonlySet<string>) => void;
};

type Held = Head & { readonly region: string; readonly own: boolean };

/** A log that nobody has told of. */
const UNKNOWN: Held = { next: 0, chain: "", region: "", own: false };

/** Knows nothing before `load`. */
export function createIntake(deps: IntakeDeps): Intake {
  let heads = new Map<string, Held>();
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work, work);
    turn = done.catch(() => undefined);
    return done;
  };
  const load = async (): Promise<void> => {
    const stands = await deps.ledger.logStands();
    heads = new Map(stands.map(({ log, region, own, prefix, chain }) => [log, { next: prefix + 1, chain, region, own }]));
  };
  const take: Intake["take"] = async (records, checkpoint) => {
    const sorted = sortOut(records, heads, deps.keys);
    const batches = inBatches(sorted.good);
    // A place in the peer's stream is worth a transaction also when it brought nothing.
    if (batches.length === 0 && checkpoint !== undefined) batches.push([]);
    try {
      for (const [index, items] of batches.entries()) {
        const isLast = index === batches.length - 1;
        await deps.ledger.applyPeers(
          { items, ...(isLast && checkpoint !== undefined ? { checkpoint } : {}) },
          { epoch: deps.epoch(), nowMs: deps.nowMs(), sha256: sha256Hex, compress: (bytes) => zstdCompressSync(bytes) },
        );
        for (const { region, acceptance } of items) {
          heads.set(acceptance.log, { next: acceptance.rseq + 1, chain: acceptance.chain, region, own: false });
        }
      }
    } catch (error) {
      // It may have been committed all the same.
      await load().catch(() => undefined);
      throw error;
    }
    if (sorted.good.length > 0) deps.onApplied(new Set(sorted.good.map(({ statement }) => statement.kind)));
    return { applied: sorted.good.length, holes: [...sorted.holes], refused: sorted.refused };
  };
  return {
    load: () => inTurn(load),
    head: (log) => {
      const held = heads.get(log) ?? UNKNOWN;
      return held.own ? null : held;
    },
    take: (records, checkpoint) => inTurn(() => take(records, checkpoint)),
  };
}

type Sorted = { readonly good: WireRecord[]; readonly holes: Set<string>; readonly refused: Map<string, string> };

function sortOut(records: readonly WireRecord[], heads: ReadonlyMap<string, Held>, keys: IntakeDeps["keys"]): Sorted {
  const sorted: Sorted = { good: [], holes: new Set(), refused: new Map() };
  const ahead = new Map<string, Held>();
  for (const record of records) {
    const { log, rseq, chain } = record.acceptance;
    const head = ahead.get(log) ?? heads.get(log) ?? UNKNOWN;
    if (head.own || rseq < head.next || sorted.refused.has(log)) continue;
    if (rseq > head.next) {
      sorted.holes.add(log);
      continue;
    }
    const problem =
      head.region !== "" && head.region !== record.region
        ? `log ${log} belongs to region "${head.region}", not to "${record.region}"`
        : linkProblem(record, head, keys(record.region));
    if (problem !== null) {
      sorted.refused.set(log, problem);
      continue;
    }
    ahead.set(log, { next: rseq + 1, chain, region: record.region, own: false });
    sorted.good.push(record);
  }
  return sorted;
}

function inBatches(records: readonly WireRecord[]): WireRecord[][] {
  const batches: WireRecord[][] = [];
  let batch: WireRecord[] = [];
  let sightings = 0;
  let bytes = 0;
  for (const record of records) {
    const more = sightingsOf(record);
    const size = record.payload?.length ?? 0;
    const isFull = batch.length >= ACCEPT_ITEMS_MAX || sightings + more > BATCH_SIGHTINGS_MAX || bytes + size > BATCH_BYTES_MAX;
    if (batch.length === 0 || isFull) {
      batch = [];
      batches.push(batch);
      sightings = 0;
      bytes = 0;
    }
    batch.push(record);
    sightings += more;
    bytes += size;
  }
  return batches;
}

function sightingsOf({ statement }: WireRecord): number {
  return statement.kind === "part" || statement.kind === "upload" ? statement.content.sightings : 0;
}
