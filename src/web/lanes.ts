import { PortolanError } from "../core/errors.ts";
import type { Interval } from "../core/history/fold.ts";
import type { Service } from "../ledger/types.ts";
import type { WebLedger } from "./readers.ts";

/** When one port was open, missing, closed. `sinceMs`: null, or from when on this is whole. */
export type Lane = {
  readonly protocol: Service["protocol"];
  readonly port: number;
  readonly intervals: readonly Interval[];
  readonly sinceMs: number | null;
};

/** `left`: ports without a lane, because there are so many. `problem`: why there is no history at all. */
export type HostHistory = { readonly lanes: readonly Lane[]; readonly left: number; readonly problem: string | null };

/** Each lane is read of its own. */
const LANES_MAX = 16;

/** Lanes of the first services; never throws for history that cannot be read: the present is worth showing without it. */
export async function readLanes(ledger: WebLedger, services: readonly Service[]): Promise<HostHistory> {
  const shown = services.slice(0, LANES_MAX);
  try {
    const histories = await Promise.all(shown.map((service) => ledger.history(service)));
    const lanes = shown.flatMap(({ protocol, port }, index) => {
      const history = histories[index];
      return history === undefined || history === null ? [] : [{ protocol, port, intervals: history.intervals, sinceMs: history.sinceMs }];
    });
    return { lanes, left: services.length - shown.length, problem: null };
  } catch (error) {
    if (!(error instanceof PortolanError) || error.code === "internal") throw error;
    return { lanes: [], left: 0, problem: error.message };
  }
}

/** The part of the time line that an interval takes, in percent of its length. */
export function stretchOf(interval: Interval, line: { readonly fromMs: number; readonly toMs: number }): { x: number; width: number } {
  const length = Math.max(1, line.toMs - line.fromMs);
  const percent = (timeMs: number): number => Math.min(100, Math.max(0, (100 * (timeMs - line.fromMs)) / length));
  const x = percent(interval.fromMs);
  // What was short stays visible.
  return { x: rounded(Math.min(x, 99.6)), width: rounded(Math.max(0.4, percent(interval.toMs ?? line.toMs) - x)) };
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
