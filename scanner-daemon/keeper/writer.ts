import { zstdCompressSync } from "node:zlib";
import { publicKeyOf, sha256Hex, signText } from "../../src/bus/keys.node.ts";
import { PortolanError } from "../../src/core/errors.ts";
import type { Receipt } from "../../src/core/messages/bus.ts";
import type { Statement } from "../../src/core/messages/record.ts";
import { signedText, statementId } from "../../src/core/statement.ts";
import type { AcceptContext, AcceptItem } from "../../src/ledger/types.ts";
import type { KeeperDeps } from "./deps.ts";
import type { LeaseHolder } from "./lease.ts";

/** What is committed together with the records. */
export type Along = Pick<AcceptContext, "finishes" | "looks">;

/** The one way into the ledger: one transaction at a time, under the lease, with durability looked at. */
export type Writer = {
  /**
   * Commits records and gives their receipts. Resolves only when they are on disk.
   * Throws `conflict` when another keeper has the lease, `unavailable` when the ledger does not answer or is not durable.
   */
  write(items: readonly AcceptItem[], along?: Along): Promise<Receipt[]>;
  /** Resolves when the next write would be sent at once: the one before is committed, though perhaps not confirmed yet. Never rejects. */
  free(): Promise<void>;
  /** Longest transaction so far, with its round trips. */
  longestCommitMs(): number;
  /** A statement of this keeper itself, signed. */
  own(statement: Statement): AcceptItem;
  /** The epoch under which this keeper works; throws `conflict` when it has none. */
  epoch(): number;
};

/** What others have to do with the writing. */
export type WriterHooks = {
  /** Why nothing may be accepted at the moment; null when it may. */
  readonly refusal: () => string | null;
  /** These are on disk now. */
  readonly onWritten: (receipts: readonly Receipt[]) => void;
};

/** Makes the writer of one keeper. While the durability of one transaction is looked at, the next one is on its way. */
export function createWriter(deps: KeeperDeps, lease: LeaseHolder, hooks: WriterHooks): Writer {
  const publicKey = publicKeyOf(deps.seed);
  const durability = watchDurability(deps, lease);
  let longestCommitMs = 0;
  let commits: Promise<void> = Promise.resolve();
  let confirms: Promise<void> = Promise.resolve();
  const epoch = (): number => {
    const current = lease.epoch();
    if (current === null) throw new PortolanError("conflict", `keeper "${deps.name}" does not have the lease of region ${deps.region}`);
    return current;
  };
  const context = (along: Along): AcceptContext => ({
    epoch: epoch(),
    nowMs: deps.nowMs(),
    sha256: sha256Hex,
    sign: (chain) => signText(deps.seed, chain),
    compress: (bytes) => zstdCompressSync(bytes),
    ...along,
  });
  const commit = (items: readonly AcceptItem[], along: Along): Promise<Committed> =>
    durability.during(async () => {
      const refusal = hooks.refusal();
      if (refusal !== null) throw new PortolanError("unavailable", refusal);
      const beganAtMs = deps.monotonicMs();
      const receipts = await deps.ledger.accept(items, context(along));
      longestCommitMs = Math.max(longestCommitMs, deps.monotonicMs() - beganAtMs);
      return receipts;
    });
  const confirm = async ({ receipts, settledBefore }: Committed): Promise<Receipt[]> => {
    await durability.confirm(settledBefore);
    epoch();
    hooks.onWritten(receipts);
    return receipts;
  };
  const noticeLoss = (error: unknown): void => {
    if (error instanceof PortolanError && error.code === "conflict") lease.lost();
  };
  return {
    write: (items, along = {}) => {
      const committed = commits.then(() => commit(items, along));
      commits = committed.then(noop, noticeLoss);
      // One after the other: a doubt that one of them finds is a doubt about all that were committed since.
      const earlier = confirms;
      const confirmed = committed.then(async (done) => {
        await earlier;
        return confirm(done);
      });
      confirms = Promise.all([earlier, confirmed.catch(noticeLoss)]).then(noop);
      return confirmed;
    },
    free: () => commits,
    longestCommitMs: () => longestCommitMs,
    own: (statement) => {
      const id = statementId(statement, sha256Hex);
      return { statement, id, author: { name: deps.name, publicKey, signature: signText(deps.seed, signedText(id)) }, payload: null };
    },
    epoch,
  };
}

type Committed = { readonly receipts: Receipt[]; readonly settledBefore: number };

const noop = (): void => undefined;

/**
 * Keeps count of doubts: a transaction may have been committed without fsync, because sqld was restarted and forgot its
 * setting. A later commit with fsync (a renewal of the lease) puts everything before it on disk too and settles them.
 */
function watchDurability(deps: Pick<KeeperDeps, "durability">, lease: Pick<LeaseHolder, "renew">) {
  let isStrong = false;
  let doubts = 0;
  let settled = 0;
  const check = async (): Promise<void> => {
    try {
      if ((await deps.durability.check()) === "restored") doubts += 1;
      isStrong = true;
    } catch (error) {
      // It may have been restored all the same.
      doubts += 1;
      isStrong = false;
      throw error;
    }
  };
  return {
    /** Runs one transaction, on a ledger that is durable as far as we know. */
    during: async (transaction: () => Promise<Receipt[]>): Promise<Committed> => {
      const settledBefore = settled;
      if (!isStrong) await check();
      try {
        return { receipts: await transaction(), settledBefore };
      } catch (error) {
        // It may have been committed all the same, and a repeat then commits nothing.
        doubts += 1;
        isStrong = false;
        throw error;
      }
    },
    /** Resolves when what was committed is on disk. */
    confirm: async (settledBefore: number): Promise<void> => {
      await check();
      if (doubts === settledBefore) return;
      const now = doubts;
      await lease.renew();
      settled = now;
    },
  };
}
