import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { migrate } from "../../src/local/migrate.ts";
import { type Sqld, startSqld } from "../../src/local/sqld.ts";
import { type Registry, openRegistry } from "../../src/registry/registry.ts";
import type { Region } from "../../src/registry/types.ts";

/** A registry on its own sqld with its own clock. */
export type TestRegistry = { readonly sqld: Sqld; readonly registry: Registry; readonly clock: { nowMs: number }; close(): Promise<void> };

export const REGISTRY_MIGRATIONS = fileURLToPath(new URL("../../migrations/registry", import.meta.url));

/** Real sqld in a directory of its own. `timeoutMs` is generous: these tests share a small machine. */
export async function startTestRegistry(): Promise<TestRegistry> {
  const dir = mkdtempSync(join(tmpdir(), "portolan-registry-"));
  const clock = { nowMs: Date.UTC(2026, 0, 1) };
  const sqld = await startSqld({ dir });
  const close = async (): Promise<void> => {
    await sqld.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await migrate({ url: sqld.url, folder: REGISTRY_MIGRATIONS });
  } catch (error) {
    await close();
    throw error;
  }
  const registry = openRegistry({ url: sqld.url, timeoutMs: 5_000, clock: () => clock.nowMs });
  return { sqld, registry, clock, close };
}

/** A well-formed public key that belongs to nobody; `index` below 26. */
export function publicKey(index: number): string {
  return `U${String.fromCharCode(65 + index).repeat(55)}`;
}

/** A region of which nothing but its name is known. */
export function regionOf(name: string, facts: Partial<Region> = {}): Region {
  return {
    name,
    natsUrl: null,
    apiUrl: null,
    keeperPublicKeys: [],
    latitude: null,
    longitude: null,
    state: "active",
    createdAtMs: 0,
    ...facts,
  };
}

/** Plan input with defaults, for the fields that a test is not about. */
export function planInput(
  overrides: Partial<Parameters<Registry["addPlan"]>[0]> & { readonly name: string },
): Parameters<Registry["addPlan"]>[0] {
  return {
    include: [],
    exclude: [],
    ranges: [],
    ports: "1-1024",
    rateLimitPps: null,
    retries: null,
    group: null,
    engine: null,
    intervalS: null,
    deadlineS: null,
    closeAfter: null,
    confirm: null,
    home: null,
    pairsMax: null,
    canaries: [],
    enabled: null,
    ...overrides,
  };
}
