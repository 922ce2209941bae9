import { until } from "../../bus/until.ts";
import { beat } from "./scanner-part.ts";
import type { ScannerName, World } from "./world.ts";

/** Both clocks go on, one second at a time, while only these scanners say that they live. The keeper does a round each second. */
export async function passTime(world: World, seconds: number, heard: readonly ScannerName[]): Promise<void> {
  for (let second = 0; second < seconds; second += 1) {
    world.clock.aheadMs += 1_000;
    world.clock.monotonicAheadMs += 1_000;
    const nowMs = world.nowMs();
    const askedBefore = world.state.asked;
    await until("a round of the keeper", async () => {
      for (const scanner of heard) beat(world, scanner, { sentAtMs: nowMs });
      // It asks the registry once in a second, at the beginning of a round.
      if (world.state.asked < askedBefore + 1) return false;
      const stored = (await world.ledger.scanners()).filter((one) => heard.includes(one.scanner as ScannerName));
      return stored.length === heard.length && stored.every((one) => one.sentAtMs >= nowMs);
    });
  }
}
