import { setTimeout as delay } from "node:timers/promises";

/** Waits until `look` gives something else than null, undefined or false; fails with `what` after the deadline. */
export async function until<T>(what: string, look: () => T | Promise<T>, deadlineMs = 60_000): Promise<NonNullable<Exclude<T, false>>> {
  const end = performance.now() + deadlineMs;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found as NonNullable<Exclude<T, false>>;
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`);
    await delay(5);
  }
}
