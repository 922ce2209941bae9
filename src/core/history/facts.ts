import type { Frontier } from "../messages/common.ts";

/** Where and when a ledger accepted a record. `stampMs` is for people and history: no verdict uses it. */
export type StampedPosition = { readonly log: string; readonly rseq: number; readonly stampMs: number };

/** From `fromMs` (inclusive) to `untilMs` (exclusive); null for ever. */
export type Span = { readonly fromMs: number; readonly untilMs: number | null };

/** One position of a record that says that the service was open. `region`: whose scanner saw it; null for uploads. */
export type SightingFact = StampedPosition & { readonly region: string | null };

/** A job whose tile holds the service, with the spans in which the records that had been accepted by then made it count. */
export type CoverFact = {
  readonly job: string;
  readonly frontier: Frontier;
  readonly closeAfter: number;
  readonly confirm: boolean;
  readonly home: string;
  readonly regions: readonly string[];
  /** Positions of all tile-completes of the tile. */
  readonly completes: readonly StampedPosition[];
  /** When each tile-complete had all that it names: counted while any one of them holds … */
  readonly looks: readonly Span[];
  /** … and none of these does: the brake held the tile. */
  readonly holds: readonly Span[];
};

/** A negative answer of a probe, from when its order's frontier was held until its key was revoked. */
export type ConfirmFact = {
  readonly region: string;
  readonly scanner: string;
  readonly basis: "sighter" | "others";
  readonly frontier: Frontier;
  readonly span: Span;
};

/** Everything that the records say about one service. */
export type ServiceFacts = {
  readonly sightings: readonly SightingFact[];
  readonly covers: readonly CoverFact[];
  readonly confirms: readonly ConfirmFact[];
};

/** Whether the moment lies in the span. */
export function isIn({ fromMs, untilMs }: Span, atMs: number): boolean {
  return fromMs <= atMs && (untilMs === null || atMs < untilMs);
}
