import { setTimeout as pause } from "node:timers/promises";
import { pairKey } from "../lab/truth.ts";
import type { DemoService } from "./api.ts";
import type { Site } from "./sites.ts";

const LOOK_EVERY_MS = 500;
const SETTLE_MS_MAX = 60_000;

/** Services that one region's register shows closed, and those that it shows open or missing, as keys. */
export type Register = {
  readonly active: ReadonlySet<string>;
  readonly closed: ReadonlySet<string>;
  readonly services: readonly DemoService[];
};

/** What the regions' registers say together. */
export type Registers = {
  readonly byRegion: ReadonlyMap<string, Register>;
  /** Keys that every region shows so. */
  readonly everywhere: (which: (register: Register) => ReadonlySet<string>) => Set<string>;
  /** Keys that any region shows so. */
  readonly anywhere: (which: (register: Register) => ReadonlySet<string>) => Set<string>;
};

/** Keys of services that are open again after they were closed. */
export function reopenedKeys({ services }: Register): Set<string> {
  return new Set(services.filter(({ state, reopened }) => state === "open" && reopened).map(pairKey));
}

/**
 * Closing is deferred work, and news takes its time to the other regions: reads each region's full export until `settled` says so of it,
 * or what it is after a minute.
 */
export async function settledRegisters(sites: readonly Site[], settled: (register: Register) => boolean): Promise<Registers> {
  const deadlineMs = performance.now() + SETTLE_MS_MAX;
  const byRegion = new Map<string, Register>();
  for (const site of sites) byRegion.set(site.name, await settledRegister(site, settled, deadlineMs));
  const all = [...byRegion.values()];
  return {
    byRegion,
    anywhere: (which) => new Set(all.flatMap((register) => [...which(register)])),
    everywhere: (which) =>
      new Set([...new Set(all.flatMap((register) => [...which(register)]))].filter((key) => all.every((one) => which(one).has(key)))),
  };
}

async function settledRegister(site: Site, settled: (register: Register) => boolean, deadlineMs: number): Promise<Register> {
  for (;;) {
    const register = readRegister(await site.api.services());
    if (settled(register) || performance.now() > deadlineMs) return register;
    await pause(LOOK_EVERY_MS);
  }
}

function readRegister(services: readonly DemoService[]): Register {
  const keys = (states: readonly string[]): Set<string> => new Set(services.filter(({ state }) => states.includes(state)).map(pairKey));
  return { active: keys(["open", "missing"]), closed: keys(["closed"]), services };
}
