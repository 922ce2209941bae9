import { AsyncLocalStorage } from "node:async_hooks";
import type { Random } from "../ledger/history.ts";
import type { Disk } from "./disk.ts";
import type { Place } from "./place.ts";

/** One run of a program on a simulated host. When it has died, nothing that it still tries has any effect. */
export type SimProcess = {
  readonly name: string;
  readonly disk: Disk;
  readonly place: Place;
  alive: boolean;
  pausedUntilMs: number;
  /** Runs code as this process: what it starts belongs to it. */
  as: (run: () => void) => void;
  /** What its clock is ahead of the true time. */
  readonly skewMs: () => number;
  /** Called once when it dies. */
  readonly onDeath: (() => void)[];
  /** What a datagram of its prober sets off. */
  onPoke: (() => void) | null;
  /** Its masscan uses another rate than it is told. */
  stubborn: boolean;
};

/** Something that will happen; may be taken back. */
export type Task = { readonly cancel: () => void };

type Entry = { atMs: number; readonly order: number; readonly owner: SimProcess | null; readonly label: string; run: (() => void) | null };

/** What may kill a process at one of its steps. */
export type CrashRule = (owner: SimProcess, label: string, when: "before" | "after") => boolean;

const START_EPOCH_MS = 1_700_000_000_000;
const STEPS_MAX = 400_000;
const FAST: readonly [number, number] = [0.02, 1];

// Taken before the clock is replaced.
const realSetImmediate = setImmediate;

/**
 * The seeded scheduler: one thing happens at a time, in the order of virtual time, and everything that follows from it in the
 * same moment has ended before the next thing happens. The same seed gives the same run.
 */
export class Simulation {
  readonly random: Random;
  readonly owners = new AsyncLocalStorage<SimProcess>();
  readonly lines: string[] = [];
  nowMs = 0;
  steps = 0;
  /** Grows out of everything that happened: equal for equal runs. */
  digest = 0;
  failure: string | null = null;
  /** How often what is worth counting has happened. */
  readonly counts = new Map<string, number>();
  readonly traced: boolean;
  crashRule: CrashRule = () => false;
  readonly #heap: Entry[] = [];
  #order = 0;

  constructor(random: Random, traced: boolean) {
    this.random = random;
    this.traced = traced;
  }

  /** Virtual time as a clock on the wall shows it. */
  get epochMs(): number {
    return START_EPOCH_MS + Math.floor(this.nowMs);
  }

  note(text: string): void {
    if (this.traced) this.lines.push(`${(this.nowMs / 1_000).toFixed(3).padStart(9)}  ${text}`);
  }

  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** The first failure ends the run. */
  fail(problem: string): void {
    this.note(`FAILURE: ${problem}`);
    this.failure ??= problem;
  }

  between(lowest: number, highest: number): number {
    return lowest + (this.random.below(1_000_000) / 1_000_000) * (highest - lowest);
  }

  /** Lets something happen later, on behalf of a process (or of the world: null). */
  after(delayMs: number, owner: SimProcess | null, label: string, run: () => void): Task {
    const entry: Entry = { atMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, owner, label, run };
    this.#push(entry);
    return {
      cancel: () => {
        entry.run = null;
      },
    };
  }

  /** The process whose code runs now. */
  owner(): SimProcess {
    const owner = this.owners.getStore();
    if (owner === undefined) throw new Error("code of no process reached the simulated world");
    return owner;
  }

  /** One step of the current process: it takes a while, and the process may die before it or right after it. */
  step<T>(label: string, effect: () => T, [lowest, highest]: readonly [number, number] = FAST): Promise<T> {
    const owner = this.owner();
    return new Promise((resolve, reject) => {
      if (!owner.alive) return;
      this.after(this.between(lowest, highest), owner, label, () => {
        if (this.crashes(owner, label, "before")) return;
        let value: T;
        try {
          value = effect();
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
          return;
        }
        if (!this.crashes(owner, label, "after")) resolve(value);
      });
    });
  }

  /** A process as the scheduler runs it: made once, because a context for each step would cost more than the step. */
  contextOf(owner: SimProcess): (run: () => void) => void {
    return this.owners.run(owner, () => AsyncLocalStorage.snapshot());
  }

  /** Asks the rule; true when the process is dead now. */
  crashes(owner: SimProcess, label: string, when: "before" | "after"): boolean {
    if (!owner.alive) return true;
    if (!this.crashRule(owner, label, when)) return false;
    this.note(`${owner.name} dies ${when} ${label}`);
    this.count("crashes within a step");
    this.kill(owner);
    return true;
  }

  kill(owner: SimProcess): void {
    if (!owner.alive) return;
    owner.alive = false;
    for (const act of owner.onDeath.splice(0)) act();
  }

  /** What a paused process has put off comes now, in its order. */
  resume(owner: SimProcess): void {
    const untilMs = owner.pausedUntilMs;
    owner.pausedUntilMs = 0;
    const isPutOff = (entry: Entry): boolean => entry.owner === owner && entry.atMs === untilMs;
    const [putOff, others] = [this.#heap.filter(isPutOff), this.#heap.filter((entry) => !isPutOff(entry))];
    this.#heap.splice(0);
    for (const entry of putOff) entry.atMs = this.nowMs;
    for (const entry of [...others, ...putOff]) this.#push(entry);
  }

  /** Runs until nothing is left before `untilMs`, `done` holds, or something failed. */
  async run(untilMs: number, done: () => boolean = () => false): Promise<void> {
    while (this.failure === null && !done()) {
      const next = this.#heap[0];
      if (next === undefined || next.atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs);
        return;
      }
      this.#pop();
      if (next.run === null || next.owner?.alive === false) continue;
      if (next.owner !== null && next.owner.pausedUntilMs > next.atMs) {
        // Also what had its turn already keeps its order.
        next.atMs = next.owner.pausedUntilMs;
        this.#push(next);
        continue;
      }
      this.nowMs = next.atMs;
      this.steps += 1;
      if (this.steps > STEPS_MAX) this.fail(`no end after ${STEPS_MAX} steps`);
      this.digest = (Math.imul(this.digest ^ (this.nowMs * 1_000), 16_777_619) ^ next.label.length) >>> 0;
      const { run } = next;
      if (next.owner === null) run();
      else next.owner.as(run);
      // Everything that follows without time passing ends here.
      await new Promise((resolve) => realSetImmediate(resolve));
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || !isBefore(entry, above)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let below = heap[child];
      if (below === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, below)) {
        child += 1;
        below = right;
      }
      if (!isBefore(below, last)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** The simulation that runs now; the substitutes for Node's modules and globals find it here. */
let current: Simulation | null = null;

export function enter(simulation: Simulation | null): void {
  current = simulation;
}

export function simulation(): Simulation {
  if (current === null) throw new Error("no simulation runs");
  return current;
}
