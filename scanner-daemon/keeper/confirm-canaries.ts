import type { Canary } from "../../src/core/messages/job.ts";
import type { ServiceRef } from "../../src/core/messages/probe.ts";
import type { ConfirmDue } from "../../src/ledger/keeper-types.ts";
import type { Specs } from "./specs.ts";

/** Jobs whose canaries are remembered. */
const JOBS_KNOWN_MAX = 1_000;

/**
 * The canaries that may still be asked, of each job of which something is due. A job that had some and has none left is not among
 * them: nobody could tell who is blind.
 */
export function createCanaries(specs: Specs) {
  const known = new Map<string, readonly Canary[]>();
  return async (
    due: readonly ConfirmDue[],
    isExcluded: (target: ServiceRef) => boolean,
  ): Promise<ReadonlyMap<string, readonly Canary[]>> => {
    const left = new Map<string, readonly Canary[]>();
    for (const job of new Set(due.map((one) => one.job))) {
      const canaries = known.get(job) ?? (await specs.get(job))?.spec.canaries;
      if (canaries === undefined) continue;
      if (known.size >= JOBS_KNOWN_MAX) known.clear();
      known.set(job, canaries);
      const allowed = canaries.filter((canary) => !isExcluded({ ...canary, protocol: "tcp" }));
      if (canaries.length === 0 || allowed.length > 0) left.set(job, allowed);
    }
    return left;
  };
}
