import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { pairKey } from "../../src/local/lab/truth.ts";
import type { Disturbed } from "./faults-apply.ts";
import { type RegionName, REGIONS } from "./faults-draw.ts";
import type { World } from "./faults-world.ts";

const LOOK_EVERY_MS = 400;
const READ_MS_MAX = 15_000;
/** An API on a busy machine may say "repeat"; whoever repeats has to be served within this. */
const REPEAT_MS_MAX = 10_000;
/** What an answer of a region's API is made of. */
const READERS = ["api", "ledger", "registry"] as const;

const pageSchema = z.object({
  items: z.array(z.looseObject({ address: z.string(), port: z.number(), state: z.enum(["open", "missing", "closed"]) })),
  next_cursor: z.string().nullable(),
});

/** Reads every region's register all the time, and says what must never be seen. */
export class Watch {
  /** Services shown closed although they listen all the time. */
  readonly closedWrongly = new Set<string>();
  /** Reads that went on failing although API, ledger and registry of the region ran. */
  readonly refused: string[] = [];
  readonly readMs: number[] = [];
  reads = 0;
  /** Reads that failed, and had to be repeated. */
  repeated = 0;
  /** Services that listened from the beginning and go on to. */
  readonly mustBeOpen: ReadonlySet<string>;
  readonly #world: World;
  readonly #disturbed: Disturbed;
  readonly #end = new AbortController();
  readonly #loops: Promise<void>[];

  constructor(world: World, disturbed: Disturbed, mustBeOpen: ReadonlySet<string>) {
    this.#world = world;
    this.#disturbed = disturbed;
    this.mustBeOpen = mustBeOpen;
    this.#loops = REGIONS.map((region) => this.#loop(region));
  }

  /** Ends after the look that is under way. */
  async stop(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#loops);
  }

  async #loop(region: RegionName): Promise<void> {
    // When the first of the failures in a row began; null while reads succeed.
    let failingSinceMs: number | null = null;
    while (!this.#end.signal.aborted) {
      const beganMs = performance.now();
      const wrong = await this.#look(region).catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
      this.reads += 1;
      const isQuiet = !this.#disturbed.any(region, READERS, beganMs);
      if (isQuiet) this.readMs.push(performance.now() - beganMs);
      if (isQuiet && wrong instanceof Error) {
        this.repeated += 1;
        failingSinceMs ??= beganMs;
        if (performance.now() - failingSinceMs > REPEAT_MS_MAX) this.refused.push(`${region}: ${wrong.message}`);
      } else failingSinceMs = null;
      await delay(LOOK_EVERY_MS, undefined, { signal: this.#end.signal }).catch(() => undefined);
    }
  }

  async #look(region: RegionName): Promise<void> {
    const { regions } = this.#world;
    const { apiUrl } = regions.region(region);
    const response = await fetch(`${apiUrl}/v1/services?state=all&known=show&limit=1000`, {
      headers: { authorization: `Bearer ${regions.adminToken}`, "cache-control": "no-cache" },
      signal: AbortSignal.timeout(READ_MS_MAX),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text.slice(0, 300)}`);
    for (const service of pageSchema.parse(JSON.parse(text)).items) {
      const key = pairKey(service);
      if (service.state === "closed" && this.mustBeOpen.has(key)) this.closedWrongly.add(`${region}: ${key.replace("\t", ":")}`);
    }
  }
}
