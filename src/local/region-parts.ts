import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { PortolanError } from "../core/errors.ts";
import { openRegistry, type Registry } from "../registry/registry.ts";
import { apiChild } from "./api-child.ts";
import { BackupSchedule } from "./backup-schedule.ts";
import { keeperChild, ledgerChild, natsChild, scannerChild } from "./children.ts";
import { makeLayout } from "./layout.ts";
import { type Lock, lockFolder } from "./lock.ts";
import type { RegionOptions } from "./options.ts";
import { choosePlaces, type Places, type Shared } from "./places.ts";
import { type AdminToken } from "./prepare.ts";
import type { Region } from "./region.ts";
import { registryChild, type RegistryRole } from "./registry-child.ts";
import { Child } from "./supervisor.ts";
import { NatsUsersWatch } from "./users.ts";

const HEARD_MS_MAX = 30_000;
const REGISTRY_TIMEOUT_MS = 5_000;
const scannersSchema = z.object({ items: z.array(z.object({ name: z.string(), live: z.unknown().nullable() })) });

/** What a region has to know of the others. */
export type Wiring = {
  /** Of the registry here, asked at each of its starts. */
  readonly role: () => RegistryRole;
  /** Further variables of the API, asked at each of its starts. */
  readonly stores: () => Readonly<Record<string, string>>;
} & Shared;

/** The children of one region, started step by step by whoever knows the order among regions. */
export class RegionParts {
  readonly places: Places;
  readonly options: RegionOptions;
  /** Reads the registry of this region. */
  readonly registry: Registry;
  readonly backups: BackupSchedule | null;
  readonly #lock: Lock;
  readonly #wiring: Wiring;
  readonly #started: Child[] = [];
  #watch: NatsUsersWatch | null = null;
  #stopped: Promise<void> | null = null;
  readonly #endings: (() => Promise<void>)[] = [];

  private constructor(places: Places, lock: Lock, options: RegionOptions, wiring: Wiring) {
    this.places = places;
    this.options = options;
    this.#lock = lock;
    this.#wiring = wiring;
    this.registry = openRegistry({ url: places.registryUrl, timeoutMs: REGISTRY_TIMEOUT_MS });
    const isPrimary = (): boolean => wiring.role().kind === "primary";
    this.backups = options.backups === false ? null : new BackupSchedule(places, isPrimary, options.backups ?? {});
  }

  /** Claims the folder and chooses ports; starts nothing. Throws `conflict` when another process uses the folder. */
  static async open(options: RegionOptions, wiring: Wiring): Promise<RegionParts> {
    const layout = makeLayout(options.dir);
    const lock = await lockFolder(layout.dir);
    try {
      return new RegionParts(await choosePlaces(layout, options, wiring), lock, options, wiring);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  get children(): readonly Child[] {
    return this.#started;
  }

  startRegistry = (): Promise<void> => this.#run(registryChild(this.places, this.#wiring.role));

  startLedger = (): Promise<void> => this.#run(ledgerChild(this.places));

  /** Reads from the registry who may connect. */
  startNats = async (): Promise<void> => {
    this.#watch = await NatsUsersWatch.open(this.registry, this.places);
    await this.#run(natsChild(this.places, this.#watch));
  };

  startKeeper = (): Promise<void> => this.#run(keeperChild(this.places, this.options));

  /** Scanners and API, side by side. */
  startRest = async (): Promise<void> => {
    const scanners = this.options.scanners.map((scanner) => this.#run(scannerChild(this.places, this.options, scanner)));
    await Promise.all([...scanners, this.#run(apiChild(this.places, this.options, this.#wiring.stores))]);
  };

  /** Waits for a sign of life of each local scanner, because only then planning knows what it can do; from now on users follow the registry. */
  settle = async (token: AdminToken): Promise<void> => {
    await scannersHeard(this.places, this.options, token);
    this.#watch?.start();
    this.backups?.start();
  };

  /** What to end before the children. */
  beforeStop(end: () => Promise<void>): void {
    this.#endings.push(end);
  }

  /** Ends all children in order, the last started first, and gives the folder free. Repeatable. */
  stop = (): Promise<void> => (this.#stopped ??= this.#stopAll());

  child(name: string): Child {
    const found = this.#started.find((child) => child.name === name);
    if (found !== undefined) return found;
    const names = this.#started.map((child) => child.name).join(", ");
    throw new PortolanError("not-found", `region "${this.options.region}" has no child "${name}"; it has ${names}`);
  }

  handle(token: AdminToken): Region {
    const { layout, apiUrl, natsUrl, registryUrl, ledgerUrl, keeperPublicKey } = this.places;
    return {
      name: this.options.region,
      layout,
      apiUrl,
      natsUrl,
      registryUrl,
      ledgerUrl,
      adminToken: token.text,
      tokenIsNew: token.isNew,
      keeperPublicKey,
      children: this.#started,
      child: (name) => this.child(name),
      stop: this.stop,
    };
  }

  async #run(spec: ConstructorParameters<typeof Child>[0]): Promise<void> {
    const child = new Child(spec, this.options.onEvent ?? (() => undefined));
    this.#started.push(child);
    await child.start();
  }

  async #stopAll(): Promise<void> {
    for (const end of this.#endings) await end();
    this.#watch?.stop();
    await this.backups?.stop();
    this.registry.close();
    for (const child of this.#started.toReversed()) await child.stop();
    await this.#lock.release();
  }
}

async function scannersHeard(places: Places, options: RegionOptions, token: AdminToken): Promise<void> {
  const deadline = performance.now() + HEARD_MS_MAX;
  const silent = async (): Promise<string[]> => {
    const headers = { authorization: `Bearer ${token.text}` };
    const response = await fetch(`${places.apiUrl}/v1/scanners?limit=1000`, { headers, signal: AbortSignal.timeout(5_000) });
    const { items } = scannersSchema.parse(await response.json());
    const heard = new Set(items.filter((item) => item.live !== null).map((item) => item.name));
    return options.scanners.map((scanner) => scanner.name).filter((name) => !heard.has(name));
  };
  for (;;) {
    const names = await silent();
    if (names.length === 0) return;
    if (performance.now() > deadline) {
      throw new PortolanError(
        "unavailable",
        `scanner ${names.join(", ")} was not heard within ${HEARD_MS_MAX} ms; see ${places.log(`scanner-${names[0]}`)}`,
      );
    }
    await delay(50);
  }
}
