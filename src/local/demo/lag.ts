import { setTimeout as pause } from "node:timers/promises";
import type { Site } from "./sites.ts";

/** One sighting of a service that was not open before, as another region's API came to show it. */
export type LagSample = {
  readonly record: string;
  readonly acceptedIn: string;
  readonly acceptedAtMs: number;
  readonly shownIn: string;
  readonly shownAtMs: number;
};

/** Between two looks; part of what is measured. */
const LOOK_EVERY_MS = 50;

type Shown = Pick<LagSample, "record" | "shownIn" | "shownAtMs">;

/**
 * Asks each region's API for its newest changes, again and again, and notes when each sighting turns up. `stop` reads what is left and
 * returns one sample for each sighting and each region other than the one that accepted it.
 */
export function watchLag(sites: readonly Site[]): { readonly stop: () => Promise<LagSample[]> } {
  const end = new AbortController();
  const watching = Promise.all(sites.map((site) => follow(site, end.signal)));
  // Whoever stops is told; until then nobody listens.
  watching.catch(() => undefined);
  return {
    stop: async () => {
      end.abort();
      const shown = (await watching).flat();
      const accepted = new Map(
        (await Promise.all(sites.map(({ records }) => records.acceptedParts()))).flat().map((one) => [one.record, one]),
      );
      return shown.flatMap((one) => {
        const { region, stampMs } = accepted.get(one.record) ?? { region: one.shownIn, stampMs: 0 };
        return region === one.shownIn ? [] : [{ ...one, acceptedIn: region, acceptedAtMs: stampMs }];
      });
    },
  };
}

async function follow({ api, name }: Site, signal: AbortSignal): Promise<Shown[]> {
  const shown: Shown[] = [];
  for (let cursor: string | null = null; ;) {
    // Asked before reading: what was there when the end came is read once more.
    const isLast = signal.aborted;
    const { items, next }: Awaited<ReturnType<typeof api.changes>> = await api.changes(cursor);
    const shownAtMs = Date.now();
    for (const { cause } of items)
      if (cause.kind === "part" && cause.id !== null) shown.push({ record: cause.id, shownIn: name, shownAtMs });
    cursor = next;
    if (items.length > 0) continue;
    if (isLast) return shown;
    await pause(LOOK_EVERY_MS);
  }
}

/** Milliseconds that `percent` of the samples did not exceed; 0 without samples. */
export function percentileMs(samples: readonly LagSample[], percent: number): number {
  const lags = samples.map(({ acceptedAtMs, shownAtMs }) => shownAtMs - acceptedAtMs).toSorted((a, b) => a - b);
  return lags[Math.max(0, Math.ceil((lags.length * percent) / 100) - 1)] ?? 0;
}
