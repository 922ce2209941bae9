import { setTimeout as delay } from "node:timers/promises";
import { PortolanError } from "../core/errors.ts";
import { openRegistry } from "../registry/registry.ts";
import type { RegionParts } from "./region-parts.ts";
import type { House } from "./regions.ts";
import { hasData, primaryFrame, replicatedFrame } from "./registry-child.ts";
import { applyDurability } from "./sqld.ts";

/** What a promotion did. `caughtUp`: the new home had everything that the old one had; otherwise only what had reached it. */
export type Promotion = {
  readonly home: string;
  readonly was: string;
  readonly caughtUp: boolean;
  /** Of the registry. */ readonly version: number | null;
};

const CALL_MS_MAX = 3_000;
const CATCH_UP_MS_MAX = 15_000;
const RESTART_MS_MAX = 60_000;

/**
 * Makes another region the registry's home. While the old home answers, its writes are stopped first and the new one catches up, so that
 * nothing is lost; with the old home dead, the new one goes on with what had reached it, and what had not is set aside with the old
 * home's data. Edits answer 503 in between. Repeatable: a second call finishes what a first one left.
 * Throws `not-found`, and `unavailable` when the region has no data to go on with.
 */
export async function promote(house: House, name: string): Promise<Promotion> {
  const next = house.part(name);
  const old = house.part(house.home);
  const was = house.home;
  let caughtUp = true;
  if (next !== old) {
    if (!hasData(next.places.layout.registry)) {
      throw new PortolanError("unavailable", `region "${name}" has never copied the registry; start its replica while the primary runs`);
    }
    caughtUp = await catchUp(old, next);
    const registry = old.child("registry");
    const wasRunning = registry.pid !== null;
    // Both are down while the roles change; which one is the primary is decided by one file.
    await next.child("registry").stop();
    await registry.stop();
    house.setHome(name);
    await next.child("registry").start();
    if (wasRunning) await registry.start();
  }
  const version = await announce(next, name);
  await follow(house, next);
  return { home: name, was, caughtUp, version };
}

/** Whether the new home has all that the old one had. The old one takes no more writes then, until it is started again. */
async function catchUp(old: RegionParts, next: RegionParts): Promise<boolean> {
  if (old.child("registry").pid === null) return false;
  try {
    await applyDurability(old.places.registryAdminUrl, { isReadOnly: true });
  } catch {
    return false;
  }
  try {
    const goal = await primaryFrame(old.places.registryAdminUrl);
    const deadline = performance.now() + CATCH_UP_MS_MAX;
    while (replicatedFrame(next.places.layout.registry) < goal) {
      if (performance.now() > deadline) {
        throw new PortolanError(
          "unavailable",
          `region "${next.options.region}" did not catch up with the registry within ${CATCH_UP_MS_MAX} ms`,
        );
      }
      await delay(20);
    }
    return true;
  } catch (error) {
    await applyDurability(old.places.registryAdminUrl);
    throw error;
  }
}

async function announce(next: RegionParts, name: string): Promise<number> {
  const registry = openRegistry({ url: next.places.registryUrl, timeoutMs: CALL_MS_MAX });
  try {
    return (await registry.setHome(name)).version;
  } finally {
    registry.close();
  }
}

/** Other replicas follow the new primary, and all APIs send edits to it. What does not run finds the new home when it is started. */
async function follow(house: House, next: RegionParts): Promise<void> {
  for (const part of house.parts) {
    const registry = part.child("registry");
    if (part !== next && registry.pid !== null) await registry.restart(RESTART_MS_MAX);
  }
  // One after the other, so that the others serve meanwhile.
  for (const part of [next, ...house.parts.filter((other) => other !== next)]) {
    const api = part.children.find(({ name }) => name === "api");
    if (api !== undefined && api.pid !== null) await api.restart(RESTART_MS_MAX);
  }
}
