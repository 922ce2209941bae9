import type { AcceptContext, PeerItem } from "./types.ts";

/** Where one log stands in this ledger. */
export type LogStand = {
  readonly log: string;
  /** "" while nobody has told. */
  readonly region: string;
  /** Whether this ledger continues it. */
  readonly own: boolean;
  /** Highest `rseq` up to which everything is held; -1 for none. */
  readonly prefix: number;
  /** Highest `rseq` held at all. */
  readonly highest: number;
  /** Chain hash of the record at `prefix`; "" when that is -1. Equal chains at equal numbers mean equal logs up to there. */
  readonly chain: string;
};

/** What is known of one peer; kept in the ledger, so that a restart goes on where it was. */
export type PeerState = {
  readonly region: string;
  /** Sequence in the peer's stream up to which everything was applied; 0 at the beginning. */
  readonly checkpoint: number;
  /** When it last answered; 0 when it never did. */
  readonly contactMs: number;
  /** Records that it holds and we do not, as it last said. */
  readonly behind: number;
  /** When both held the same records and had nothing put off, and their state hashes were equal. */
  readonly equalAtMs: number | null;
  /** What is wrong between us, with the remedy; null when nothing is. Two converged regions that differ say so here. */
  readonly alarm: string | null;
};

/** Records of other logs to be applied, and how far the peer's stream has been read with them. */
export type PeerBatch = {
  readonly items: readonly PeerItem[];
  /** Written in the same transaction. */
  readonly checkpoint?: { readonly region: string; readonly seq: number };
};

/** Reading a ledger for its peers. */
export type PeerQueries = {
  logStands(): Promise<LogStand[]>;
  /**
   * Records of one log from number `from` on, in order and without a hole between them, at most `limit` (≤ 256) and 4 MB (one record
   * always); empty when the first one is not held.
   */
  readLog(query: { readonly log: string; readonly from: number; readonly limit: number }): Promise<PeerItem[]>;
  /** Chain hash of one record of a log; null when it is not held. */
  chainAt(position: { readonly log: string; readonly rseq: number }): Promise<string | null>;
  /** How far the own log was handed to the region's stream: its log, and the sequence that the stream gave its last message. */
  publishedUpto(): Promise<{ readonly log: string; readonly rseq: number; readonly seq: number } | null>;
  peers(): Promise<PeerState[]>;
};

/** Writing for the keeper that has the lease; each is repeatable and writes nothing without the lease (`conflict`). */
export type PeerCommands = {
  /**
   * One transaction for each 128 records or 40,000 sightings; the checkpoint goes with the last one and never back. Throws `conflict` also
   * when another record stands at one of the positions, or for a record of the own log that is not here (`isLeaseLost` tells these
   * apart): then nothing of that transaction was written.
   */
  applyPeers(batch: PeerBatch, context: Pick<AcceptContext, "epoch" | "nowMs" | "sha256" | "compress">): Promise<void>;
  setPublished(
    at: { readonly log: string; readonly rseq: number; readonly seq: number },
    context: { readonly epoch: number },
  ): Promise<void>;
  setPeer(state: Omit<PeerState, "checkpoint">, context: { readonly epoch: number }): Promise<void>;
  /** Forgets how far a peer's stream was read, because the peer's stream is behind it: from now on it counts from 0. */
  resetCheckpoint(region: string, context: { readonly epoch: number }): Promise<void>;
  /**
   * The own log is never continued after this ledger was restored or found to be behind or different: it becomes a log like any other's,
   * and `mintLogId` names the new own one. Nothing is published of that yet. Not repeatable: a second call gives up the new log too.
   * Throws `conflict` without the lease, or when another keeper appended meanwhile.
   */
  retireLog(mintLogId: () => string, context: RetireContext): Promise<{ readonly log: string }>;
};

/** Why a log is given up, for people; and, where a peer holds other records from some number on, which of ours cannot stay there. */
export type RetireContext = {
  readonly epoch: number;
  readonly reason: string;
  /**
   * Records above this number (-1 for all) stand differently with a peer: they become the first ones of the new log, linked and
   * signed anew, and the register is rebuilt from the records, as deferred work. Nothing that was acknowledged is lost.
   */
  readonly fork?: { readonly above: number } & Pick<AcceptContext, "sha256" | "sign">;
};
