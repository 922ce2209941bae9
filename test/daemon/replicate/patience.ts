import { until as untilWithin } from "../../bus/until.ts";

/** `until` for several keepers in one process on a busy machine. */
export function until<T>(what: string, look: () => T | Promise<T>, deadlineMs = 40_000): Promise<NonNullable<Exclude<T, false>>> {
  return untilWithin(what, look, deadlineMs);
}
