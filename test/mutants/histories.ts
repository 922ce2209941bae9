import type { JobSpec } from "../../src/core/messages/job.ts";
import { deliveryOf, historyOf, randomOf } from "../ledger/history.ts";
import { openMemoryDatabase } from "../ledger/memory-database.ts";
import { deliver, ORDERS, OWN_LOG } from "../ledger/projection-check.ts";
import { failureText, type Killer } from "./killer.ts";

const STEPS = 28;

/**
 * Random histories, delivered in one random order each: the projection against the reference fold. A mistake in one of the
 * two shows as a difference. The strong policy hides mistakes of acceptance, so each rule is tried under the weakest policy
 * that has it.
 */
export function historiesKiller(policy: JobSpec["policy"], histories: number): Killer {
  return async (mutate) => {
    const database = openMemoryDatabase(mutate);
    try {
      for (let seed = 1; seed <= histories; seed++) {
        const random = randomOf(seed);
        const items = historyOf(random, STEPS, policy);
        database.clear();
        const own = random.chance(0.5) ? items.filter(({ acceptance }) => acceptance.log === OWN_LOG) : null;
        try {
          await deliver(database, random, deliveryOf(random, items, random.pick(ORDERS)), own, { comparisons: 0, states: {} });
        } catch (error) {
          return `history ${seed}: ${failureText(error)}`;
        }
      }
      return null;
    } finally {
      database.close();
    }
  };
}
