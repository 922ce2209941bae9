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
  /** No answer comes through. */
  blind = false;
  /** Whether it sees again as soon as nothing looks. */
  #seesSoon = false;
  offloadsOn = false;
  /** As ethtool said it the last time: what changes within a run is nobody's fault. */
  offloadsSeen = false;
  drops = 0;
  /** Probers that live now: a run has one from its first canary to its last. */
  #probers = 0;
  lieChance = 0;
  hangChance = 0;
  lies: readonly Lie[] = LIES;

  constructor(truth: Truth) {
    this.truth = truth;
  }

  goBlind(): void {
    this.blind = true;
    this.#seesSoon = false;
  }

  /** Sight comes back now, or at the end of what looks now: a run that looked before and after cannot have been blind in between only. */
  seeAgain(): void {
    this.#seesSoon = true;
    this.#look();
  }

  /** Whether something looks from here now. */
  isLooking(): boolean {
    return this.#probers > 0;
  }

  proberStarts(): void {
    this.#probers += 1;
  }

  proberEnds(): void {
    this.#probers -= 1;
    this.#look();
  }

  #look(): void {
    if (!this.#seesSoon || this.#probers > 0) return;
    this.blind = false;
    this.#seesSoon = false;
  }

  /** Whether the next masscan is one that does not do as it is told. */
  isStubborn(random: Random): boolean {
    return this.lies.includes("stubborn") && random.chance(this.lieChance);
  }

  /** Whether the next connects are ones that go wrong here. */
  isErring(random: Random): boolean {
    return this.lies.includes("erring") && random.chance(this.lieChance);
  }

  /** How the next run of masscan goes; null is honest. */
  nextLie(random: Random): Lie | null {
    const lies = this.lies.filter((lie) => lie !== "stubborn" && lie !== "erring");
    return lies.length > 0 && random.chance(this.lieChance) ? random.pick(lies) : null;
  }
}
