import { createServer } from "node:net";
import { PortolanError } from "../../core/errors.ts";
import { startListeners, type ListenerProcess } from "./listener-process.ts";
import type { Playground } from "./playground.ts";
import { drawPairs, pairKey, pairOf, xorshift32, type LabPair, type Truth } from "./truth.ts";

/** Below the ports that the system gives to outgoing connections. */
const PORT_FIRST = 20_000;
const PORT_LAST = 30_000;

/** What loopback listeners can show: open and closed; neither filtered pairs nor masscan. */
export type LoopbackSpec = {
  readonly seed: number;
  readonly scanners: number;
  /** Listed IPv4 pairs lie in 127.18.0.0/`prefix4` (16 … 28). */
  readonly prefix4: number;
  readonly open4: number;
  /** At most `portCount`: IPv6 has one loopback address. */
  readonly open6: number;
  readonly portCount: number;
};

/** Whether nobody listens on this port of any address, so that every answer is this playground's own. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host: "::", port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

async function freePorts(count: number, next: () => number): Promise<number[]> {
  const ports = new Set<number>();
  for (let tries = 0; ports.size < count; tries += 1) {
    if (tries > count * 50)
      throw new PortolanError("unavailable", `no ${count} free ports from ${PORT_FIRST} to ${PORT_LAST}; end what uses them`);
    const port = PORT_FIRST + (next() % (PORT_LAST - PORT_FIRST));
    if (!ports.has(port) && (await isFree(port))) ports.add(port);
  }
  return [...ports].toSorted((a, b) => a - b);
}

function drawTruth(spec: LoopbackSpec, ports: readonly number[], next: () => number): Truth {
  const truth: Truth = new Map();
  const space4 = {
    addresses: 2 ** (32 - spec.prefix4),
    addressAt: (index: number) => `127.18.${index >>> 8}.${index & 255}`,
    isSilent: () => false,
  };
  const space6 = { addresses: 1, addressAt: () => "::1", isSilent: () => false };
  for (const pair of drawPairs(space4, { ports, count: spec.open4, taken: truth, next })) truth.set(pairKey(pair), "open");
  for (const pair of drawPairs(space6, { ports, count: spec.open6, taken: truth, next })) truth.set(pairKey(pair), "open");
  return truth;
}

function controls(spec: LoopbackSpec, ports: readonly number[], truth: Truth, listeners: ListenerProcess): Playground {
  return {
    kind: "loopback",
    truth,
    ports,
    ranges: [`127.18.0.0/${spec.prefix4}`, ...(spec.open6 > 0 ? ["::1"] : [])],
    scanners: Array.from({ length: spec.scanners }, () => ({ launcher: [], adapter: null })),
    startSeen: async () => void (await listeners.ask("forget")),
    readSeen: async () => {
      const raw = await listeners.ask("counts");
      const counts = JSON.parse(raw) as [key: string, count: number][];
      return { packets: new Map(counts.map(([key, count]) => [`tcp\t${key}`, count])), raw: `${raw}\n`, isWhole: false };
    },
    close: async (pairs: readonly LabPair[]) => {
      await listeners.ask(`close ${JSON.stringify(pairs)}`);
      for (const pair of pairs) truth.delete(pairKey(pair));
    },
    open: async (pairs: readonly LabPair[]) => {
      await listeners.ask(`open ${JSON.stringify(pairs)}`);
      for (const pair of pairs) truth.set(pairKey(pair), "open");
    },
    destroy: () => listeners.stop(),
  };
}

/** Listeners on many addresses of 127.0.0.0/8 and on ::1, for machines where no lab of namespaces can be had. */
export async function createLoopback(spec: LoopbackSpec): Promise<Playground> {
  const next = xorshift32(spec.seed);
  const ports = await freePorts(spec.portCount, next);
  const truth = drawTruth(spec, ports, next);
  const listeners = await startListeners([], { sockets: [...truth.keys()].map(pairOf), noiseTo: [], noise: false });
  return controls(spec, ports, truth, listeners);
}
