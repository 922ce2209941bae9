import { ACK_PENDING_MAX, ACK_WAIT_MS, DUPLICATE_WINDOW_MS } from "../../src/bus/bus.ts";
import { subjectMatches } from "../../src/bus/memory.ts";
import type { Simulation } from "./engine.ts";

/** A message of the queue; `delivery` counts how often it was handed out. */
export type Entry = { readonly subject: string; readonly data: Uint8Array; delivery: number; hiddenUntilMs: number; isOut: boolean };

type Waiter = { readonly filter: string; readonly untilMs: number; readonly take: (entry: Entry) => void };

/** One region's work queue on a simulated server. */
export class WorkQueue {
  readonly claimers = new Set<string>();
  readonly #simulation: Simulation;
  readonly #entries = new Set<Entry>();
  readonly #ids = new Map<string, number>();
  #waiters: Waiter[] = [];

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  add(message: { readonly subject: string; readonly data: Uint8Array; readonly id: string }): { duplicate: boolean } {
    const { nowMs } = this.#simulation;
    const knownUntilMs = this.#ids.get(message.id) ?? -1;
    if (knownUntilMs > nowMs) return { duplicate: true };
    this.#ids.set(message.id, nowMs + DUPLICATE_WINDOW_MS);
    this.#entries.add({ subject: message.subject, data: message.data.slice(), delivery: 0, hiddenUntilMs: 0, isOut: false });
    this.#look();
    return { duplicate: false };
  }

  subjects(filter: string): string[] {
    return [...new Set([...this.#entries].map((entry) => entry.subject).filter((subject) => subjectMatches(filter, subject)))].toSorted();
  }

  purge(subject: string): number {
    const gone = [...this.#entries].filter((entry) => entry.subject === subject);
    for (const entry of gone) this.#entries.delete(entry);
    return gone.length;
  }

  /** Hands the next fitting message to `take`, now or until `untilMs`; the returned function ends the waiting. */
  claim(filter: string, untilMs: number, take: (entry: Entry) => void): () => void {
    const waiter = { filter, untilMs, take };
    this.#waiters.push(waiter);
    this.#look();
    return () => {
      this.#waiters = this.#waiters.filter((other) => other !== waiter);
    };
  }

  working(entry: Entry, delivery: number): void {
    if (entry.delivery === delivery && entry.isOut) this.#hide(entry, ACK_WAIT_MS);
  }

  /** Also late: there is no fencing. */
  ack(entry: Entry): void {
    this.#entries.delete(entry);
    this.#look();
  }

  nak(entry: Entry, delivery: number, delayMs: number): void {
    if (entry.delivery !== delivery) return;
    entry.isOut = false;
    this.#hide(entry, delayMs);
  }

  /** A server that was killed: it may hand out again what is out, or believe for ever that it is out. */
  forget(): void {
    const { random } = this.#simulation;
    for (const entry of this.#entries) {
      if (!entry.isOut) continue;
      if (random.chance(0.3)) entry.hiddenUntilMs = Infinity;
      else if (random.chance(0.5)) entry.hiddenUntilMs = 0;
    }
    this.#waiters = [];
  }

  #hide(entry: Entry, forMs: number): void {
    entry.hiddenUntilMs = this.#simulation.nowMs + forMs;
    this.#simulation.after(forMs, null, "queue", () => this.#look());
  }

  #look(): void {
    const { nowMs } = this.#simulation;
    this.#waiters = this.#waiters.filter((waiter) => {
      if (waiter.untilMs <= nowMs) return false;
      const own = [...this.#entries].filter((entry) => subjectMatches(waiter.filter, entry.subject));
      if (own.filter((entry) => entry.isOut && entry.hiddenUntilMs > nowMs).length >= ACK_PENDING_MAX) return true;
      const entry = own.find((candidate) => candidate.hiddenUntilMs <= nowMs);
      if (entry === undefined) return true;
      entry.delivery += 1;
      entry.isOut = true;
      this.#hide(entry, ACK_WAIT_MS);
      waiter.take(entry);
      return false;
    });
  }
}
