import { sha256Hex } from "../../../src/bus/keys.node.ts";
import { PortolanError } from "../../../src/core/errors.ts";
import type { Receipt } from "../../../src/core/messages/bus.ts";
import type { StandsReply } from "../../../src/core/messages/peer.ts";
import type { Ledger } from "../../../src/ledger/types.ts";
import type { LogStand } from "../../../src/ledger/peer-types.ts";
import type { Log } from "../../log.ts";
import type { Asker } from "./ask.ts";
import { linkProblem } from "./link.ts";

/**
 * Watches that the log that we continue is the one that our peers know. A ledger that was restored, or rolled back, would give
 * numbers a second time, and a frontier of before would then overrule sightings of now.
 */
export type OwnLog = {
  /** The log that is continued; null before `begin`. */
  id(): string | null;
  begin(log: string): void;
  /** Highest number of the log that was committed here; null when nothing was since the start. */
  newest(): number | null;
  /** What was committed: the log may never be found before it again. */
  committed(receipts: readonly Receipt[]): void;
  /**
   * Compares with what a peer holds of the log, and lets go of it when the peer proves that it holds more, or something else.
   * Throws `invalid` when it says so without proof.
   */
  check(asker: Asker, reply: StandsReply): Promise<void>;
  /**
   * Ends the time of asking: with peers that gave no answer the log is not continued, because one of them may know more of it. Null: it
   * is not even known who they are.
   */
  settle(silent: readonly string[] | null): Promise<void>;
};

type OwnLogDeps = {
  readonly region: string;
  readonly ledger: Pick<Ledger, "logStands" | "chainAt" | "retireLog">;
  readonly epoch: () => number;
  readonly mintLogId: () => string;
  readonly sign: (chain: string) => string;
  readonly keys: (region: string) => readonly string[];
  /** The log is another one from now on. */
  readonly onRetired: () => Promise<void>;
  readonly log: Log;
};

/** Makes the watch of one keeper; it remembers over terms what it has seen. */
export function createOwnLog(deps: OwnLogDeps): OwnLog {
  let id: string | null = null;
  let seen = { log: "", rseq: -1 };
  let trusted = "";
  let turn: Promise<unknown> = Promise.resolve();
  const own = async (): Promise<LogStand | undefined> => (await deps.ledger.logStands()).find((stand) => stand.own);
  const retire = async (reason: string, common?: number): Promise<void> => {
    const fork = common === undefined ? {} : { fork: { above: common, sha256: sha256Hex, sign: deps.sign } };
    const { log } = await deps.ledger.retireLog(deps.mintLogId, { epoch: deps.epoch(), reason, ...fork });
    deps.log.warning(`log ${id} is not continued: ${reason}; the new one is ${log}`);
    id = log;
    trusted = log;
    await deps.onRetired();
  };
  const check = async (asker: Asker, reply: StandsReply): Promise<void> => {
    const theirs = reply.stands.find((stand) => stand.log === id);
    if (theirs === undefined || theirs.prefix < 0) return;
    // Ours is read after the peer's answer: a peer never holds what we have not committed before.
    const mine = await own();
    if (mine?.log !== theirs.log) return;
    const shared = Math.min(theirs.prefix, mine.prefix);
    const ours = shared < 0 ? "" : await deps.ledger.chainAt({ log: theirs.log, rseq: shared });
    const isSame = shared < 0 || (await chainOf(asker, theirs, shared)) === ours;
    if (isSame && theirs.prefix <= mine.prefix) return;
    await prove(asker, theirs, isSame ? null : ours, deps.keys(deps.region));
    if (isSame) await retire(`region "${asker.region}" holds it up to ${theirs.prefix}, this ledger only up to ${mine.prefix}`);
    else
      await retire(
        `region "${asker.region}" holds other records of it; what only this ledger holds moves to the new one`,
        await lastCommon(deps.ledger, asker, { log: theirs.log, below: shared }),
      );
  };
  return {
    id: () => id,
    begin: (log) => void (id = log),
    newest: () => (seen.log === id ? seen.rseq : null),
    committed: (receipts) => {
      for (const { log, rseq } of receipts) if (log !== seen.log || rseq > seen.rseq) seen = { log, rseq };
    },
    check: (asker, reply) => {
      const done = turn.then(() => check(asker, reply));
      turn = done.catch(() => undefined);
      return done;
    },
    settle: async (silent) => {
      const mine = await own();
      if (mine === undefined) return;
      if (seen.log === mine.log && mine.highest < seen.rseq)
        await retire(`this ledger went back from record ${seen.rseq} to ${mine.highest}`);
      else if (silent?.length !== 0 && mine.highest >= 0 && trusted !== mine.log) {
        const names = silent?.map((name) => `"${name}"`).join(", ") ?? "unknown";
        await retire(`other regions (${names}) could not be asked whether more of it is known there`);
      } else trusted = mine.log;
    },
  };
}

async function chainOf(asker: Asker, theirs: LogStand, rseq: number): Promise<string | null> {
  return rseq === theirs.prefix ? theirs.chain : asker.chain({ log: theirs.log, rseq });
}

/** A peer that only says so must not make us begin a new log again and again: it has to show a record that our keeper signed. */
async function prove(asker: Asker, theirs: LogStand, ours: string | null, keys: readonly string[]): Promise<void> {
  const { log, prefix: rseq } = theirs;
  const [record] = await asker.records({ log, from: rseq, limit: 1 });
  const previous = rseq === 0 ? "" : await asker.chain({ log, rseq: rseq - 1 });
  const isProof =
    record !== undefined &&
    previous !== null &&
    record.acceptance.log === log &&
    record.acceptance.chain !== ours &&
    linkProblem(record, { next: rseq, chain: previous }, keys) === null;
  if (isProof) return;
  throw new PortolanError(
    "invalid",
    `region "${asker.region}" claims to know record ${rseq} of our log ${log} and cannot show it; rebuild its ledger from its peers`,
  );
}

/** Highest number at which both chains are equal; -1 for none. Chains that differ once differ for ever after; they do at `below`. */
async function lastCommon(
  ledger: Pick<Ledger, "chainAt">,
  asker: Asker,
  { log, below }: { readonly log: string; readonly below: number },
): Promise<number> {
  let low = -1;
  let high = below - 1;
  while (low < high) {
    const rseq = Math.ceil((low + high) / 2);
    const [theirs, ours] = [await asker.chain({ log, rseq }), await ledger.chainAt({ log, rseq })];
    if (theirs !== null && theirs === ours) low = rseq;
    else high = rseq - 1;
  }
  return low;
}
