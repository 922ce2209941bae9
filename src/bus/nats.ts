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
import { nanos, type Msg, type NatsConnection } from "nats";
import { PortolanError } from "../core/errors.ts";
import { ACK_PENDING_MAX, ACK_WAIT_MS, DUPLICATE_WINDOW_MS, type Bus, type Message, type Subscription } from "./bus.ts";
import { claimNext } from "./nats-claim.ts";
import { CALL_TIMEOUT_MS, ending, guard, isNotFound, type NatsOptions, openLink } from "./nats-link.ts";
import { logStream, STREAM_NAME_IN_USE } from "./nats-log.ts";
import { ALL_SHARDS, INBOXES, scannerShards, shardsDurable, shardsStream } from "./names.ts";

export type { NatsOptions } from "./nats-link.ts";

/** `NatsOptions`, and for tests what durables are made of. */
export type NatsBusOptions = NatsOptions & {
  /** Ack wait of durables that this client creates; default `ACK_WAIT_MS`. */
  readonly ackWaitMs?: number;
};

const QUEUE_MESSAGES_MAX = 100_000;
const QUEUE_BYTES_MAX = 1024 ** 3;
/** Repeats of one subject that a purge removes at once; there is hardly ever a second. */
const REMOVED_MAX = 100;
const QUEUED_LISTED_MAX = 10_000;

/**
 * Connects to NATS (server 2.9 or newer) and reconnects for ever afterwards.
 * Throws `PortolanError("unavailable")` when the first connection cannot be made within 3 s: callers retry with back-off.
 */
export async function connectNats(options: NatsBusOptions): Promise<Bus> {
  const link = await openLink(options);
  const { connection, state, online } = link;
  const js = jetstream(connection, { timeout: CALL_TIMEOUT_MS });
  // checkAPI would need rights that only an administrator has.
  const manager = await jetstreamManager(connection, { checkAPI: false, timeout: CALL_TIMEOUT_MS });
  return {
    ...talk(connection, state, online),
    ...queueAdmin(manager, options, online),
    ...queueUse(js, manager, online),
    ...logStream(js, manager, online),
    ...ending(link),
  };
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
  // The server does not check where a reply goes to: an asker could have ours put into a stream that it may not write.
  if (message.reply?.startsWith(`${INBOXES}.`) !== true) return;
  try {
    message.respond(await handler({ subject: message.subject, data: message.data }));
  } catch {
    // Unanswered: the asker runs into its time-out and asks again.
  }
}

type QueueAdmin = Pick<Bus, "ensureWorkQueue" | "ensureClaimer" | "removeClaimer">;

function queueAdmin(manager: JetStreamManager, options: NatsBusOptions, online: () => void): QueueAdmin {
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
