import type { Report } from "../../src/core/messages/report.ts";
import type { Database } from "../../src/ledger/database.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import type { AcceptItem, Ledger } from "../../src/ledger/types.ts";
import { contextAt, itemOf, jobSpecOf, type JobOptions, partOf, reportOf, sha256, sightingsOf, tileCompleteOf } from "./builders.ts";

const START_MS = 1_700_000_000_000;

/** A keeper with the lease on an empty ledger, and short words for what it does. */
export class TestKeeper {
  readonly ledger: Ledger;
  readonly epoch: number;
  nowMs = START_MS;

  private constructor(ledger: Ledger, epoch: number) {
    this.ledger = ledger;
    this.epoch = epoch;
  }

  static async on(database: Database): Promise<TestKeeper> {
    const [tables] = await database.batch(
      [
        {
          sql: "select name from sqlite_master where type = 'table' and name not in ('keeper', 'schema_migration') and name not like '%sqlite%' and name not like 'libsql%'",
        },
      ],
      "read",
    );
    const clear = (tables ?? []).map((row) => ({ sql: `delete from ${String(row["name"])}` }));
    await database.batch([...clear, { sql: "update keeper set holder = '', until_ms = 0, stamp_ms = 0" }], "write");
    const ledger = ledgerOn(database, "eu");
    await ledger.ensureLog(() => "a".repeat(32));
    const lease = await ledger.takeLease({ holder: "k1", nowMs: START_MS, ttlMs: 1_000 });
    return new TestKeeper(ledger, lease?.epoch ?? -1);
  }

  async accept(...items: AcceptItem[]): Promise<number[]> {
    this.nowMs += 1_000;
    const receipts = await this.ledger.accept(items, contextAt(this.epoch, this.nowMs));
    return receipts.map(({ rseq }) => rseq);
  }

  async settle(): Promise<void> {
    while (await this.ledger.runDeferred({ epoch: this.epoch, sha256 }));
  }

  async plan(options: JobOptions = {}): Promise<string> {
    const job = itemOf({ kind: "job", content: jobSpecOf({ frontier: await this.ledger.frontier(), ...options }) });
    await this.accept(job);
    return job.id;
  }

  /** A job of one tile with two shards that sees exactly `seen`, planned on all that the ledger holds. */
  async runJob(seen: string[], options: { held?: string; closeAfter?: number } = {}): Promise<string> {
    const job = await this.plan({ pairsMax: 1_000, policy: { closeAfter: options.closeAfter ?? 2, confirm: false } });
    const key = (shard: number): Report["key"] => ({ job, tile: 0, shard, attempt: 1 });
    const parts = seen.length === 0 ? [] : [partOf(key(1), job, 0, sightingsOf(seen))];
    const reports = [reportOf({ key: key(1), run: job, parts }), reportOf({ key: key(2), run: `${job}/2` })];
    await this.accept(...parts, ...reports);
    await this.accept(tileCompleteOf(job, 0, reports, options.held ?? null));
    await this.settle();
    return job;
  }

  /** All services with their states; "again" for reopened ones. */
  async states(): Promise<Record<string, string>> {
    const { items } = await this.ledger.listServices({ state: "all" });
    return Object.fromEntries(
      items.map(({ address, port, state, reopened }) => [`${address}:${port}`, reopened ? `${state} again` : state]),
    );
  }
}
