import type { Random } from "../ledger/history.ts";

/** One (address, TCP port) of the simulated network. */
export type Spot = { readonly address: string; readonly port: number };

/** From when to when, both in ms; null: it never ends. */
export type Outage = { readonly fromMs: number; readonly toMs: number | null };

type Life = {
  readonly spot: Spot;
  readonly openAtFirst: boolean;
  /** When it opens or closes, ascending. */ readonly flipsMs: readonly number[];
};

/** What is really open, and when. */
export class Truth {
  readonly #lives = new Map<string, Life>();

  constructor(lives: readonly Life[]) {
    for (const life of lives) this.#lives.set(spotText(life.spot), life);
  }

  isOpen(spot: Spot, atMs: number): boolean {
    const life = this.#lives.get(spotText(spot));
    if (life === undefined) return false;
    return life.openAtFirst === (life.flipsMs.filter((flipMs) => flipMs <= atMs).length % 2 === 0);
  }

  /** Whether it is open at every moment from `fromMs` to `toMs`, both inclusive. */
  isOpenThroughout(spot: Spot, fromMs: number, toMs: number): boolean {
    const flips = this.#lives.get(spotText(spot))?.flipsMs ?? [];
    return this.isOpen(spot, fromMs) && !flips.some((flipMs) => flipMs > fromMs && flipMs <= toMs);
  }

  spots(): Spot[] {
    return [...this.#lives.values()].map(({ spot }) => spot);
  }

  describe(spot: Spot): string {
    const life = this.#lives.get(spotText(spot));
    const flips = life?.flipsMs.map((flipMs) => `${(flipMs / 1_000).toFixed(1)} s`).join(", ") ?? "";
    return `${spotText(spot)} is ${life?.openAtFirst === true ? "open" : "closed"} at first${flips === "" ? "" : `, changes at ${flips}`}`;
  }
}

export function spotText({ address, port }: Spot): string {
  return `${address}:${port}`;
}

/** Lives of all spots: half of them never change, and nothing changes after `quietFromMs`. An outage takes most of the rest. */
export function livesOf(random: Random, spots: readonly Spot[], { quietFromMs, outage }: LivesSetting): Life[] {
  return spots.map((spot) => {
    if (outage !== null && random.chance(0.85)) {
      return { spot, openAtFirst: random.chance(0.95), flipsMs: outage.toMs === null ? [outage.fromMs] : [outage.fromMs, outage.toMs] };
    }
    const flips = random.chance(0.45) ? 1 + random.below(3) : 0;
    const flipsMs = Array.from({ length: flips }, () => random.below(quietFromMs)).toSorted((a, b) => a - b);
    return { spot, openAtFirst: random.chance(0.7), flipsMs };
  });
}

type LivesSetting = { readonly quietFromMs: number; readonly outage: Outage | null };
