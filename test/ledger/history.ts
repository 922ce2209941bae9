import type { Frontier } from "../../src/core/messages/common.ts";
import type { Report } from "../../src/core/messages/report.ts";
import type { Sighting } from "../../src/core/columns.ts";
import { decodeSightings } from "../../src/core/columns.ts";
import { tileCount, tileAt } from "../../src/core/tile.ts";
import type { AcceptItem, PeerItem } from "../../src/ledger/types.ts";
import type { JobSpec } from "../../src/core/messages/job.ts";
import type { PositionedRecord } from "../../src/core/verdict/coverage.ts";
import { itemOf, jobSpecOf, partOf, reportOf, sha256, sightingsOf, tileCompleteOf, uploadOf } from "./builders.ts";

/** Repeatable randomness: the same seed gives the same history. */
export type Random = {
  readonly below: (n: number) => number;
  readonly chance: (p: number) => boolean;
  readonly pick: <T>(list: readonly T[]) => T;
};

export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (n: number): number => Math.floor(next() * n);
  return {
    below,
    chance: (p) => next() < p,
    pick: (list) => {
      const one = list[below(list.length)];
      if (one === undefined) throw new Error("nothing to pick from");
      return one;
    },
  };
}

const LOGS = ["a", "b", "c"].map((letter) => letter.repeat(32));
const REGIONS = ["eu", "us", "ap"];
const SERVICES = ["192.0.2.1:80", "192.0.2.1:443", "192.0.2.2:80", "192.0.2.3:443", "192.0.2.9:80", "192.0.2.1:22", "2001:db8::1:80"];
const RANGES = [["192.0.2.0/30"], ["192.0.2.0/30", "2001:db8::1"], ["192.0.2.1", "192.0.2.9"], ["192.0.2.0/28"]];

type ActiveJob = { readonly id: string; readonly spec: JobSpec; tile: number };

/** Some regions' logs, as they grew. */
class History {
  readonly items: PeerItem[] = [];
  readonly #random: Random;
  readonly #lengths = LOGS.map(() => 0);
  readonly #jobs: ActiveJob[] = [];
  readonly #runs: { readonly key: Report["key"]; readonly run: string }[] = [];
  #serial = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  step(): void {
    const { chance, pick, below } = this.#random;
    // A second, different report of an old run voids what the first one covered.
    if (this.#runs.length > 0 && chance(0.04)) return this.#append(reportOf({ ...pick(this.#runs), probesSent: this.#serial++ }));
    const [active] = this.#jobs.length === 0 ? [] : [pick(this.#jobs)];
    if (active === undefined || chance(0.2)) return chance(0.45) ? this.#upload() : this.#job();
    if (active.tile >= tileCount(active.spec)) {
      this.#jobs.splice(this.#jobs.indexOf(active), 1);
      return;
    }
    this.#tile(active, active.tile++);
    if (chance(0.1)) this.#tile(active, below(active.tile));
  }

  #upload(): void {
    this.#append(uploadOf(this.#sightings(1 + this.#random.below(3)), `cron ${this.#serial++}`));
  }

  #job(): void {
    const { chance, pick } = this.#random;
    const spec = jobSpecOf({
      scanners: chance(0.5) ? ["scanner-1", "scanner-2"] : ["scanner-1"],
      ranges: pick(RANGES),
      ports: chance(0.7) ? "80,443" : "22,80",
      pairsMax: pick([4, 8, 1_000]),
      policy: { closeAfter: pick([1, 1, 2, 2, 3]), confirm: chance(0.08) },
      frontier: this.#frontier(),
      seed: String(1 + this.#serial++),
    });
    const job = itemOf({ kind: "job", content: spec });
    if (!chance(0.03)) this.#append(job);
    this.#jobs.push({ id: job.id, spec, tile: 0 });
  }

  /** Mostly what is there; sometimes stale, sometimes more than there is, sometimes a log left out. */
  #frontier(): Frontier {
    const { chance, below } = this.#random;
    const frontier: Frontier = {};
    for (const [index, log] of LOGS.entries()) {
      const length = this.#lengths[index] ?? 0;
      const upto = length - 1 - (chance(0.15) ? below(6) : 0) + (chance(0.04) ? below(4) : 0);
      if (upto >= 0 && !chance(0.04)) frontier[log] = upto;
    }
    return frontier;
  }

  #tile({ id, spec }: ActiveJob, tile: number): void {
    const { chance, below } = this.#random;
    const shards = tileAt(spec, tile).members.length;
    if (chance(0.05)) {
      this.#append(
        itemOf({
          kind: "tile-abandoned",
          content: { version: 1, job: id, tiles: [{ first: tile, last: tile + below(2) }], cause: "deadline", detail: "late" },
        }),
      );
      if (chance(0.5)) return;
    }
    const reports: AcceptItem[] = [];
    for (let shard = 1; shard <= shards; shard++) reports.push(this.#shard({ job: id, tile, shard, attempt: 1 }));
    if (chance(0.05)) return;
    if (chance(0.04)) reports.pop();
    if (chance(0.03) && reports[0] !== undefined) reports.push(reports[0]);
    if (reports.length === 0) return;
    const named = chance(0.04) ? tile + 1 : tile;
    this.#append(tileCompleteOf(id, named, reports, chance(0.07) ? "held" : null));
    if (chance(0.06)) this.#append(tileCompleteOf(id, tile, reports, "held again"));
  }

  #shard(key: Report["key"]): AcceptItem {
    const { chance, below } = this.#random;
    const run = chance(0.02) ? "the same run" : String(this.#serial++);
    this.#runs.push({ key, run });
    const parts = Array.from({ length: chance(0.45) ? 1 + below(2) : 0 }, (_, index) =>
      partOf(key, run, index, this.#sightings(1 + below(2))),
    );
    const report = reportOf({
      key: chance(0.02) ? { ...key, tile: key.tile + 1 } : key,
      run,
      parts,
      partial: chance(0.08),
      probesSent: this.#serial++,
    });
    // Parts and reports may be lost for ever, and a part may come after its report.
    const sent = [...parts.filter(() => !chance(0.02)), ...(chance(0.03) ? [] : [report])];
    for (const item of chance(0.2) ? sent.toReversed() : sent) this.#append(item);
    return report;
  }

  #sightings(count: number): Sighting[] {
    const seen = new Set(Array.from({ length: count }, () => this.#random.pick(SERVICES)));
    return sightingsOf([...seen], 1_700_000_000 + this.#serial++);
  }

  #append(item: AcceptItem): void {
    const index = this.#random.below(this.#random.chance(0.5) ? 1 : LOGS.length);
    this.#put(item, index);
    if (this.#random.chance(0.03)) this.#put(item, (index + 1) % LOGS.length);
  }

  #put(item: AcceptItem, index: number): void {
    const log = LOGS[index] ?? "";
    const rseq = this.#lengths[index] ?? 0;
    if (this.items.some(({ id, acceptance }) => id === item.id && acceptance.log === log)) return;
    this.#lengths[index] = rseq + 1;
    this.items.push({
      ...item,
      region: REGIONS[index] ?? "",
      acceptance: { log, rseq, stampMs: 1_700_000_000_000 + this.items.length, chain: sha256(`${log}${rseq}`), signature: "A".repeat(86) },
    });
  }
}

/** The records of three logs, in the order in which they were accepted. */
export function historyOf(random: Random, steps: number): PeerItem[] {
  const history = new History(random);
  for (let step = 0; step < steps; step++) history.step();
  return history.items;
}

/** What the reference fold takes. */
export function foldRecordOf({ id, statement, payload, acceptance }: PeerItem): PositionedRecord {
  return { id, log: acceptance.log, rseq: acceptance.rseq, statement, sightings: payload === null ? [] : decodeSightings(payload) };
}

/** A delivery: any order, grouped, with repeats. */
export function deliveryOf(
  random: Random,
  items: readonly PeerItem[],
  kind: "as accepted" | "shuffled" | "reversed" | "log by log",
): PeerItem[][] {
  const withRepeats = items.flatMap((item) => (random.chance(0.1) ? Array.from({ length: 1 + random.below(3) }, () => item) : [item]));
  const ordered =
    kind === "shuffled" || kind === "reversed"
      ? kind === "reversed"
        ? withRepeats.toReversed()
        : shuffled(random, withRepeats)
      : kind === "log by log"
        ? withRepeats.toSorted((a, b) => (a.acceptance.log < b.acceptance.log ? 1 : a.acceptance.log > b.acceptance.log ? -1 : 0))
        : [...withRepeats, ...shuffled(random, items).slice(0, 3)];
  const groups: PeerItem[][] = [];
  for (let at = 0; at < ordered.length;) {
    const size = 1 + random.below(6);
    groups.push(ordered.slice(at, at + size));
    at += size;
  }
  return groups;
}

function shuffled<T>(random: Random, list: readonly T[]): T[] {
  return list
    .map((value) => ({ value, key: random.below(1_000_000) }))
    .toSorted((a, b) => a.key - b.key)
    .map(({ value }) => value);
}
