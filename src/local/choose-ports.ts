import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { PortolanError } from "../core/errors.ts";
import type { AllPorts, RegionPorts } from "./layout.ts";
import { freePort } from "./ports.ts";

/** Ports that a person asked for. */
export type FixedPorts = { readonly api?: number | undefined; readonly nats?: number | undefined };

const NAMES = ["api", "nats", "registry", "registryAdmin", "registryGrpc", "ledger", "ledgerAdmin"] as const;
/** Children of a supervisor that was killed a moment ago still give up their ports. */
const PATIENCE_MS = 2_000;

/**
 * One free port of 127.0.0.1 for each purpose: the fixed ones, else those of the last start, else any. `taken` ones are left out, and get
 * the chosen ones: nobody listens on them yet. Throws `conflict` when a fixed port is taken.
 */
export async function choosePorts(before: RegionPorts, fixed: FixedPorts, taken = new Set<number>()): Promise<AllPorts> {
  const chosen = new Map<(typeof NAMES)[number], number>();
  for (const name of NAMES) {
    const asked = name === "api" || name === "nats" ? fixed[name] : undefined;
    if (asked !== undefined && !(await becomesFree(asked))) {
      const option = name === "api" ? "--port" : "--nats-port";
      throw new PortolanError("conflict", `port ${asked} is in use by another program; choose another with ${option}`);
    }
    const port = asked ?? (await reuseOrAny(before[name], taken));
    taken.add(port);
    chosen.set(name, port);
  }
  return Object.fromEntries(chosen) as AllPorts;
}

async function reuseOrAny(before: number | undefined, taken: ReadonlySet<number>): Promise<number> {
  if (before !== undefined && !taken.has(before) && (await becomesFree(before))) return before;
  for (;;) {
    const port = await freePort();
    if (!taken.has(port)) return port;
  }
}

async function becomesFree(port: number): Promise<boolean> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await isFree(port))) {
    if (performance.now() > deadline) return false;
    await delay(50);
  }
  return true;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
