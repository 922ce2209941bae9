import type { Frontier } from "../messages/common.ts";
import { type CoverFact, isIn, type ServiceFacts, type SightingFact } from "./facts.ts";

export type HistoryState = "open" | "missing" | "closed";

/** From `fromMs` (inclusive) to `toMs` (exclusive); null: still so. */
export type Interval = { readonly fromMs: number; readonly toMs: number | null; readonly state: HistoryState };

/** `first-observed`: never covered before its first sighting; `opened`: covered before, and not open. */
export type HistoryKind = "first-observed" | "opened" | "reopened" | "seen-again" | "missing" | "closed";

export type Turn = { readonly atMs: number; readonly kind: HistoryKind };

export type History = { readonly intervals: Interval[]; readonly turns: Turn[] };

/**
 * What the register would have said about a service at each moment, had every record been known when it was stamped: a pure
 * function of the records, so equal wherever they are all held. Late news may revise it; its last state is the verdict of now.
 */
export function foldHistory(facts: ServiceFacts): History {
  const intervals: Interval[] = [];
  const turns: Turn[] = [];
  let last: HistoryState | null = null;
  for (const atMs of momentsOf(facts)) {
    const state = stateAt(facts, atMs);
    if (state === last || state === null) continue;
    const before = intervals.at(-1);
    if (before !== undefined) intervals[intervals.length - 1] = { ...before, toMs: atMs };
    intervals.push({ fromMs: atMs, toMs: null, state });
    turns.push({ atMs, kind: kindOf(facts, last, state, atMs) });
    last = state;
  }
  return { intervals, turns };
}

/** The verdict from what had been accepted by that moment (inclusive); null when nobody had seen the service yet. */
export function stateAt(facts: ServiceFacts, atMs: number): HistoryState | null {
  const sightings = facts.sightings.filter(({ stampMs }) => stampMs <= atMs);
  if (sightings.length === 0) return null;
  const misses = facts.covers.filter((cover) => isCovering(cover, atMs) && dominates(cover.frontier, sightings));
  if (misses.length === 0) return "open";
  return misses.some((miss) => closes(facts, misses, miss, sightings, atMs)) ? "closed" : "missing";
}

/** Whether any of the covers counted at that moment. */
export function isCoveredAt({ covers }: ServiceFacts, atMs: number): boolean {
  return covers.some((cover) => isCovering(cover, atMs));
}

function kindOf(facts: ServiceFacts, was: HistoryState | null, state: HistoryState, atMs: number): HistoryKind {
  if (state !== "open") return state;
  if (was === null) return wasCoveredBefore(facts, atMs) ? "opened" : "first-observed";
  return was === "closed" ? "reopened" : "seen-again";
}

function wasCoveredBefore({ covers }: ServiceFacts, atMs: number): boolean {
  return covers.some((cover) => cover.looks.some(({ fromMs }) => fromMs < atMs && isCovering(cover, fromMs)));
}

/** Nothing changes between these. */
function momentsOf({ sightings, covers, confirms }: ServiceFacts): number[] {
  const moments = new Set<number>(sightings.map(({ stampMs }) => stampMs));
  const spans = [...covers.flatMap(({ looks, holds }) => [...looks, ...holds]), ...confirms.map(({ span }) => span)];
  for (const { fromMs, untilMs } of spans) {
    moments.add(fromMs);
    if (untilMs !== null) moments.add(untilMs);
  }
  for (const { completes } of covers) for (const { stampMs } of completes) moments.add(stampMs);
  return [...moments].toSorted((a, b) => a - b);
}

function isCovering({ looks, holds }: CoverFact, atMs: number): boolean {
  return looks.some((span) => isIn(span, atMs)) && !holds.some((span) => isIn(span, atMs));
}

function dominates(frontier: Frontier, positions: readonly { readonly log: string; readonly rseq: number }[]): boolean {
  return positions.every(({ log, rseq }) => rseq <= (frontier[log] ?? -1));
}

function closes(
  facts: ServiceFacts,
  misses: readonly CoverFact[],
  last: CoverFact,
  sightings: readonly SightingFact[],
  atMs: number,
): boolean {
  let ends = [...misses];
  for (let length = 1; length < last.closeAfter; length++) {
    ends = misses.filter((next) => ends.some((before) => before.job !== next.job && isKnownTo(next.frontier, before, atMs)));
  }
  if (!ends.includes(last)) return false;
  return !last.confirm || isConfirmed(facts, last, sightings, atMs);
}

/** Whether the frontier includes a tile-complete of the cover. */
function isKnownTo(frontier: Frontier, { completes }: CoverFact, atMs: number): boolean {
  return completes.some(({ log, rseq, stampMs }) => stampMs <= atMs && rseq <= (frontier[log] ?? -1));
}

function isConfirmed({ confirms }: ServiceFacts, miss: CoverFact, sightings: readonly SightingFact[], atMs: number): boolean {
  const vantages = new Set(sightings.map(({ region }) => region));
  const sighted = miss.regions.filter((region) => vantages.has(region));
  return (sighted.length > 0 ? sighted : [miss.home]).every((region) => {
    const counting = confirms.filter(
      (one) => one.region === region && isIn(one.span, atMs) && dominates(one.frontier, sightings) && isKnownTo(one.frontier, miss, atMs),
    );
    const others = new Set(counting.filter(({ basis }) => basis === "others").map(({ scanner }) => scanner));
    return counting.some(({ basis }) => basis === "sighter") || others.size >= 2;
  });
}
