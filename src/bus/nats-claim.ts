import type { Consumer, ConsumerMessages, JsMsg } from "@nats-io/jetstream";
import { PortolanError } from "../core/errors.ts";
import type { Claim, ClaimOptions } from "./bus.ts";

const ACK_TIMEOUT_MS = 3_000;
/** The server refuses shorter pulls. */
const PULL_MIN_MS = 1_000;
/** How long after the server's own end of a pull we give up on it: it may have died meanwhile. */
const PULL_GRACE_MS = 1_500;

/** Pulls one message of a durable; null when none came in time or `signal` aborted. */
export async function claimNext(consumer: Consumer, { waitMs, signal }: ClaimOptions): Promise<Claim | null> {
  if (signal?.aborted) return null;
  const expires = Math.max(PULL_MIN_MS, waitMs);
  const messages = await consumer.fetch({ max_messages: 1, expires });
  const close = (): void => void messages.close().catch(() => undefined);
  const timer = setTimeout(close, expires + PULL_GRACE_MS);
  signal?.addEventListener("abort", close, { once: true });
  // The abort may have come while the pull was on its way.
  if (signal?.aborted) close();
  try {
    return await first(messages);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", close);
    close();
  }
}

async function first(messages: ConsumerMessages): Promise<Claim | null> {
  for await (const message of messages) return claimOf(message);
  return null;
}

function claimOf(message: JsMsg): Claim {
  return {
    subject: message.subject,
    data: message.data,
    deliveryCount: message.info.deliveryCount,
    working: () => quietly(() => message.working()),
    nak: (delayMs) => quietly(() => message.nak(delayMs)),
    ack: async () => {
      const done = await message.ackAck({ timeout: ACK_TIMEOUT_MS }).catch((error: unknown) => {
        throw new PortolanError("unavailable", `NATS did not confirm the end of ${message.subject}`, { cause: error });
      });
      if (!done) throw new PortolanError("unavailable", `NATS did not confirm the end of ${message.subject}`);
    },
  };
}

/** While the connection is closed the client throws; the ack wait then gives the message to the next claimer. */
function quietly(call: () => void): void {
  try {
    call();
  } catch {
    // Nothing is lost: see above.
  }
}
