import type { Protocol } from "../core/port.ts";
import type { SearchContext } from "./search/query.ts";
import type { ServiceState } from "./types.ts";

/** In the order of the column `kind`. `seen-again`: missing, and then seen. `unmonitored`: covered once, and in no plan any more. */
export const CHANGE_KINDS = [
  "first-observed",
  "opened",
  "reopened",
  "seen-again",
  "missing",
  "closed",
  "unmonitored",
  "known-good-closed",
  "job-held",
] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** What made it so: a record by its id (the job whose miss counted, not its tile-complete), or null for what is no record. */
export type ChangeCause = {
  readonly kind: "job" | "part" | "upload" | "probe" | "release" | "tile-complete" | "withdrawal" | "rule";
  readonly id: string | null;
};

export type Change = {
  /** Of this region's feed: rises, never given twice. */
  readonly n: number;
  readonly kind: ChangeKind;
  /** Null, as are protocol, port and state, when it is about a job and no service (`job-held`). */
  readonly address: string | null;
  readonly protocol: Protocol | null;
  readonly port: number | null;
  /** Null when the service was not in the register before. */
  readonly was: ServiceState | null;
  readonly state: ServiceState | null;
  readonly job: string | null;
  readonly cause: ChangeCause;
  /** Stamp of the newest record when this ledger came to know it. */
  readonly atMs: number;
};

export type ChangeQuery = {
  /** 1 … 1,000; default 100. */
  readonly limit?: number;
  /** `next` of the page before; with `oldest` any `n`, from which on (exclusive) changes are wanted. */
  readonly cursor?: string;
  /** Default `newest`, for pages; `oldest` for readers that follow the feed: then `next` is never null. */
  readonly first?: "newest" | "oldest";
  readonly kinds?: readonly ChangeKind[];
  /** Terms about the kind of change, and about the address, port or protocol of its service: others are refused as `invalid`. */
  readonly matching?: Pick<SearchContext, "filter" | "groups">;
};
