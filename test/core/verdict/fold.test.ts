import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatAddress } from "../../../src/core/address.ts";
import type { Frontier } from "../../../src/core/messages/common.ts";
import type { PositionedRecord } from "../../../src/core/verdict/coverage.ts";
import { foldVerdicts } from "../../../src/core/verdict/fold.ts";
import type { AcceptItem } from "../../../src/ledger/types.ts";
import {
  itemOf,
  jobSpecOf,
  judgedOf,
  type JobOptions,
  partOf,
  reportOf,
  sightingsOf,
  tileCompleteOf,
  uploadOf,
} from "../../ledger/builders.ts";
import { foldRecordOf, historyOf, randomOf } from "../../ledger/history.ts";

/** Two logs that grow record by record. */
class Logs {
  readonly records: PositionedRecord[] = [];
  #serial = 0;

  put(item: AcceptItem, log: "a" | "b" = "a"): AcceptItem {
    const rseq = this.records.filter((record) => record.log === log.repeat(32)).length;
    const acceptance = { log: log.repeat(32), rseq, stampMs: 0, judged: judgedOf(item), chain: "", signature: "" };
    this.records.push(foldRecordOf({ ...item, acceptance, region: "eu" }));
    return item;
  }

  frontier(): Frontier {
    const frontier: Frontier = {};
    for (const { log, rseq } of this.records) frontier[log] = Math.max(frontier[log] ?? 0, rseq);
    return frontier;
  }

  see(...services: string[]): void {
    this.put(uploadOf(sightingsOf(services), String(this.#serial++)));
  }

  plan(options: JobOptions = {}): string {
    const spec = jobSpecOf({
      scanners: ["scanner-1"],
      pairsMax: 1_000,
      frontier: this.frontier(),
      seed: String(++this.#serial),
      ...options,
    });
    return this.put(itemOf({ kind: "job", content: spec })).id;
  }

  finish(job: string, options: { seen?: string[]; partial?: boolean; held?: string; lost?: boolean } = {}): void {
    const key = { job, tile: 0, shard: 1, attempt: 1 };
    const parts = options.seen === undefined ? [] : [partOf(key, job, 0, sightingsOf(options.seen))];
    if (options.lost !== true) for (const part of parts) this.put(part);
    const report = this.put(reportOf({ key, run: job, parts, partial: options.partial === true }));
    this.put(tileCompleteOf(job, 0, [report], options.held ?? null));
  }

  verdicts(): Record<string, string> {
    return Object.fromEntries(
      foldVerdicts(this.records).map(({ service, verdict }) => [`${formatAddress(service.address)}:${service.port}`, verdict]),
    );
  }
}

const ONCE: JobOptions = { policy: { closeAfter: 1, confirm: false } };

describe("a service is closed only on complete evidence", () => {
  test("two jobs in sequence close it, one makes it missing", () => {
    const logs = new Logs();
    logs.see("192.0.2.1:80");
    logs.finish(logs.plan());
    expect(logs.verdicts()).toEqual({ "192.0.2.1:80": "missing" });
    logs.finish(logs.plan());
    expect(logs.verdicts()).toEqual({ "192.0.2.1:80": "closed" });
    logs.see("192.0.2.1:80");
    expect(logs.verdicts()).toEqual({ "192.0.2.1:80": "open" });
  });

  test("two jobs that run at one time are one look", () => {
    const logs = new Logs();
    logs.see("192.0.2.1:80");
    const jobs = [logs.plan(), logs.plan()];
    for (const job of jobs) logs.finish(job);
    expect(logs.verdicts()).toEqual({ "192.0.2.1:80": "missing" });
  });

  test.each([
    ["a partial report", { partial: true }],
    ["a held tile", { held: "brake" }],
    ["a report whose part is lost", { seen: ["192.0.2.9:80"], lost: true }],
  ])("%s closes nothing", (_, options) => {
    const logs = new Logs();
    logs.see("192.0.2.1:80");
    logs.finish(logs.plan(ONCE), options);
    expect(logs.verdicts()["192.0.2.1:80"]).toBe("open");
  });

  test("a sighting that the planner did not know of wins, even one that was accepted before the tile was complete", () => {
    const logs = new Logs();
    logs.see("192.0.2.1:80");
    const job = logs.plan(ONCE);
    logs.see("192.0.2.1:80");
    logs.finish(job);
    expect(logs.verdicts()).toEqual({ "192.0.2.1:80": "open" });
  });

  test("a record that is missing below the frontier stops the job from closing", () => {
    const logs = new Logs();
    logs.see("192.0.2.1:80");
    const frontier = { ...logs.frontier(), ["b".repeat(32)]: 0 };
    logs.finish(logs.plan({ ...ONCE, frontier }));
    expect(logs.verdicts()).toEqual({ "192.0.2.1:80": "open" });
    logs.put(uploadOf(sightingsOf(["192.0.2.2:80"])), "b");
    expect(logs.verdicts()["192.0.2.1:80"]).toBe("closed");
  });

  test("a job that asks for a confirm does not close without one", () => {
    const logs = new Logs();
    logs.see("192.0.2.1:80");
    logs.finish(logs.plan({ policy: { closeAfter: 1, confirm: true } }));
    expect(logs.verdicts()).toEqual({ "192.0.2.1:80": "missing" });
  });

  test("two different reports with one run id cover nothing", () => {
    const logs = new Logs();
    logs.see("192.0.2.1:80");
    const job = logs.plan(ONCE);
    logs.finish(job);
    expect(logs.verdicts()).toEqual({ "192.0.2.1:80": "closed" });
    logs.put(reportOf({ key: { job, tile: 0, shard: 1, attempt: 1 }, run: job, probesSent: 7 }));
    expect(logs.verdicts()).toEqual({ "192.0.2.1:80": "open" });
  });
});

describe("for any history", () => {
  const histories = fc.tuple(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 5, max: 25 }));
  const register = (records: readonly PositionedRecord[]): Record<string, string> =>
    Object.fromEntries(
      foldVerdicts(records).map(({ service, verdict }) => [`${service.address}/${service.protocol}/${service.port}`, verdict]),
    );
  const sorted = (verdicts: Record<string, string>): [string, string][] =>
    Object.entries(verdicts).toSorted(([a], [b]) => (a < b ? -1 : 1));

  test("neither the order nor the repetition of records matters", () => {
    fc.assert(
      fc.property(histories, fc.infiniteStream(fc.nat()), ([seed, steps], keys) => {
        const records = historyOf(randomOf(seed), steps).map(foldRecordOf);
        const shuffled = [...records, ...records.slice(0, 5)]
          .map((record) => ({ record, key: keys.next().value }))
          .toSorted((a, b) => a.key - b.key);
        expect(sorted(register(shuffled.map(({ record }) => record)))).toEqual(sorted(register(records)));
      }),
      { numRuns: 100 },
    );
  });

  test("a later upload or partial report closes nothing", () => {
    fc.assert(
      fc.property(
        histories,
        fc.constantFrom("192.0.2.1:80", "192.0.2.3:443", "2001:db8::1:80"),
        fc.boolean(),
        ([seed, steps], text, partial) => {
          const records = historyOf(randomOf(seed), steps).map(foldRecordOf);
          const before = register(records);
          const item = partial
            ? reportOf({ key: { job: "0".repeat(64), tile: 0, shard: 1, attempt: 1 }, partial: true })
            : uploadOf(sightingsOf([text]), "late");
          // A log that no frontier knows: the position lies above all of them.
          const acceptance = { log: "f".repeat(32), rseq: 0, stampMs: 0, judged: judgedOf(item), chain: "", signature: "" };
          const after = register([...records, foldRecordOf({ ...item, acceptance, region: "us" })]);
          for (const [service, verdict] of Object.entries(after)) if (verdict === "closed") expect(before[service]).toBe("closed");
        },
      ),
      { numRuns: 100 },
    );
  });

  test("nothing is missing or closed outside the tiles that were completed", () => {
    fc.assert(
      fc.property(histories, ([seed, steps]) => {
        const records = historyOf(randomOf(seed), steps).map(foldRecordOf);
        const withoutCompletion = records.filter(({ statement }) => statement.kind !== "tile-complete");
        expect(Object.values(register(withoutCompletion)).every((verdict) => verdict === "open")).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});
