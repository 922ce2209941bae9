import type { ServiceFacts } from "./facts.ts";
import { isCoveredAt, stateAt } from "./fold.ts";

/** A moment, or a job: then only what that job covered can be compared. */
export type Point = { readonly atMs: number; readonly job: string | null };

/** `not-comparable`: open at one of the points, and not covered at the other: no news, only a wider or narrower look. */
export type Difference = "appeared" | "disappeared" | "not-comparable" | "same";

/** How the service differs between two points. Missing still counts as open. */
export function differenceOf(facts: ServiceFacts, a: Point, b: Point): Difference {
  const [wasOpen, isOpen] = [isOpenAt(facts, a), isOpenAt(facts, b)];
  if (wasOpen === isOpen) return "same";
  if (!isCoveredBy(facts, a) || !isCoveredBy(facts, b)) return "not-comparable";
  return isOpen ? "appeared" : "disappeared";
}

function isOpenAt(facts: ServiceFacts, { atMs }: Point): boolean {
  const state = stateAt(facts, atMs);
  return state === "open" || state === "missing";
}

function isCoveredBy(facts: ServiceFacts, { atMs, job }: Point): boolean {
  const covers = job === null ? facts.covers : facts.covers.filter((cover) => cover.job === job);
  return isCoveredAt({ ...facts, covers }, atMs);
}
