import { PortolanError } from "../../src/core/errors.ts";
import { type AddressRange, normaliseRanges } from "../../src/core/range.ts";
import type { InterruptedJob } from "../../src/ledger/types.ts";
import type { KeeperDeps } from "./deps.ts";
import type { Schedule } from "./schedule.ts";
import type { Specs } from "./specs.ts";

/** Tiles that are read for one follow-up; with more it covers its whole plan. */
const TILES_MAX = 2_000;
/** What could not be planned is tried again after this time. */
const RETRY_MS = 30_000;
const TRIED_KEPT_MAX = 1_000;

/**
 * Starts a job for the rest of the tiles that a deny or an exclusion ended: their addresses, without what must not be probed by now. It
 * waits for the end of the interrupted job; a job of the plan that was started meanwhile, for whatever cause, takes its place.
 */
export function createFollowUps(
  deps: KeeperDeps,
  { schedule, specs }: { readonly schedule: Schedule; readonly specs: Specs },
): { run(): Promise<void> } {
  const tried = new Map<string, number>();
  return {
    run: async () => {
      for (const job of await deps.ledger.interruptedJobs(deps.region)) {
        if (deps.monotonicMs() - (tried.get(job.id) ?? -Infinity) < RETRY_MS) continue;
        const isFirst = !tried.has(job.id);
        if (tried.size >= TRIED_KEPT_MAX) tried.clear();
        tried.set(job.id, deps.monotonicMs());
        try {
          await schedule.startRest(job.planId, await addressesOf(job, specs));
        } catch (error) {
          if (!(error instanceof PortolanError) || error.code === "unavailable") throw error;
          if (isFirst) deps.log.info(`no follow-up of job ${job.id}: ${error.message}`);
        }
      }
    },
  };
}

/** Null: all that the plan has. */
async function addressesOf({ id, tiles }: InterruptedJob, specs: Specs): Promise<AddressRange[] | null> {
  const facts = await specs.get(id);
  const count = tiles.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  if (facts === null || count > TILES_MAX || count >= facts.tiling.count) return null;
  const ranges: AddressRange[] = [];
  for (const { first, last } of tiles) {
    for (let tile = first; tile <= last; tile += 1) ranges.push(...facts.tiling.tileAt(tile).ranges);
  }
  return normaliseRanges(ranges);
}
