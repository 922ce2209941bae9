import { setTimeout as delay } from "node:timers/promises";
import { sha256Hex } from "../../src/bus/keys.node.ts";
import { canonicalJson } from "../../src/core/canonical.ts";
import { openLedger } from "../../src/ledger/ledger.ts";
import type { Ledger } from "../../src/ledger/types.ts";
import { openKeys, pairKey } from "../../src/local/lab/truth.ts";
import { type RegionName, REGIONS } from "./faults-draw.ts";
import type { World } from "./faults-world.ts";

const POLL_MS = 150;
const READ_MS_MAX = 10_000;
/** An answer of an API may be a second old. */
const TRUE_MS_MAX = 10_000;

/** The registers of all regions, compared with one another and with the truth. */
export class Registers {
  readonly #world: World;
  readonly #ledgers: ReadonlyMap<RegionName, Ledger>;

  constructor(world: World) {
    const open = (name: RegionName): Ledger =>
      openLedger({ url: world.regions.region(name).ledgerUrl, region: name, timeoutMs: READ_MS_MAX });
    this.#world = world;
    this.#ledgers = new Map(REGIONS.map((name) => [name, open(name)]));
  }

  /** Waits until all regions hold the same records and say the same of them; gives what each says when that takes longer, else null. */
  async becomeEqual(msMax: number): Promise<string | null> {
    for (const deadlineMs = performance.now() + msMax; ;) {
      const states = await Promise.all(REGIONS.map((name) => this.#stateOf(name).catch((error: unknown) => `${name}: ${String(error)}`)));
      if (new Set(states).size === 1 && !states.includes(null)) return null;
      if (performance.now() > deadlineMs) return REGIONS.map((name, k) => `${name} ${states[k] ?? "is not settled"}`).join("; ");
      await delay(POLL_MS);
    }
  }

  /** Where registers differ from what really listens, once they have had a moment for it. */
  async differences(): Promise<string[]> {
    for (const deadlineMs = performance.now() + TRUE_MS_MAX; ;) {
      const wrong = (await Promise.all(REGIONS.map((region) => this.#differencesOf(region)))).flat();
      if (wrong.length === 0 || performance.now() > deadlineMs) return wrong;
      await delay(POLL_MS);
    }
  }

  close(): void {
    for (const ledger of this.#ledgers.values()) ledger.close();
  }

  async #stateOf(region: RegionName): Promise<string | null> {
    const found = await this.#ledgers.get(region)?.stateHash(sha256Hex);
    return found?.settled === true ? `${found.hash} ${canonicalJson(found.frontier)}` : null;
  }

  async #differencesOf(region: RegionName): Promise<string[]> {
    const open = openKeys(this.#world.playground.truth);
    const services = await this.#world.api(region).services();
    const known = new Set(services.map(pairKey));
    const wrong = services.filter((service) => (service.state === "open") !== open.has(pairKey(service)));
    return [
      ...[...open].filter((key) => !known.has(key)).map((key) => `${region}: not found: ${key}`),
      ...wrong.map((service) => `${region}: ${service.state}: ${pairKey(service)}`),
    ];
  }
}
