import { PortolanError } from "../core/errors.ts";
import type { Message } from "./bus.ts";
import type { MemoryLog } from "./memory-log.ts";
import type { LogMessage, PeerLink } from "./peer.ts";

/** What a link needs of the server in memory. */
export type MemoryPeerServer = {
  /** Changes whenever the server went away or lost what it stored. */
  readonly life: () => number;
  readonly up: () => boolean;
  readonly log: (region: string) => MemoryLog | undefined;
  readonly ask: (message: Message, timeoutMs: number) => Promise<Uint8Array>;
};

/** A client of the server of another region, as `connectPeer` makes one of NATS. */
export function memoryPeer(server: MemoryPeerServer, region: string): PeerLink {
  const client = { open: true };
  const logOf = (): MemoryLog => {
    if (!server.up() || !client.open)
      throw new PortolanError("unavailable", `the message server of ${region} is not reachable at the moment`);
    const log = server.log(region);
    if (log === undefined) throw new PortolanError("unavailable", `the region "${region}" has no log stream`);
    return log;
  };
  return {
    region,
    streamState: async () => logOf().state(),
    follow: ({ fromSeq, signal }) => follow(server, client, logOf, fromSeq, signal),
    request: async (subject, data, { timeoutMs }) => {
      if (!server.up() || !client.open)
        throw new PortolanError("unavailable", `the message server of ${region} is not reachable at the moment`);
      return server.ask({ subject, data: data.slice() }, timeoutMs);
    },
    connected: () => server.up() && client.open,
    close: async () => {
      client.open = false;
      server.log(region)?.wake();
    },
  };
}

async function* follow(
  server: MemoryPeerServer,
  client: { readonly open: boolean },
  logOf: () => MemoryLog,
  fromSeq: number,
  signal: AbortSignal,
): AsyncGenerator<LogMessage> {
  if (signal.aborted) return;
  const log = logOf();
  const life = server.life();
  const isOn = (): boolean => !signal.aborted && client.open && server.life() === life;
  // A start beyond the end is clamped, as NATS does it.
  for (let seq = Math.min(Math.max(1, fromSeq), log.state().lastSeq + 1); isOn();) {
    const message = log.from(seq);
    if (message === null) {
      await something(log, signal);
      continue;
    }
    yield message;
    seq = message.seq + 1;
  }
}

function something(log: MemoryLog, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      cancel();
      signal.removeEventListener("abort", done);
      resolve();
    };
    const cancel = log.next(done);
    signal.addEventListener("abort", done, { once: true });
  });
}
