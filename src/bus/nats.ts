import { readFileSync } from "node:fs";
import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  jetstream,
  jetstreamManager,
  type Consumer,
  type JetStreamClient,
  type JetStreamManager,
} from "@nats-io/jetstream";
import { connect, nanos, nkeyAuthenticator, type Msg, type NatsConnection } from "nats";
import { PortolanError } from "../core/errors.ts";
import { ACK_PENDING_MAX, ACK_WAIT_MS, DUPLICATE_WINDOW_MS, type Bus, type Message, type Subscription } from "./bus.ts";
import { claimNext } from "./nats-claim.ts";
import { ALL_SHARDS, inboxPrefix, scannerShards, shardsDurable, shardsStream } from "./names.ts";

/** How to reach a region's NATS server. */
export type NatsOptions = {
  /** `nats://host:port` or `tls://host:port`. */
  readonly url: string;
  /** Name of this client: its replies go to its own inbox subjects. A scanner uses its scanner name. */
  readonly client: string;
  /** nkey seed; without it the server has to let anybody in (tests). */
  readonly seed?: string;
  /** Certificate authority of the server, a PEM file. */
  readonly caFile?: string;
  /** Receives what a person should know: connection lost, connection back, refused rights. */
  readonly onStatus?: (text: string) => void;
  /** Ack wait of durables that this client creates; default `ACK_WAIT_MS`. */
  readonly ackWaitMs?: number;
};

const CALL_TIMEOUT_MS = 3_000;
const QUEUE_MESSAGES_MAX = 100_000;
const QUEUE_BYTES_MAX = 1024 ** 3;
/** Repeats of one subject that a purge removes at once; there is hardly ever a second. */
const REMOVED_MAX = 100;
const QUEUED_LISTED_MAX = 10_000;
const NOT_FOUND = 404;
const STREAM_NAME_IN_USE = 10_058;

/**
 * Connects to NATS (server 2.9 or newer) and reconnects for ever afterwards.
 * Throws `PortolanError("unavailable")` when the first connection cannot be made within 3 s: callers retry with back-off.
 */
export async function connectNats(options: NatsOptions): Promise<Bus> {
  const connection = await open(options);
  const state = { connected: true };
  void watch(connection, state, options.onStatus ?? (() => undefined));
  const js = jetstream(connection, { timeout: CALL_TIMEOUT_MS });
  // checkAPI would need rights that only an administrator has.
  const manager = await jetstreamManager(connection, { checkAPI: false, timeout: CALL_TIMEOUT_MS });
  const online = (): void => {
    if (!state.connected) throw new PortolanError("unavailable", `NATS at ${options.url} is not reachable at the moment`);
  };
  return {
    ...talk(connection, state, online),
    ...queueAdmin(manager, options, online),
    ...queueUse(js, manager, online),
    ...ending(connection, state),
  };
}

async function open(options: NatsOptions): Promise<NatsConnection> {
  try {
    return await connect({
      servers: options.url,
      name: options.client,
      inboxPrefix: inboxPrefix(options.client),
      // A dead peer is noticed after 10 s; the defaults (2 min, 20 s) slow healing.
      pingInterval: 5_000,
      maxPingOut: 2,
      timeout: CALL_TIMEOUT_MS,
      maxReconnectAttempts: -1,
      reconnectTimeWait: 250,
      reconnectJitter: 250,
      reconnectJitterTLS: 250,
      ignoreClusterUpdates: true,
      // Without these a first refusal of rights or of the key would end the client for good.
      ignoreAuthErrorAbort: true,
      ...(options.seed === undefined ? {} : { authenticator: nkeyAuthenticator(Buffer.from(options.seed, "utf8")) }),
      ...(options.caFile === undefined ? {} : { tls: { ca: readFileSync(options.caFile, "utf8") } }),
    });
  } catch (error) {
    throw new PortolanError(
      "unavailable",
      `cannot connect to NATS at ${options.url}: ${text(error)}; is the server running, and does it know this key?`,
      {
        cause: error,
      },
    );
  }
}

/** Follows the connection's own news until it is closed; never throws. */
async function watch(connection: NatsConnection, state: { connected: boolean }, tell: (text: string) => void): Promise<void> {
  for await (const status of connection.status()) {
    if (status.type === "disconnect" || status.type === "staleConnection") {
      if (state.connected) tell("the connection to NATS is lost; trying again");
      state.connected = false;
    } else if (status.type === "reconnect") {
      state.connected = true;
      tell("the connection to NATS is back");
    } else if (status.type === "error") {
      tell(`NATS refused something: ${text(status.error)}`);
    }
  }
  state.connected = false;
}

type Talk = Pick<Bus, "request" | "serve" | "publish" | "subscribe">;

function talk(connection: NatsConnection, state: { connected: boolean }, online: () => void): Talk {
  return {
    request: async (subject, data, { timeoutMs }) => {
      online();
      return guard(`request to ${subject}`, async () => (await connection.request(subject, data, { timeout: timeoutMs })).data);
    },
    serve: (subject, { queue, handler }) => listen(connection, subject, queue, (message) => void answer(message, handler)),
    publish: (subject, data) => {
      // The client would buffer without a bound while the server is away.
      if (state.connected && !connection.isClosed()) connection.publish(subject, data);
    },
    subscribe: (subject, handler) => listen(connection, subject, undefined, handler),
  };
}

function listen(connection: NatsConnection, subject: string, queue: string | undefined, handler: (message: Msg) => void): Subscription {
  const subscription = connection.subscribe(subject, {
    ...(queue === undefined ? {} : { queue }),
    callback: (error, message) => {
      if (error === null) handler(message);
    },
  });
  return {
    stop: () => {
      if (!connection.isClosed()) subscription.unsubscribe();
    },
  };
}

async function answer(message: Msg, handler: (message: Message) => Promise<Uint8Array>): Promise<void> {
  try {
    message.respond(await handler({ subject: message.subject, data: message.data }));
  } catch {
    // Unanswered: the asker runs into its time-out and asks again.
  }
}

type QueueAdmin = Pick<Bus, "ensureWorkQueue" | "ensureClaimer" | "removeClaimer">;

function queueAdmin(manager: JetStreamManager, options: NatsOptions, online: () => void): QueueAdmin {
  return {
    ensureWorkQueue: async (region) => {
      online();
      const settings = {
        subjects: [ALL_SHARDS],
        discard: DiscardPolicy.New,
        max_msgs: QUEUE_MESSAGES_MAX,
        max_bytes: QUEUE_BYTES_MAX,
        duplicate_window: nanos(DUPLICATE_WINDOW_MS),
      };
      await guard(`setting up ${shardsStream(region)}`, async () => {
        try {
          await manager.streams.add({
            name: shardsStream(region),
            retention: RetentionPolicy.Workqueue,
            storage: StorageType.File,
            ...settings,
          });
        } catch (error) {
          if (!(error instanceof JetStreamApiError) || error.code !== STREAM_NAME_IN_USE) throw error;
          await manager.streams.update(shardsStream(region), settings);
        }
      });
    },
    ensureClaimer: async (region, scanner) => {
      online();
      await guard(`setting up the queue of scanner ${scanner}`, () =>
        manager.consumers.add(shardsStream(region), {
          durable_name: shardsDurable(scanner),
          filter_subject: scannerShards(scanner),
          ack_policy: AckPolicy.Explicit,
          deliver_policy: DeliverPolicy.All,
          ack_wait: nanos(options.ackWaitMs ?? ACK_WAIT_MS),
          max_ack_pending: ACK_PENDING_MAX,
        }),
      );
    },
    removeClaimer: async (region, scanner) => {
      online();
      await guard(`removing the queue of scanner ${scanner}`, async () => {
        try {
          await manager.consumers.delete(shardsStream(region), shardsDurable(scanner));
        } catch (error) {
          if (!isNotFound(error)) throw error;
        }
      });
    },
  };
}

type QueueUse = Pick<Bus, "enqueue" | "queued" | "purge" | "claim">;

function queueUse(js: JetStreamClient, manager: JetStreamManager, online: () => void): QueueUse {
  const consumers = new Map<string, Consumer>();
  return {
    enqueue: async (region, { subject, data, id }) => {
      online();
      const settings = { msgID: id, timeout: CALL_TIMEOUT_MS, expect: { streamName: shardsStream(region) } };
      return guard(`putting ${subject} on the queue`, async () => ({ duplicate: (await js.publish(subject, data, settings)).duplicate }));
    },
    queued: async (region, filter) => {
      online();
      return guard(`listing ${filter}`, async () => {
        const info = await manager.streams.info(shardsStream(region), { subjects_filter: filter });
        return Object.keys(info.state.subjects ?? {})
          .toSorted()
          .slice(0, QUEUED_LISTED_MAX);
      });
    },
    purge: async (region, subject) => {
      if (/[*>]/.test(subject))
        throw new PortolanError("invalid", `"${subject}" is no exact subject; purging by wildcard would take others' work`);
      online();
      return guard(`purging ${subject}`, () => removeEach(manager, shardsStream(region), subject));
    },
    claim: async (region, scanner, wanted) => {
      online();
      const name = `${region}/${scanner}`;
      return guard(`claiming work of ${scanner}`, async () => {
        try {
          const consumer = consumers.get(name) ?? (await js.consumers.get(shardsStream(region), shardsDurable(scanner)));
          consumers.set(name, consumer);
          return await claimNext(consumer, wanted);
        } catch (error) {
          consumers.delete(name);
          throw error;
        }
      });
    },
  };
}

/**
 * Removes messages one by one: a purge by subject makes nats-server 2.9.10 move the durable beyond the purged message, so
 * that earlier messages for the same scanner would lie in the stream for ever.
 */
async function removeEach(manager: JetStreamManager, stream: string, subject: string): Promise<number> {
  for (let removed = 0; removed < REMOVED_MAX; removed += 1) {
    const message = await manager.streams.getMessage(stream, { last_by_subj: subject });
    if (message === null) return removed;
    await manager.streams.deleteMessage(stream, message.seq, false);
  }
  return REMOVED_MAX;
}

function ending(connection: NatsConnection, state: { connected: boolean }): Pick<Bus, "connected" | "close"> {
  return {
    connected: () => state.connected && !connection.isClosed(),
    close: async () => {
      if (connection.isClosed()) return;
      const inTime = new Promise((resolve) => setTimeout(resolve, CALL_TIMEOUT_MS).unref());
      // Draining waits for ever while the server is away.
      if (state.connected) await Promise.race([connection.drain().catch(() => undefined), inTime]);
      await connection.close();
    },
  };
}

async function guard<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof PortolanError) throw error;
    throw new PortolanError("unavailable", `NATS: ${what} failed: ${text(error)}`, { cause: error });
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.status === NOT_FOUND;
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
