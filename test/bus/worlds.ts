import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bus } from "../../src/bus/bus.ts";
import { createMemoryServer, type MemoryServer } from "../../src/bus/memory.ts";
import { peerClient } from "../../src/bus/names.ts";
import { connectNats } from "../../src/bus/nats.ts";
import { connectPeer } from "../../src/bus/nats-peer.ts";
import type { PeerLink } from "../../src/bus/peer.ts";
import { startNats, type LocalNats } from "../../src/local/nats.ts";

/** Short, so that tests can wait for it. */
export const ACK_WAIT_MS = 2_000;
export const REGION = "eu";

/** A message server that a test may break. */
export type World = {
  start(): Promise<void>;
  connect(client: string): Promise<Bus>;
  /** As a keeper of another region. */
  connectPeer(): Promise<PeerLink>;
  down(): Promise<void>;
  up(): Promise<void>;
  /** The server loses everything that it stored. */
  wipe(): Promise<void>;
  stop(): Promise<void>;
};

/** The one inside this process. */
export function memoryWorld(): World {
  let server: MemoryServer = createMemoryServer();
  return {
    start: async () => void (server = createMemoryServer({ ackWaitMs: ACK_WAIT_MS })),
    connect: async () => server.connect(),
    connectPeer: async () => server.connectPeer(REGION),
    down: async () => server.stop(),
    up: async () => server.start(),
    wipe: async () => server.wipe(),
    stop: async () => server.wipe(),
  };
}

/** A real nats-server that lets everybody in. */
export function natsWorld(): World {
  let dir = "";
  let server: LocalNats | undefined;
  const users = { region: REGION, keepers: [], scanners: [], open: true };
  const running = (): LocalNats => {
    if (server === undefined) throw new Error("not started");
    return server;
  };
  return {
    start: async () => {
      dir = mkdtempSync(join(tmpdir(), "portolan-bus-"));
      server = await startNats({ dir, ...users });
    },
    connect: (client) => connectNats({ url: running().url, client, ackWaitMs: ACK_WAIT_MS }),
    connectPeer: () => connectPeer({ region: REGION, url: running().url, client: peerClient("us") }),
    down: async () => void (await running().kill9()),
    up: async () => void (server = await startNats({ dir, port: running().port, ...users })),
    wipe: async () => {
      await running().kill9();
      rmSync(join(dir, "store"), { recursive: true });
      server = await startNats({ dir, port: running().port, ...users });
    },
    stop: async () => {
      await server?.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
