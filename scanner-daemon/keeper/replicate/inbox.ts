import type { LogMessage } from "../../../src/bus/peer.ts";

/** What may wait while a transaction is in flight; beyond it the reading waits. */
const WAITING_MESSAGES_MAX = 512;
const WAITING_BYTES_MAX = 8_000_000;
/** What is handed out at one time. */
const BATCH_MESSAGES_MAX = 256;
const BATCH_BYTES_MAX = 4_000_000;

/** A bounded queue between the reading of a peer's stream and the transactions: what came in the meantime is applied together. */
export type Inbox = {
  /** Resolves when there is room for more, or when the inbox is closed. */
  put(message: LogMessage): Promise<void>;
  /** What waits, at least one; empty when it is closed and nothing waits. */
  take(): Promise<LogMessage[]>;
  close(): void;
};

/** For one writer and one reader. */
export function createInbox(): Inbox {
  const waiting: LogMessage[] = [];
  let bytes = 0;
  let closed = false;
  let wakeWriter = (): void => undefined;
  let wakeReader = (): void => undefined;
  const isFull = (): boolean => waiting.length >= WAITING_MESSAGES_MAX || bytes >= WAITING_BYTES_MAX;
  return {
    put: async (message) => {
      waiting.push(message);
      bytes += message.data.length;
      wakeReader();
      while (isFull() && !closed) await new Promise<void>((resolve) => (wakeWriter = resolve));
    },
    take: async () => {
      while (waiting.length === 0 && !closed) await new Promise<void>((resolve) => (wakeReader = resolve));
      let size = 0;
      const fitting = waiting.findIndex(({ data }, index) => {
        size += data.length;
        return index >= BATCH_MESSAGES_MAX || (index > 0 && size > BATCH_BYTES_MAX);
      });
      const batch = waiting.splice(0, fitting < 0 ? waiting.length : fitting);
      bytes -= batch.reduce((sum, { data }) => sum + data.length, 0);
      wakeWriter();
      return batch;
    },
    close: () => {
      closed = true;
      wakeWriter();
      wakeReader();
    },
  };
}
