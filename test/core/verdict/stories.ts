import fc from "fast-check";
import { formatAddress } from "../../../src/core/address.ts";
import type { Frontier } from "../../../src/core/messages/common.ts";
import type { ProbeAnswer } from "../../../src/core/messages/probe.ts";
import type { PositionedRecord } from "../../../src/core/verdict/coverage.ts";
import { foldVerdicts } from "../../../src/core/verdict/fold.ts";
import type { AcceptItem } from "../../../src/ledger/types.ts";
import {
  itemOf,
  jobSpecOf,
  judgedOf,
  type JobOptions,
  partOf,
  probeOf,
  reportOf,
  sightingsOf,
  tileCompleteOf,
  uploadOf,
} from "../../ledger/builders.ts";
import { foldRecordOf, historyOf, randomOf } from "../../ledger/history.ts";

/** Random histories of three regions, as the reference fold takes them. */
export const histories: fc.Arbitrary<PositionedRecord[]> = fc
  .tuple(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 5, max: 28 }))
  .map(([seed, steps]) => historyOf(randomOf(seed), steps).map(foldRecordOf));

/** "address/protocol/port" → verdict, in the order of the names. */
export function register(records: readonly PositionedRecord[]): [string, string][] {
  return foldVerdicts(records)
    .map(({ service, verdict }): [string, string] => [`${formatAddress(service.address)}/${service.protocol}/${service.port}`, verdict])
    .toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** The names of the services with this verdict. */
export function having(verdict: string, records: readonly PositionedRecord[]): Set<string> {
  return new Set(register(records).flatMap(([name, one]) => (one === verdict ? [name] : [])));
}

/** A record that says nothing, in the place of one that is taken out: so no hole arises. */
export function silenced(record: PositionedRecord): PositionedRecord {
  const nothing = { version: 1 as const, source: "", sightings: 1, payloadSha256: "0".repeat(64), payloadBytes: 1 };
  return { ...record, id: `${record.id} silenced`, statement: { kind: "upload", content: nothing }, judged: null, sightings: [] };
}

/** A record in a log that no frontier knows: its position lies above all of them. */
export function news(item: AcceptItem, rseq = 0, region = "us"): PositionedRecord {
  const acceptance = { log: "f".repeat(32), rseq, stampMs: 0, judged: judgedOf(item), chain: "", signature: "" };
  return foldRecordOf({ ...item, acceptance, region });
}

const SERVICE = "192.0.2.1:80";
export const REGIONS = ["eu", "us", "ap"] as const;
export type RegionName = (typeof REGIONS)[number];

/** What happens to one service, without any fault: each region has one log that grows record by record, and all regions hold all of it. */
export class Story {
  readonly records: PositionedRecord[] = [];
  #serial = 0;

  put(item: AcceptItem, region: RegionName = "eu"): AcceptItem {
    const log = region.charCodeAt(0).toString(16).padStart(2, "0").repeat(16);
    const rseq = this.records.filter((record) => record.log === log).length;
    this.records.push(
      foldRecordOf({ ...item, region, acceptance: { log, rseq, stampMs: 0, judged: judgedOf(item), chain: "", signature: "" } }),
    );
    return item;
  }

  frontier(): Frontier {
    const frontier: Frontier = {};
    for (const { log, rseq } of this.records) frontier[log] = Math.max(frontier[log] ?? 0, rseq);
    return frontier;
  }

  /** An upload lends no vantage. */
  upload(): void {
    this.put(uploadOf(sightingsOf([SERVICE]), String(this.#serial++)));
  }

  /** A scanner of the region sees the service. */
  sight(region: RegionName): void {
    const key = { job: "0".repeat(64), tile: 0, shard: 1, attempt: 1 };
    this.put(partOf(key, String(this.#serial++), 0, sightingsOf([SERVICE])), region);
  }

  /** A complete job that does not see the service. */
  miss(options: JobOptions): { job: string; complete: AcceptItem } {
    const spec = jobSpecOf({
      scanners: ["scanner-1"],
      pairsMax: 1_000,
      frontier: this.frontier(),
      seed: String(++this.#serial),
      ...options,
    });
    const job = this.put(itemOf({ kind: "job", content: spec })).id;
    const report = this.put(reportOf({ key: { job, tile: 0, shard: 1, attempt: 1 }, run: job }));
    return { job, complete: this.put(tileCompleteOf(job, 0, [report])) };
  }

  probe(region: RegionName, job: string, answer: ProbeAnswer = "closed", options: Partial<Parameters<typeof probeOf>[0]> = {}): void {
    this.put(
      probeOf({ job, region, frontier: this.frontier(), answers: { [SERVICE]: answer }, serial: this.#serial++, ...options }),
      region,
    );
  }

  verdict(): string {
    return register(this.records)[0]?.[1] ?? "gone";
  }
}
