import { canaryProblems } from "../../src/core/masscan/outcome.ts";
import type { Canary } from "../../src/core/messages/job.ts";
import type { Probe } from "../../src/core/messages/probe.ts";
import { askCanaries } from "./place.ts";
import type { SharedProber } from "./shared-prober.ts";

/** A look that knows when it began and ended; see `Probe`. */
export type TimedLook = Pick<Probe, "results" | "startedAtMs" | "endedAtMs">;

/**
 * Looks between two rounds of canaries, which go the way of the look itself. Unless a majority answers both times the scanner
 * may be blind: then what was not seen open is an `error`. Without canaries it only looks. Rejects when the look does.
 */
export async function lookBetweenCanaries(
  prober: SharedProber,
  canaries: readonly Canary[],
  look: () => Promise<TimedLook>,
): Promise<TimedLook & Pick<Probe, "evidence">> {
  if (canaries.length === 0) return look();
  return prober.use(async (asked) => {
    const canariesBefore = await askCanaries(asked, canaries);
    const seen = await look();
    const canariesAfter = await askCanaries(asked, canaries);
    const evidence = { canariesBefore, canariesAfter };
    const isBlind = canaryProblems(evidence, { canaries: [...canaries] }).length > 0;
    return { ...seen, evidence, results: isBlind ? seen.results.map(withoutSilence) : seen.results };
  });
}

type Result = Probe["results"][number];

function withoutSilence(result: Result): Result {
  return result.answer === "open" ? result : { ...result, answer: "error" };
}
