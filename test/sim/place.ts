import type { Random } from "../ledger/history.ts";
import type { Truth } from "./truth.ts";

/** How an engine that does not do its work may end. All of them look like an ordinary run from far away. */
export const LIES = [
  /** Ends with code 0 and a resume file, as masscan does on SIGINT. */
  "interrupted",
  /** Ends with code 0 in the middle and says nothing. */
  "silent",
  /** Leaves its last wait early, before late answers came. */
  "hasty",
  "killed",
  /** A line that is none, in place of an answer. */
  "garbled",
  /** Ends with code 0 within a line. */
  "cut",
  /** The interface drops answers. */
  "dropping",
  /** Says that something failed, and goes on without some targets. */
  "failing",
  /** Works with another rate than it was told, and so with another order of pairs. */
  "stubborn",
  /** The engine cannot probe some pairs, or its child dies. */
  "erring",
] as const;
export type Lie = (typeof LIES)[number];

/** Where a scanner stands: what it sees of the network, and what goes wrong there. */
export class Place {
  readonly truth: Truth;
  /** No answer comes through. Ends only between runs: nothing could notice a shorter one. */
  blind = false;
  offloadsOn = false;
  /** As ethtool said it the last time: what changes within a run is nobody's fault. */
  offloadsSeen = false;
  drops = 0;
  /** Probers that live now: a run has one from its first canary to its last. */
  probers = 0;
  lieChance = 0;
  hangChance = 0;
  lies: readonly Lie[] = LIES;

  constructor(truth: Truth) {
    this.truth = truth;
  }

  /** Whether the next masscan is one that does not do as it is told. */
  isStubborn(random: Random): boolean {
    return this.lies.includes("stubborn") && random.chance(this.lieChance);
  }

  /** How the next run goes; null is honest. */
  nextLie(random: Random): Lie | null {
    return this.lies.length > 0 && random.chance(this.lieChance) ? random.pick(this.lies) : null;
  }
}
