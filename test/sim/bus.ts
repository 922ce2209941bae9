import type { Bus, Claim, Message } from "../../src/bus/bus.ts";
import { subjectMatches } from "../../src/bus/memory.ts";
import { createMemoryLog, type MemoryLog } from "../../src/bus/memory-log.ts";
import { scannerShards } from "../../src/bus/names.ts";
import { PortolanError } from "../../src/core/errors.ts";
import type { Simulation, SimProcess } from "./engine.ts";
import { type Entry, WorkQueue } from "./queue.ts";

type Listener = {
  readonly owner: SimProcess;
  readonly subject: string;
  readonly queue: string | null;
  readonly handler: (message: Message) => Promise<Uint8Array> | void;
};

/** How a simulated network treats messages; all chances from 0 to 1. */
export type NetworkFaults = { lose: number; repeat: number; delay: number };

const CALL_TIMEOUT_MS = 5_000;

/** A message server with one queue for each region, and the network to it. Its clients see what `Bus` promises, and no more. */
export class SimulatedServer {
  readonly faults: NetworkFaults = { lose: 0, repeat: 0, delay: 0 };
  up = true;
  /** Sees the reply to each request when it is made, whether or not it arrives. */
  onReply: (request: Message, reply: Uint8Array) => void = () => {};
  readonly #simulation: Simulation;
  readonly #listeners = new Set<Listener>();
  readonly #queues = new Map<string, WorkQueue>();
  readonly #logs = new Map<string, MemoryLog>();

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** It is killed and comes back after a while. */
  restart(afterMs: number): void {
    this.up = false;
    for (const queue of this.#queues.values()) queue.forget();
    this.#simulation.after(afterMs, null, "server up", () => {
      this.up = true;
      this.#simulation.note("the message server is back");
    });
  }

  /** Its disk is lost: streams, durables and messages are gone. */
  wipe(): void {
    this.#queues.clear();
    this.#logs.clear();
  }

  connect(owner: SimProcess): Bus {
    const listen = (listener: Listener): { stop(): void } => {
      this.#listeners.add(listener);
      owner.onDeath.push(() => this.#listeners.delete(listener));
      return { stop: () => void this.#listeners.delete(listener) };
    };
    const onQueue = <T>(label: string, region: string, act: (queue: WorkQueue) => T): Promise<T> =>
      this.#call(owner, label, () => act(this.#queueOf(region)));
    const onLog = <T>(label: string, region: string, act: (log: MemoryLog) => T): Promise<T> =>
      this.#call(owner, label, () => {
        const log = this.#logs.get(region);
        if (log === undefined) throw unavailable(`the region "${region}" has no log stream`);
        return act(log);
      });
    return {
      request: (subject, data, { timeoutMs }) => this.#request(owner, { subject, data: data.slice() }, timeoutMs),
      serve: (subject, { queue, handler }) => listen({ owner, subject, queue, handler }),
      publish: (subject, data) => this.#publish(owner, { subject, data: data.slice() }),
      subscribe: (subject, handler) => listen({ owner, subject, queue: null, handler }),
      ensureWorkQueue: (region) =>
        this.#call(owner, "ensureWorkQueue", () => {
          if (!this.#queues.has(region)) this.#queues.set(region, new WorkQueue(this.#simulation));
        }),
      ensureClaimer: (region, scanner) => onQueue("ensureClaimer", region, (queue) => void queue.claimers.add(scanner)),
      removeClaimer: (region, scanner) => onQueue("removeClaimer", region, (queue) => void queue.claimers.delete(scanner)),
      enqueue: (region, message) => onQueue("enqueue", region, (queue) => queue.add(message)),
      queued: (region, filter) => onQueue("queued", region, (queue) => queue.subjects(filter)),
      purge: (region, subject) => onQueue("purge", region, (queue) => queue.purge(subject)),
      claim: (region, scanner, options) => this.#claim(owner, { region, scanner, ...options }),
      ensureLogStream: (region, limits = {}) =>
        this.#call(owner, "ensureLogStream", () => {
          const log = this.#logs.get(region) ?? createMemoryLog(() => this.#simulation.nowMs);
          log.limit(limits);
          this.#logs.set(region, log);
        }),
      logStreamState: (region) => onLog("logStreamState", region, (log) => log.state()),
      publishRecord: (region, message) => onLog("publishRecord", region, (log) => log.publish(message)),
      raiseLogStream: (region, seq) => onLog("raiseLogStream", region, (log) => log.raise(seq)),
      connected: () => this.up,
      close: async () => {
        for (const listener of this.#listeners) if (listener.owner === owner) this.#listeners.delete(listener);
      },
    };
  }

  #queueOf(region: string): WorkQueue {
    const queue = this.#queues.get(region);
    if (queue === undefined) throw unavailable(`the region "${region}" has no work queue`);
    return queue;
  }

  #latencyMs(): number {
    const { random } = this.#simulation;
    return random.chance(this.faults.delay) ? this.#simulation.between(0, 8_000) : this.#simulation.between(0.1, 5);
  }

  /** A request to the server itself. It may be lost on its way there, or its answer on the way back. */
  #call<T>(owner: SimProcess, label: string, effect: () => T): Promise<T> {
    const simulation = this.#simulation;
    return new Promise((resolve, reject) => {
      if (!owner.alive) return;
      const fail = (): void => reject(unavailable(`${label}: the message server does not answer`));
      const late = simulation.after(CALL_TIMEOUT_MS, owner, "bus time-out", fail);
      simulation.after(this.#latencyMs(), owner, label, () => {
        if (!this.up || simulation.random.chance(this.faults.lose) || simulation.crashes(owner, label, "before")) return;
        let act: () => void;
        try {
          const value = effect();
          act = () => resolve(value);
        } catch (error) {
          act = () => reject(error instanceof Error ? error : new Error(String(error)));
        }
        if (simulation.random.chance(this.faults.lose) || simulation.crashes(owner, label, "after")) return;
        simulation.after(this.#latencyMs(), owner, `${label} answered`, () => {
          late.cancel();
          act();
        });
      });
    });
  }

  #request(owner: SimProcess, message: Message, timeoutMs: number): Promise<Uint8Array> {
    const simulation = this.#simulation;
    const label = `request ${message.subject}`;
    return new Promise((resolve, reject) => {
      if (!owner.alive) return;
      simulation.after(timeoutMs, owner, "request time-out", () =>
        reject(unavailable(`no answer on ${message.subject} within ${timeoutMs} ms`)),
      );
      if (simulation.crashes(owner, label, "before")) return;
      for (let copies = this.#copies(); copies > 0; copies -= 1) {
        const listener = this.#listenerFor(message.subject);
        if (listener === undefined) {
          simulation.after(this.#latencyMs(), owner, "nobody", () => reject(unavailable(`nobody answers on ${message.subject}`)));
          return;
        }
        simulation.after(this.#latencyMs(), listener.owner, label, () => {
          if (!this.#listeners.has(listener)) return;
          void Promise.resolve(listener.handler(message))
            .then((reply) => {
              if (reply === undefined || !listener.owner.alive) return;
              this.onReply(message, reply);
              if (simulation.crashes(listener.owner, `reply ${message.subject}`, "after") || this.#copies() === 0) return;
              simulation.after(this.#latencyMs(), owner, "reply", () => resolve(reply));
            })
            .catch((error: unknown) => simulation.note(`${listener.owner.name} leaves a request unanswered: ${String(error)}`));
        });
      }
    });
  }

  #listenerFor(subject: string): Listener | undefined {
    const able = [...this.#listeners].filter(({ queue, subject: filter }) => queue !== null && subjectMatches(filter, subject));
    return able.length === 0 ? undefined : this.#simulation.random.pick(able);
  }

  #publish(owner: SimProcess, message: Message): void {
    if (!owner.alive) return;
    for (const listener of this.#listeners) {
      if (listener.queue !== null || !subjectMatches(listener.subject, message.subject)) continue;
      for (let copies = this.#copies(); copies > 0; copies -= 1) {
        this.#simulation.after(this.#latencyMs(), listener.owner, `publish ${message.subject}`, () => {
          if (this.#listeners.has(listener)) void listener.handler(message);
        });
      }
    }
  }

  /** How often a message arrives. */
  #copies(): number {
    const { random } = this.#simulation;
    if (!this.up || random.chance(this.faults.lose)) return 0;
    return random.chance(this.faults.repeat) ? 2 : 1;
  }

  async #claim(
    owner: SimProcess,
    wanted: { readonly region: string; readonly scanner: string; readonly waitMs: number; readonly signal?: AbortSignal },
  ): Promise<Claim | null> {
    const { region, scanner, waitMs, signal } = wanted;
    const simulation = this.#simulation;
    const queue = await this.#call(owner, "claim", () => {
      const found = this.#queueOf(region);
      if (!found.claimers.has(scanner)) throw unavailable(`scanner "${scanner}" has no queue in region "${region}"`);
      return found;
    });
    if (signal?.aborted === true) return null;
    return new Promise((resolve) => {
      const finish = (claim: Claim | null): void => {
        late.cancel();
        stop();
        signal?.removeEventListener("abort", abort);
        resolve(claim);
      };
      const abort = (): void => finish(null);
      const late = simulation.after(waitMs, owner, "no claim", abort);
      const stop = queue.claim(scannerShards(scanner), simulation.nowMs + waitMs, (entry) => {
        const { delivery } = entry;
        // It may get lost, and is then out until the ack wait ends.
        if (this.#copies() === 0) return;
        simulation.after(this.#latencyMs(), owner, `claimed ${entry.subject}`, () =>
          finish(this.#claimOf(owner, { region, queue, entry, delivery })),
        );
      });
      owner.onDeath.push(stop);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  #claimOf(owner: SimProcess, taken: { region: string; queue: WorkQueue; entry: Entry; delivery: number }): Claim {
    const { region, queue, entry, delivery } = taken;
    const quietly = (label: string, act: () => void): void => {
      if (!owner.alive || this.#copies() === 0) return;
      this.#simulation.after(this.#latencyMs(), null, label, () => {
        if (this.#queues.get(region) === queue) act();
      });
    };
    return {
      subject: entry.subject,
      data: entry.data.slice(),
      deliveryCount: delivery,
      working: () => quietly("working", () => queue.working(entry, delivery)),
      nak: (delayMs) => quietly("nak", () => queue.nak(entry, delivery, delayMs)),
      ack: () =>
        this.#call(owner, `ack ${entry.subject}`, () => {
          if (this.#queues.get(region) === queue) queue.ack(entry);
        }),
    };
  }
}

function unavailable(problem: string): PortolanError {
  return new PortolanError("unavailable", problem);
}
