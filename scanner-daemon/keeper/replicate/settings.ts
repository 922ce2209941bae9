import type { PeerLink } from "../../../src/bus/peer.ts";

/** Opens a link to another region's message server; throws `unavailable` when that cannot be had within a few seconds. */
export type ConnectPeer = (peer: {
  readonly region: string;
  readonly url: string;
  readonly client: string;
  readonly seed: string;
}) => Promise<PeerLink>;

/** What may be tuned about replication; `REPLICATE_SETTINGS` holds the defaults. */
export type ReplicateSettings = {
  /** How often each peer is asked where it stands, with a quarter of jitter; a hole asks at once. */
  readonly askEveryMs: number;
  /** For one answer of a peer. */
  readonly askTimeoutMs: number;
  /** How long a keeper that takes the lease waits for its peers before it accepts anything. */
  readonly standUpWaitMs: number;
  /** How often we look whether the register is at rest, so that its hash is worth computing. */
  readonly restEveryMs: number;
  /** How often the region's scanners are told what need not be kept any more. */
  readonly keptEveryMs: number;
  /** First and longest pause before a lost peer, or a failed publication, is tried again. */
  readonly backoffFirstMs: number;
  readonly backoffMaxMs: number;
};

export const REPLICATE_SETTINGS: ReplicateSettings = {
  askEveryMs: 10_000,
  askTimeoutMs: 3_000,
  standUpWaitMs: 3_000,
  restEveryMs: 2_000,
  keptEveryMs: 5_000,
  backoffFirstMs: 250,
  backoffMaxMs: 5_000,
};

/** A clock that differs by more than this from those of its peers is wrong. */
export const CLOCK_OFF_MAX_MS = 5 * 60_000;

/** Pause before attempt `failures` + 1: doubled each time, with half of it left to chance. */
export function backoffMs({ backoffFirstMs, backoffMaxMs }: ReplicateSettings, failures: number): number {
  return Math.min(backoffMaxMs, backoffFirstMs * 2 ** Math.min(failures, 16)) * (0.5 + Math.random() / 2);
}
