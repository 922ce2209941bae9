import type { Frontier } from "../../src/core/messages/common.ts";
import type { Report } from "../../src/core/messages/report.ts";
import type { Sighting } from "../../src/core/columns.ts";
import { decodeSightings } from "../../src/core/columns.ts";
import { tileCount, tileAt } from "../../src/core/tile.ts";
import type { AcceptItem, PeerItem } from "../../src/ledger/types.ts";
import type { JobSpec } from "../../src/core/messages/job.ts";
import type { ProbeAnswer } from "../../src/core/messages/probe.ts";
import type { Author, Judged } from "../../src/core/messages/record.ts";
import type { PositionedRecord } from "../../src/core/verdict/coverage.ts";
import {
  authorOf,
  itemOf,
  jobSpecOf,
  judgedOf,
  keyOf,
  partOf,
  probeOf,
  releaseOf,
  reportOf,
  revokeOf,
  sha256,
  sightingsOf,
  tileCompleteOf,
  uploadOf,
} from "./builders.ts";
import type { Random } from "./random.ts";

export { deliveryOf } from "./delivery.ts";
export { type Random, randomOf } from "./random.ts";

const LOGS = ["a", "b", "c"].map((letter) => letter.repeat(32));
const REGIONS = ["eu", "us", "ap"];
const SERVICES = ["192.0.2.1:80", "192.0.2.1:443", "192.0.2.2:80", "192.0.2.3:443", "192.0.2.9:80", "192.0.2.1:22", "2001:db8::1:80"];
const RANGES = [["192.0.2.0/30"], ["192.0.2.0/30", "2001:db8::1"], ["192.0.2.1", "192.0.2.9"], ["192.0.2.0/28"]];

const SCANNERS = ["scanner-1", "scanner-2", "scanner-3"].map((name, index) => authorOf(name, keyOf("ABC"[index] ?? "A")));
const NEGATIVE: readonly ProbeAnswer[] = ["closed", "filtered"];
const OTHERWISE: readonly ProbeAnswer[] = ["open", "error"];
const REGION_LISTS = [["eu"], ["eu"], ["eu", "us"], ["eu", "us", "ap"], ["us"]];

type Policy = JobSpec["policy"];
type ActiveJob = { readonly id: string; readonly spec: JobSpec; tile: number };

/** Some regions' logs, as they grew. */
class History {
  readonly items: PeerItem[] = [];
  readonly #random: Random;
  readonly #policy: Policy | undefined;
  readonly #lengths = LOGS.map(() => 0);
  readonly #jobs: ActiveJob[] = [];
  readonly #runs: { readonly key: Report["key"]; readonly run: string; readonly author: Author }[] = [];
  readonly #finished: string[] = [];
  readonly #jobFrontiers: Frontier[] = [];
  readonly #held: { readonly job: string; readonly tile: number; readonly complete: AcceptItem }[] = [];
  #serial = 0;

  constructor(random: Random, policy: Policy | undefined) {
    this.#random = random;
    this.#policy = policy;
  }

  step(): void {
    const { chance, pick, below } = this.#random;
    // A second, different report of an old run voids what the first one covered.
    if (this.#runs.length > 0 && chance(0.04)) {
      const { author, ...run } = pick(this.#runs);
      return this.#append({ ...reportOf({ ...run, probesSent: this.#serial++ }), author });
    }
    if (chance(0.02)) return this.#append(revokeOf(pick(SCANNERS).publicKey));
    if (this.#held.length > 0 && chance(0.15)) {
      const { job, tile, complete } = pick(this.#held);
      return this.#append(releaseOf(job, tile, complete, `operator ${this.#serial++}`));
    }
    if (this.#finished.length > 0 && chance(0.35)) return this.#probe(chance(0.5) ? 0 : this.#random.below(LOGS.length));
    const [active] = this.#jobs.length === 0 ? [] : [pick(this.#jobs)];
    if (active === undefined || chance(0.2)) return chance(0.35) ? this.#upload() : this.#job();
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

  /** A look that a keeper ordered, mostly after a job; some find it open, some are accepted elsewhere, some know too little. */
  #probe(index: number): void {
    const { chance, pick, below } = this.#random;
    const scanner = pick(SCANNERS);
    const targets = new Set(Array.from({ length: 2 + below(8) }, () => pick(SERVICES)));
    const answers: [string, ProbeAnswer][] = [...targets].map((target) => [target, pick(chance(0.96) ? NEGATIVE : OTHERWISE)]);
    const probe = probeOf({
      job: pick(this.#finished),
      region: REGIONS[chance(0.95) ? index : below(LOGS.length)] ?? "",
      scanner: scanner.name,
      basis: chance(0.6) ? "sighter" : "others",
      frontier: this.#orderFrontier(),
      answers: Object.fromEntries(answers),
      serial: this.#serial++,
    });
    this.#put({ ...probe, author: scanner }, index);
    if (chance(0.05)) this.#put({ ...probe, author: scanner }, below(LOGS.length));
  }

  #job(): void {
    const { chance, pick } = this.#random;
    const spec = jobSpecOf({
      scanners: chance(0.5) ? ["scanner-1", "scanner-2"] : ["scanner-1"],
      ranges: pick(RANGES),
      ports: chance(0.7) ? "80,443" : "22,80",
      pairsMax: pick([4, 8, 1_000]),
      policy: this.#policy ?? { closeAfter: pick([1, 1, 2, 2, 3]), confirm: chance(0.5) },
      home: chance(0.5) ? "eu" : pick(REGIONS),
      regions: pick(REGION_LISTS),
      frontier: this.#frontier(),
      seed: String(1 + this.#serial++),
    });
    this.#jobFrontiers.push(spec.frontier);
    const job = itemOf({ kind: "job", content: spec });
    if (!chance(0.03)) this.#append(job);
    this.#jobs.push({ id: job.id, spec, tile: 0 });
  }

  /** Looks that were ordered too early know as little as a job did; others know nothing of one region. */
  #orderFrontier(): Frontier {
    const { chance, pick } = this.#random;
    if (this.#jobFrontiers.length > 0 && chance(0.1)) return pick(this.#jobFrontiers);
    const forgotten = chance(0.25) ? pick(LOGS) : null;
    return Object.fromEntries(Object.entries(this.#frontier()).filter(([log]) => log !== forgotten));
  }

  /** Mostly what is there; sometimes stale, sometimes more than there is, sometimes a log left out. */
  #frontier(): Frontier {
    const { chance, below } = this.#random;
    const frontier: Frontier = {};
    const exact = chance(0.6);
    for (const [index, log] of LOGS.entries()) {
      const length = this.#lengths[index] ?? 0;
      if (exact && length > 0) frontier[log] = length - 1;
      if (exact) continue;
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
    if (chance(0.05)) return this.#append(misnamedOf(id, tile, reports));
    this.#complete(id, named, reports, chance(0.07) ? "held" : null);
    if (chance(0.08)) this.#complete(id, tile, reports, "held again");
    if (chance(0.04)) this.#complete(id, tile, reports.toReversed(), null);
  }

  #complete(job: string, tile: number, reports: readonly AcceptItem[], held: string | null): void {
    const complete = tileCompleteOf(job, tile, reports, held);
    this.#append(complete);
    this.#finished.push(job);
    if (held !== null) this.#held.push({ job, tile, complete });
    if (this.#random.chance(0.25)) for (const index of LOGS.keys()) this.#probe(index);
  }

  #shard(key: Report["key"]): AcceptItem {
    const { chance, below } = this.#random;
    const run = chance(0.02) ? "the same run" : String(this.#serial++);
    const author = this.#random.pick(SCANNERS);
    this.#runs.push({ key, run, author });
    const parts = Array.from({ length: chance(0.3) ? 1 + below(2) : 0 }, (_, index) =>
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
    for (const item of chance(0.2) ? sent.toReversed() : sent) this.#append({ ...item, author });
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

  /** A keeper mostly finds what the scanner says; sometimes less, and sometimes more, which counts for nothing. */
  #judged(item: AcceptItem): Judged {
    const said = judgedOf(item);
    if (said === null || !this.#random.chance(said === "complete" ? 0.04 : 0.3)) return said;
    return said === "complete" ? "partial" : "complete";
  }

  #put(item: AcceptItem, index: number): void {
    const log = LOGS[index] ?? "";
    const rseq = this.#lengths[index] ?? 0;
    if (this.items.some(({ id, acceptance }) => id === item.id && acceptance.log === log)) return;
    this.#lengths[index] = rseq + 1;
    const judged = this.#judged(item);
    const stampMs = 1_700_000_000_000 + this.items.length;
    this.items.push({
      ...item,
      ...(judged === null
        ? {}
        : { judged: judged === "complete" ? { kind: judged } : { kind: judged, reasons: ["a keeper's own judgement"] } }),
      region: REGIONS[index] ?? "",
      acceptance: { log, rseq, stampMs, judged, chain: sha256(`${log}${rseq}`), signature: "A".repeat(86) },
    });
  }
}

/** Names each report as that of another shard. */
function misnamedOf(job: string, tile: number, reports: readonly AcceptItem[]): AcceptItem {
  const named = reports.toReversed().map(({ id }, index) => ({ shard: index + 1, id }));
  return itemOf({ kind: "tile-complete", content: { version: 1, job, tile, reports: named, held: null } });
}

/** The records of three logs, in the order in which they were accepted. Without a policy, each job has one of its own. */
export function historyOf(random: Random, steps: number, policy?: Policy): PeerItem[] {
  const history = new History(random, policy);
  for (let step = 0; step < steps; step++) history.step();
  return history.items;
}

/** What the reference fold takes. */
export function foldRecordOf({ id, statement, payload, acceptance, region, author }: PeerItem): PositionedRecord {
  const { log, rseq, judged } = acceptance;
  return {
    id,
    log,
    rseq,
    region,
    author: author.publicKey,
    statement,
    judged,
    sightings: payload === null ? [] : decodeSightings(payload),
  };
}
