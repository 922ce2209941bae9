import { PortolanError } from "../core/errors.ts";
import { ACK_WAIT_MS, DUPLICATE_WINDOW_MS, type Bus, type Message, type Subscription } from "./bus.ts";
import { createMemoryLog, type MemoryLog } from "./memory-log.ts";
import { memoryPeer } from "./memory-peer.ts";
import { createMemoryQueue, type MemoryQueue } from "./memory-queue.ts";
import { scannerShards } from "./names.ts";
import type { PeerLink } from "./peer.ts";

/** A message server inside this process, with the faults that a real one has. */
export type MemoryServer = {
  /** A client of its own. */
  connect(): Bus;
  /** A client of another region's keeper, at this server of `region`. */
  connectPeer(region: string): PeerLink;
  /** The server is gone: every call fails until `start`. Queues stay. */
  stop(): void;
  start(): void;
  /** Loses all queues with their messages and durables, as a lost disk would. */
  wipe(): void;
};

/** Time and its speed can be replaced, so that tests do not depend on the clock. */
export type MemoryOptions = { readonly nowMs?: () => number; readonly ackWaitMs?: number; readonly duplicateWindowMs?: number };

type Listener = {
  readonly subject: string;
  readonly queue: string | null;
  readonly handler: (message: Message) => Promise<Uint8Array> | void;
};

type Core = {
  up: boolean;
  turn: number;
  /** Counts how often the server went away or lost what it stored. */
  life: number;
  readonly listeners: Set<Listener>;
  readonly queues: Map<string, MemoryQueue>;
  readonly logs: Map<string, MemoryLog>;
  readonly options: Required<MemoryOptions>;
};

/** Makes a server that keeps the contract of `Bus` in memory: messages go out in the order in which they came in. */
export function createMemoryServer(options: MemoryOptions = {}): MemoryServer {
  const core: Core = {
    up: true,
    turn: 0,
    life: 0,
    listeners: new Set(),
    queues: new Map(),
    logs: new Map(),
    options: { nowMs: Date.now, ackWaitMs: ACK_WAIT_MS, duplicateWindowMs: DUPLICATE_WINDOW_MS, ...options },
  };
  // Those who follow a log notice.
  const interrupt = (): void => {
    core.life += 1;
    for (const log of core.logs.values()) log.wake();
  };
  return {
    connect: () => connect(core),
    connectPeer: (region) =>
      memoryPeer(
        {
          life: () => core.life,
          up: () => core.up,
          log: (name) => core.logs.get(name),
          ask: (message, timeoutMs) => ask(core, message, timeoutMs),
        },
        region,
      ),
    stop: () => {
      core.up = false;
      interrupt();
    },
    start: () => void (core.up = true),
    wipe: () => {
      for (const queue of core.queues.values()) queue.wake();
      core.queues.clear();
      interrupt();
      core.logs.clear();
    },
  };
}

function connect(core: Core): Bus {
  const own = new Set<Listener>();
  const client = { open: true };
  const online = (): void => {
    if (!core.up || !client.open) throw new PortolanError("unavailable", "the message server is not reachable at the moment");
  };
  const listen = (listener: Listener): Subscription => {
    own.add(listener);
    core.listeners.add(listener);
    return {
      stop: () => {
        own.delete(listener);
        core.listeners.delete(listener);
      },
    };
  };
  return {
    request: async (subject, data, { timeoutMs }) => {
      online();
      return ask(core, { subject, data: data.slice() }, timeoutMs);
    },
    serve: (subject, { queue, handler }) => listen({ subject, queue, handler }),
    publish: (subject, data) => {
      if (core.up && client.open) spread(core, { subject, data: data.slice() });
    },
    subscribe: (subject, handler) => listen({ subject, queue: null, handler }),
    ...queueCalls(core, online),
    ...logCalls(core, online),
    connected: () => core.up && client.open,
    close: async () => {
      client.open = false;
      for (const listener of own) core.listeners.delete(listener);
      own.clear();
    },
  };
}

type QueueCalls = Pick<Bus, "ensureWorkQueue" | "ensureClaimer" | "removeClaimer" | "enqueue" | "queued" | "purge" | "claim">;

function queueCalls(core: Core, online: () => void): QueueCalls {
  const queueOf = (region: string): MemoryQueue => {
    online();
    const queue = core.queues.get(region);
    if (queue === undefined) throw new PortolanError("unavailable", `the region "${region}" has no work queue`);
    return queue;
  };
  return {
    ensureWorkQueue: async (region) => {
      online();
      if (!core.queues.has(region)) core.queues.set(region, createMemoryQueue(core.options));
    },
    ensureClaimer: async (region, scanner) => queueOf(region).claimers.add(scanner) && undefined,
    removeClaimer: async (region, scanner) => void queueOf(region).claimers.delete(scanner),
    enqueue: async (region, message) => queueOf(region).add(message),
    queued: async (region, filter) => queueOf(region).subjects((subject) => subjectMatches(filter, subject)),
    purge: async (region, subject) => {
      if (/[*>]/.test(subject))
        throw new PortolanError("invalid", `"${subject}" is no exact subject; purging by wildcard would take others' work`);
      return queueOf(region).purge(subject);
    },
    claim: async (region, scanner, options) => {
      const queue = queueOf(region);
      if (!queue.claimers.has(scanner)) throw new PortolanError("unavailable", `scanner "${scanner}" has no queue in region "${region}"`);
      return queue.claim((subject) => subjectMatches(scannerShards(scanner), subject), options);
    },
  };
}

type LogCalls = Pick<Bus, "ensureLogStream" | "logStreamState" | "publishRecord" | "raiseLogStream">;

function logCalls(core: Core, online: () => void): LogCalls {
  const logOf = (region: string): MemoryLog => {
    online();
    const log = core.logs.get(region);
    if (log === undefined) throw new PortolanError("unavailable", `the region "${region}" has no log stream`);
    return log;
  };
  return {
    ensureLogStream: async (region, limits = {}) => {
      online();
      const log = core.logs.get(region) ?? createMemoryLog(core.options.nowMs);
      log.limit(limits);
      core.logs.set(region, log);
    },
    logStreamState: async (region) => logOf(region).state(),
    publishRecord: async (region, message) => logOf(region).publish(message),
    raiseLogStream: async (region, seq) => logOf(region).raise(seq),
  };
}

/** Sends to all plain subscribers and to one member of each queue group. */
function spread(core: Core, message: Message): void {
  const groups = new Map<string, Listener[]>();
  for (const listener of core.listeners) {
    if (!subjectMatches(listener.subject, message.subject)) continue;
    if (listener.queue === null) queueMicrotask(() => void listener.handler(message));
    else groups.set(listener.queue, [...(groups.get(listener.queue) ?? []), listener]);
  }
  for (const members of groups.values()) {
    const listener = members[core.turn++ % members.length];
    if (listener) queueMicrotask(() => void Promise.resolve(listener.handler(message)).catch(() => undefined));
  }
}

async function ask(core: Core, message: Message, timeoutMs: number): Promise<Uint8Array> {
  const able = [...core.listeners].filter((listener) => listener.queue !== null && subjectMatches(listener.subject, message.subject));
  const listener = able[core.turn++ % Math.max(1, able.length)];
  if (listener === undefined) throw new PortolanError("unavailable", `nobody answers on ${message.subject}`);
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const fail = (): void => reject(new PortolanError("unavailable", `no answer on ${message.subject} within ${timeoutMs} ms`));
    timer = setTimeout(fail, timeoutMs);
  });
  try {
    // A handler that throws leaves the request unanswered, as on a real server.
    const reply = Promise.resolve(listener.handler(message)).catch(() => late);
    const data = await Promise.race([reply, late]);
    if (!core.up || data === undefined) return await late;
    return data.slice();
  } finally {
    clearTimeout(timer);
  }
}

/** Whether a subject fits a filter with NATS wildcards: `*` is one token, `>` one or more at the end. */
export function subjectMatches(filter: string, subject: string): boolean {
  const wanted = filter.split(".");
  const tokens = subject.split(".");
  for (const [index, part] of wanted.entries()) {
    if (part === ">") return tokens.length > index;
    if (tokens[index] === undefined || (part !== "*" && part !== tokens[index])) return false;
  }
  return tokens.length === wanted.length;
}
