import { DeliverPolicy, jetstream, jetstreamManager, type Consumer, type ConsumerMessages } from "@nats-io/jetstream";
import type { NatsConnection } from "nats";
import { CALL_TIMEOUT_MS, ending, guard, type NatsOptions, openLink } from "./nats-link.ts";
import { stateOf } from "./nats-log.ts";
import { resultsStream } from "./names.ts";
import type { LogMessage, PeerLink } from "./peer.ts";

/** How to reach another region's server; `client` is `peerClient` of the own region. */
export type PeerOptions = NatsOptions & { readonly region: string };

/** Messages under way at most: some 32 MB, as parts go. A bound in bytes makes the client stall at the first message that does not fit into a refill. */
const MESSAGES_MAX = 64;
const PULL_MS = 5_000;
const HEARTBEAT_MS = 1_000;

/** After one of these the server has forgotten us, or we may not know that it has. */
const ENDS: ReadonlySet<string> = new Set([
  "heartbeats_missed",
  "consumer_deleted",
  "consumer_not_found",
  "stream_not_found",
  "no_responders",
  "exceeded_limits",
]);

/**
 * Connects to another region's NATS server, with no more rights than `natsServerConfig` gives a peer, and reconnects for ever
 * afterwards. Throws `PortolanError("unavailable")` when the first connection cannot be made within 3 s: callers retry with back-off.
 */
export async function connectPeer(options: PeerOptions): Promise<PeerLink> {
  const link = await openLink(options);
  const { connection, online } = link;
  const { region } = options;
  const stream = resultsStream(region);
  const js = jetstream(connection, { timeout: CALL_TIMEOUT_MS });
  // checkAPI would need rights that a peer does not have.
  const manager = await jetstreamManager(connection, { checkAPI: false, timeout: CALL_TIMEOUT_MS });
  return {
    region,
    streamState: async () => {
      online();
      return guard(`looking at ${stream}`, async () => stateOf(await manager.streams.info(stream)));
    },
    follow: ({ fromSeq, signal }) => {
      const open = (): Promise<Consumer> =>
        guard(`following ${stream}`, async () => {
          online();
          return js.consumers.get(stream, { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Math.max(1, fromSeq) });
        });
      return follow(connection, open, signal);
    },
    request: async (subject, data, { timeoutMs }) => {
      online();
      return guard(`request to ${subject}`, async () => (await connection.request(subject, data, { timeout: timeoutMs })).data);
    },
    ...ending(link),
  };
}

async function* follow(connection: NatsConnection, open: () => Promise<Consumer>, signal: AbortSignal): AsyncGenerator<LogMessage> {
  if (signal.aborted) return;
  const consumer = await open();
  const messages = await guard("following", () =>
    consumer.consume({ max_messages: MESSAGES_MAX, expires: PULL_MS, idle_heartbeat: HEARTBEAT_MS }),
  );
  const stop = (): void => messages.stop();
  const unwatch = watchLoss(connection, messages, stop);
  signal.addEventListener("abort", stop, { once: true });
  try {
    // The abort may have come while the consumer was made.
    if (signal.aborted) return;
    for await (const { seq, data } of messages) {
      if (signal.aborted) return;
      yield { seq, data };
    }
  } finally {
    signal.removeEventListener("abort", stop);
    unwatch();
    stop();
    // Else the server forgets it after a while by itself.
    if (!connection.isClosed()) void consumer.delete().catch(() => undefined);
  }
}

/** Stops when the connection or the server's side of the consumer is lost: the library would try to go on by rights that a peer lacks. */
function watchLoss(connection: NatsConnection, messages: ConsumerMessages, stop: () => void): () => void {
  const [own, whole] = [messages.status(), connection.status()];
  const until = async (news: AsyncIterable<{ type: string }>, isEnd: (type: string) => boolean): Promise<void> => {
    for await (const { type } of news) if (isEnd(type)) return stop();
  };
  void until(own, (type) => ENDS.has(type));
  void until(whole, (type) => type === "disconnect" || type === "staleConnection");
  return () => {
    for (const news of [own, whole]) if ("stop" in news && typeof news.stop === "function") news.stop();
  };
}
