import { CLOCK_OFF_MAX_MS } from "./settings.ts";

/** An answer older than this says nothing about the clocks of now. */
const FRESH_MS = 2 * 60_000;

/** Our clock beside those of our peers. */
export type Clocks = {
  /** A peer answered: by how much its clock is ahead of ours. */
  heard(region: string, aheadMs: number): void;
  forget(region: string): void;
  /** Why nothing may be accepted with this clock; null when it agrees with at least half of the peers that answered lately. */
  problem(): string | null;
};

/** A clock that is alone against most others is the wrong one; with a single peer nobody can tell, and both stop. */
export function createClocks(monotonicMs: () => number): Clocks {
  const answers = new Map<string, { readonly aheadMs: number; readonly atMs: number }>();
  return {
    heard: (region, aheadMs) => void answers.set(region, { aheadMs, atMs: monotonicMs() }),
    forget: (region) => void answers.delete(region),
    problem: () => {
      const fresh = [...answers].filter(([, { atMs }]) => monotonicMs() - atMs <= FRESH_MS);
      const off = fresh.filter(([, { aheadMs }]) => Math.abs(aheadMs) > CLOCK_OFF_MAX_MS);
      const [worst] = off;
      if (worst === undefined || off.length * 2 <= fresh.length) return null;
      const [region, { aheadMs }] = worst;
      const by = `${Math.round(Math.abs(aheadMs) / 1_000)} s ${aheadMs > 0 ? "behind" : "ahead of"}`;
      return `this host's clock is ${by} the one of region "${region}", so nothing is accepted; set the clock right (NTP)`;
    },
  };
}
