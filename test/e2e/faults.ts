import { setTimeout as delay } from "node:timers/promises";
import { choose, openKeys, pairOf, xorshift32 } from "../../src/local/lab/truth.ts";
import { apply, Disturbed, prepare } from "./faults-apply.ts";
import { drawFaults, type Fault, losesLedger, nameOf, type RegionName, REGIONS, touches } from "./faults-draw.ts";
import { Jobs } from "./faults-jobs.ts";
import { Records } from "./faults-records.ts";
import { Registers } from "./faults-registers.ts";
import { Watch } from "./faults-watch.ts";
import { startWorld, type World } from "./faults-world.ts";

/** Which schedules: seeds `from` … `from + schedules − 1`, one after the other on one set of regions. */
export type FaultOptions = {
  readonly schedules: number;
  readonly from: number;
  readonly say: (line: string) => void;
  /** No further schedule begins once it aborts. */
  readonly signal?: AbortSignal;
};

/** What a campaign found out. The promise holds when all lists are empty. */
export type FaultResult = {
  readonly schedules: number;
  readonly from: number;
  /** How often each fault happened. */
  readonly faults: Readonly<Record<string, number>>;
  readonly jobs: number;
  readonly records: number;
  /** Records that a region had accepted and does not hold any more, or another one never got. */
  readonly lost: readonly string[];
  /** Records that only a ledger which a schedule destroyed had had: no copy was left. */
  readonly goneWithLedger: number;
  readonly closedWrongly: readonly string[];
  /** Schedules after which the regions did not become equal in time. */
  readonly unequal: readonly string[];
  /** Reads that a region refused although its own parts ran. */
  readonly refusedReads: readonly string[];
  /** Regions whose own parts ran and that accepted nothing from their scanners. */
  readonly refusedReports: readonly string[];
  /** Regions whose register differs from the truth at the end, after two jobs without faults. */
  readonly wrongAtEnd: readonly string[];
  readonly reads: number;
  /** Reads that had to be repeated although the region's own parts ran. */
  readonly repeatedReads: number;
  readonly readMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Seconds from the last repair until all regions gave the same answer. */
  readonly healS: { readonly p50: number; readonly max: number };
  readonly seconds: number;
};

const EQUAL_MS_MAX = 60_000;
const GRACE_MS = 3_000;
const PROGRESS_MS_MAX = 45_000;
const CLOSED_EACH = 1;
const SAID_MAX = 5;

/** Runs the schedules; everything is ended and removed afterwards, also after a failure. */
export async function runFaults(options: FaultOptions): Promise<FaultResult> {
  const startedMs = performance.now();
  const world = await startWorld(1);
  options.say(`three regions run after ${seconds(startedMs)} s`);
  const campaign = new Campaign(options, world);
  try {
    return await campaign.run(startedMs);
  } finally {
    await campaign.stop();
    await world.destroy();
  }
}

/** Whether every promise held. */
export function holds(result: FaultResult): boolean {
  const { lost, closedWrongly, unequal, refusedReads, refusedReports, wrongAtEnd } = result;
  return [lost, closedWrongly, unequal, refusedReads, refusedReports, wrongAtEnd].every((list) => list.length === 0);
}

class Campaign {
  readonly #options: FaultOptions;
  readonly #world: World;
  readonly #registers: Registers;
  readonly #jobs: Jobs;
  readonly #records: Records;
  readonly #disturbed = new Disturbed(GRACE_MS);
  readonly #mustBeOpen: Set<string>;
  readonly #watch: Watch;
  readonly #counts: Record<string, number> = {};
  readonly #lost: string[] = [];
  readonly #unequal: string[] = [];
  readonly #refusedReports: string[] = [];
  readonly #healS: number[] = [];
  readonly #said = new Set<string>();
  #gone = 0;

  constructor(options: FaultOptions, world: World) {
    this.#options = options;
    this.#world = world;
    this.#registers = new Registers(world);
    this.#jobs = new Jobs(world);
    this.#records = new Records(world);
    this.#mustBeOpen = openKeys(world.playground.truth);
    this.#watch = new Watch(world, this.#disturbed, this.#mustBeOpen);
  }

  async run(startedMs: number): Promise<FaultResult> {
    const { schedules, from } = this.#options;
    if (!(await this.#jobs.runShared())) this.#unequal.push("the first job did not become complete");
    let seed = from;
    for (; seed < from + schedules && this.#options.signal?.aborted !== true; seed += 1) await this.#schedule(seed);
    const wrongAtEnd = await this.#settle();
    await this.#watch.stop();
    return {
      schedules: seed - from,
      from,
      faults: this.#counts,
      jobs: this.#jobs.count,
      records: this.#records.count,
      lost: this.#lost,
      goneWithLedger: this.#gone,
      closedWrongly: [...this.#watch.closedWrongly],
      unequal: this.#unequal,
      refusedReads: this.#watch.refused,
      refusedReports: this.#refusedReports,
      wrongAtEnd,
      reads: this.#watch.reads,
      repeatedReads: this.#watch.repeated,
      readMs: { p50: quantile(this.#watch.readMs, 0.5), p99: quantile(this.#watch.readMs, 0.99), max: quantile(this.#watch.readMs, 1) },
      healS: { p50: quantile(this.#healS, 0.5), max: quantile(this.#healS, 1) },
      seconds: seconds(startedMs),
    };
  }

  async stop(): Promise<void> {
    await this.#watch.stop();
    this.#records.close();
    this.#registers.close();
  }

  async #schedule(seed: number): Promise<void> {
    const { say } = this.#options;
    const faults = drawFaults(seed);
    for (const fault of faults) this.#counts[nameOf(fault)] = (this.#counts[nameOf(fault)] ?? 0) + 1;
    say(`schedule ${seed}`);
    await this.#jobs.start(REGIONS);
    const prepared = prepare(this.#world, faults);
    const end = new AbortController();
    const looking = this.#lookUntil(end.signal);
    const progress = this.#progress(faults);
    const deps = { world: this.#world, prepared, disturbed: this.#disturbed, say, progress };
    const applied = faults.map(async (fault) => {
      await apply(fault, deps);
      if (losesLedger(fault) && fault.kind !== "cut") this.#records.forget(fault.region);
    });
    const all = await Promise.allSettled([...applied, this.#closeSome(seed), progress]);
    end.abort();
    await looking;
    for (const one of all) if (one.status === "rejected") throw one.reason;
    await this.#everythingUp();
    const healS = await this.#becomeEqual(`schedule ${seed}`);
    const { lost, gone } = await this.#records.compare(faults);
    this.#lost.push(...lost.map((what) => `schedule ${seed}: ${what}`));
    this.#gone += gone;
    say(`  equal after ${healS} s, ${this.#records.count} records`);
    const problems = this.#problems().filter((problem) => !this.#said.has(problem));
    for (const problem of problems) this.#said.add(problem);
    for (const problem of problems.slice(0, SAID_MAX)) say(`  ${problem}`);
    if (problems.length > 0) say(`  FAILED; again with: npm run faults -- --schedules 1 --from ${seed}`);
  }

  /** Everything that went wrong so far. */
  #problems(): string[] {
    const { closedWrongly, refused } = this.#watch;
    return [
      ...[...closedWrongly].map((what) => `closed although it listens: ${what}`),
      ...refused.map((what) => `a read was refused: ${what}`),
      ...this.#lost.map((what) => `lost: ${what}`),
      ...this.#unequal.map((what) => `unequal: ${what}`),
      ...this.#refusedReports.map((what) => `reports were refused: ${what}`),
    ];
  }

  async #lookUntil(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#records.look();
      await delay(500, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Waits until every region whose own parts run has accepted something from its scanners since the faults began. */
  async #progress(faults: readonly Fault[]): Promise<void> {
    const touched = new Set(faults.flatMap((fault) => (fault.kind === "cut" || touches(fault).length === 0 ? [] : [fault.region])));
    const waiting = new Map<RegionName, string | null>();
    await delay(Math.max(...faults.map(({ atMs }) => atMs)));
    for (const region of REGIONS) if (!touched.has(region)) waiting.set(region, await this.#records.ownEnd(region));
    const deadlineMs = performance.now() + PROGRESS_MS_MAX;
    while (waiting.size > 0 && performance.now() < deadlineMs) {
      await this.#jobs.start([...waiting.keys()]);
      await delay(200);
      for (const [region, end] of waiting) if ((await this.#records.ownEnd(region)) !== end) waiting.delete(region);
    }
    for (const region of waiting.keys())
      this.#refusedReports.push(`${region}: nothing was accepted within ${PROGRESS_MS_MAX} ms (${faults.map(nameOf).join(", ")})`);
  }

  async #closeSome(seed: number): Promise<void> {
    const { playground } = this.#world;
    const next = xorshift32(seed + 1);
    await delay(next() % 2_000);
    // Enough have to stay for the brake to let closings pass.
    if (this.#mustBeOpen.size < 60) return;
    const closing = choose([...this.#mustBeOpen], CLOSED_EACH, next);
    for (const key of closing) this.#mustBeOpen.delete(key);
    await playground.close(closing.map(pairOf));
  }

  async #everythingUp(): Promise<void> {
    for (const { children } of this.#world.regions.regions) for (const child of children) await child.ready(60_000);
  }

  /** Seconds until all regions hold the same and say the same. */
  async #becomeEqual(what: string): Promise<number> {
    const startedMs = performance.now();
    const problem = await this.#registers.becomeEqual(EQUAL_MS_MAX);
    if (problem !== null) this.#unequal.push(`${what}: ${problem.slice(0, 2_000)}`);
    const healS = seconds(startedMs);
    this.#healS.push(healS);
    return healS;
  }

  /** Two jobs without faults, then each register against the truth: what is dead is closed by then. */
  async #settle(): Promise<string[]> {
    for (let round = 0; round < 2; round += 1) if (!(await this.#jobs.runShared())) return ["a job without faults did not become complete"];
    await this.#becomeEqual("at the end");
    return this.#registers.differences();
  }
}

/** Seconds since then, to tenths. */
function seconds(sinceMs: number): number {
  return Math.round((performance.now() - sinceMs) / 100) / 10;
}

/** The value below which this part of the list lies; 0 for an empty list. Rounded to tenths. */
function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) * 10) / 10;
}
