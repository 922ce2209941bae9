import { decodeRecord, encodeRecord } from "../../src/core/record-wire.ts";
import { stateHash, type StateHash } from "../../src/ledger/state-hash.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import type { AcceptItem, Ledger, PeerItem } from "../../src/ledger/types.ts";
import { contextAt, itemOf, jobSpecOf, type JobOptions, partOf, reportOf, sha256, sightingsOf, tileCompleteOf } from "./builders.ts";
import { drain } from "./delivered.ts";
import { type MemoryDatabase, openMemoryDatabase } from "./memory-database.ts";

export const START_MS = 1_700_000_000_000;

/** A record as it comes out of a message. */
export function travelled(item: PeerItem): PeerItem {
  return decodeRecord(encodeRecord(item), sha256);
}

/** A record as its keeper got it. */
export function asSaid({ acceptance: _acceptance, region: _region, ...item }: PeerItem): AcceptItem {
  return item;
}

/** The keeper of one region on a ledger of its own, and what it does with its peers. */
export class TestRegion {
  readonly region: string;
  readonly database: MemoryDatabase;
  readonly ledger: Ledger;
  epoch = -1;
  nowMs = START_MS;

  private constructor(region: string, database: MemoryDatabase) {
    this.region = region;
    this.database = database;
    this.ledger = ledgerOn(database, region);
  }

  /** `letter` makes the id of its log. */
  static async on(region: string, letter: string, database = openMemoryDatabase()): Promise<TestRegion> {
    database.clear();
    const made = new TestRegion(region, database);
    await made.ledger.ensureLog(() => letter.repeat(32));
    made.epoch = (await made.ledger.takeLease({ holder: "k1", nowMs: START_MS, ttlMs: 1_000 }))?.epoch ?? -1;
    return made;
  }

  async accept(...items: AcceptItem[]): Promise<string[]> {
    this.nowMs += 1_000;
    const receipts = await this.ledger.accept(items, contextAt(this.epoch, this.nowMs));
    return receipts.map(({ log, rseq }) => `${log[0] ?? ""}${rseq}`);
  }

  apply(items: readonly PeerItem[], checkpoint?: { readonly region: string; readonly seq: number }): Promise<void> {
    return this.ledger.applyPeers({ items, ...(checkpoint === undefined ? {} : { checkpoint }) }, contextAt(this.epoch, this.nowMs));
  }

  /** Takes what another region holds and this one lacks, as repair does. */
  async pull(from: TestRegion): Promise<void> {
    for (;;) {
      const own = new Map((await this.ledger.logStands()).map((stand) => [stand.log, stand]));
      const lacking = (await from.ledger.logStands()).filter(({ log, prefix }) => prefix > (own.get(log)?.prefix ?? -1));
      if (lacking.length === 0) return drain(this.ledger, this.epoch);
      for (const { log } of lacking) {
        const items = await from.ledger.readLog({ log, from: (own.get(log)?.prefix ?? -1) + 1, limit: 256 });
        await this.apply(items.map(travelled));
      }
    }
  }

  hash(): Promise<StateHash> {
    return stateHash(this.database, sha256);
  }

  /** A job of one tile and one shard with one look, planned on all that is held here. */
  async look(seen: readonly string[], options: JobOptions = {}): Promise<{ job: string; report: AcceptItem; complete: AcceptItem }> {
    const spec = jobSpecOf({
      home: this.region,
      regions: [this.region],
      scanners: ["scanner-1"],
      pairsMax: 1_000,
      policy: { closeAfter: 1, confirm: false },
      frontier: await this.ledger.frontier(),
      ...options,
    });
    const job = itemOf({ kind: "job", content: spec });
    const key = { job: job.id, tile: 0, shard: 1, attempt: 1 };
    const parts = seen.length === 0 ? [] : [partOf(key, job.id, 0, sightingsOf(seen))];
    const report = reportOf({ key, run: job.id, parts });
    const complete = tileCompleteOf(job.id, 0, [report]);
    await this.accept(job, ...parts, report, complete);
    await drain(this.ledger, this.epoch);
    return { job: job.id, report, complete };
  }

  async states(): Promise<Record<string, string>> {
    const { items } = await this.ledger.listServices({ state: "all" });
    return Object.fromEntries(items.map(({ address, port, state }) => [`${address}:${port}`, state]));
  }
}
