import type { Engine } from "../core/messages/common.ts";
import type { AssignmentKey } from "../core/messages/job.ts";
import type { ServiceRef } from "../core/messages/probe.ts";
import type { BrakeCount } from "../core/verdict/brake.ts";
import type { Page } from "./types.ts";

/** A missing service that would be closed, or come nearer to it, by a confirm of one region. */
export type ConfirmDue = ServiceRef & {
  /** The newest missing job whose chain is long enough and that this region has not confirmed. */
  readonly job: string;
  /** Trusted scanners of the region that have sighted it, the last one first; empty when the region confirms only as the job's home. */
  readonly sighters: readonly string[];
  /** Scanners that already confirmed it for this job as others than the sighter. */
  readonly confirmedBy: readonly string[];
};

/** What a tile would do to the register if it counted now. */
export type WouldMiss = BrakeCount & {
  /** Services that it would miss, those included that are missing already. */
  readonly overruled: number;
};

/** A tile-complete that the brake holds and nobody has released. */
export type HeldTile = {
  readonly job: string;
  readonly plan: string;
  readonly planId: string;
  readonly home: string;
  readonly tile: number;
  /** Record id of the held tile-complete. */
  readonly tileComplete: string;
  readonly reason: string;
  readonly heldAtMs: number;
  /** What was counted when it was written; null elsewhere than at its home. */
  readonly look: WouldMiss | null;
  /** Tile-complete of a later job of the plan, planned with this one known, for the very same pairs; null when there is none yet. */
  readonly next: string | null;
};

/** A scanner that its keeper lost and that nothing has been heard of since. */
export type LostScanner = { readonly scanner: string; readonly region: string; readonly lastHeardMs: number; readonly lostAtMs: number };

/** What a scanner of any region can run, as its own keeper said last. */
export type ScannerAbility = {
  readonly scanner: string;
  readonly region: string;
  readonly engines: readonly Engine[];
  readonly masscanVersion: string | null;
  readonly saidAtMs: number;
  /** When it was last lost, be it back or not; null for never. */
  readonly lostAtMs: number | null;
};

/** The newest stamp in the logs of one region that are held here: when something last came from there, by its own clock. */
export type RegionNews = { readonly region: string; readonly lastStampMs: number };

/** An open shard whose scanner is lost. */
export type Reassignable = AssignmentKey & {
  readonly from: string;
  /** Other members of the tile that are not lost, in the order of their places; at least one. */
  readonly candidates: readonly { readonly scanner: string; readonly region: string }[];
};

/** A running job none of whose open shards can run. */
export type BlockedJob = { readonly id: string; readonly plan: string; readonly home: string; readonly why: string };

/** What the keeper asks beyond dispatch: confirms, the brake, and who runs what. All of them read only. */
export type KeeperQueries = {
  /**
   * Missing services whose closing rule lacks a confirm of this region, in the order of their keys. Looks at no more than
   * 5,000 missing services in one call: `next` goes on from there, also when `items` is short or empty; null at the end.
   */
  confirmsDue(query: { region: string; limit: number; cursor?: string }): Promise<Page<ConfirmDue>>;
  /** What the tile's closing pass would do now, and the same summed up with the `looks` of the job's tiles before it. */
  wouldMiss(tile: { job: string; tile: number }): Promise<{ tile: WouldMiss; jobSoFar: BrakeCount }>;
  /** Sightings in one good report of each shard (the one that `completableTiles` names). */
  shardFinds(tile: { job: string; tile: number }): Promise<{ shard: number; found: number }[]>;
  /** Oldest first, at most 1,000. */
  heldTiles(query?: { home?: string; job?: string }): Promise<HeldTile[]>;
  lostScanners(): Promise<LostScanner[]>;
  /** By name; scanners of which no keeper ever said anything are not in it. */
  scannerAbilities(): Promise<ScannerAbility[]>;
  regionNews(): Promise<RegionNews[]>;
  /** Shards of running, unpaused jobs of this home; `attempt` is the new one to give out. */
  reassignable(query: { home: string; limit: number }): Promise<Reassignable[]>;
  /** Who was given this attempt, or an earlier one of the shard and has had it since, by a reassignment; null when it is the shard's own member. */
  reassigned(key: AssignmentKey): Promise<string | null>;
  blockedJobs(): Promise<BlockedJob[]>;
};
