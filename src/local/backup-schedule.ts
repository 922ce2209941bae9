import { type Backup, type BackupOptions, listBackups, rotateBackups, type StoreName, takeBackup } from "./backup.ts";
import { openLog } from "./log.ts";
import type { Places } from "./places.ts";

const HOUR_MS = 3_600_000;
const DEFAULTS: BackupOptions = { intervalMs: HOUR_MS, countMax: 48, bytesMax: 4 * 1024 ** 3 };
const LOOK_EVERY_MS = 60_000;

/** Dumps of a region's databases while it runs: each store when its newest dump is older than the interval. */
export class BackupSchedule {
  readonly #places: Places;
  readonly #isRegistryPrimary: () => boolean;
  readonly #options: BackupOptions;
  readonly #log: (chunk: string) => void;
  #timer: NodeJS.Timeout | null = null;
  #work: Promise<unknown> = Promise.resolve();

  constructor(places: Places, isRegistryPrimary: () => boolean, options: Partial<BackupOptions>) {
    this.#places = places;
    this.#isRegistryPrimary = isRegistryPrimary;
    this.#options = { ...DEFAULTS, ...options };
    this.#log = openLog(places.log("backup"));
  }

  /** Looks once a minute (or every interval, when that is shorter) from now on. A dump that fails is tried again at the next look. */
  start(): void {
    const everyMs = Math.min(LOOK_EVERY_MS, this.#options.intervalMs);
    const sinceMs = Date.now();
    this.#timer = setInterval(() => {
      const due = this.#stores().filter((store) => {
        const newestMs = listBackups(this.#places.layout.backups, store)[0]?.takenAtMs ?? sinceMs;
        return Date.now() - newestMs >= this.#options.intervalMs;
      });
      if (due.length > 0) void this.#take(due).catch(() => undefined);
    }, everyMs);
    this.#timer.unref();
  }

  /** Dumps all stores now. Throws `unavailable` when one cannot be dumped; the others are dumped all the same. */
  now(): Promise<Backup[]> {
    return this.#take(this.#stores());
  }

  /** Waits for a dump that is under way. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    await this.#work.catch(() => undefined);
  }

  /** The registry is dumped where its primary is. */
  #stores(): StoreName[] {
    return this.#isRegistryPrimary() ? ["registry", "ledger"] : ["ledger"];
  }

  /** One at a time. */
  #take(stores: readonly StoreName[]): Promise<Backup[]> {
    const turn = this.#work.catch(() => undefined).then(() => this.#takeAll(stores));
    this.#work = turn;
    return turn;
  }

  async #takeAll(stores: readonly StoreName[]): Promise<Backup[]> {
    const dir = this.#places.layout.backups;
    const taken: Backup[] = [];
    const failures: unknown[] = [];
    for (const store of stores) {
      const url = store === "registry" ? this.#places.registryUrl : this.#places.ledgerUrl;
      try {
        taken.push(await takeBackup({ store, url, dir, nowMs: Date.now() }));
        rotateBackups(dir, store, this.#options);
      } catch (error) {
        this.#log(`${new Date().toISOString()} ${error instanceof Error ? error.message : String(error)}\n`);
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
    return taken;
  }
}
