import { zstdCompressSync } from "node:zlib";
import { publicKeyOf, sha256Hex, signText } from "../../src/bus/keys.node.ts";
import { PortolanError } from "../../src/core/errors.ts";
import type { Receipt } from "../../src/core/messages/bus.ts";
import type { Statement } from "../../src/core/messages/record.ts";
import { signedText, statementId } from "../../src/core/statement.ts";
import type { AcceptContext, AcceptItem } from "../../src/ledger/types.ts";
import type { KeeperDeps } from "./deps.ts";
import type { LeaseHolder } from "./lease.ts";

/** The one way into the ledger: one transaction at a time, under the lease, with durability looked at. */
export type Writer = {
  /**
   * Commits records and gives their receipts. Resolves only when they are on disk.
   * Throws `conflict` when another keeper has the lease, `unavailable` when the ledger does not answer or is not durable.
   */
  write(items: readonly AcceptItem[], finishes?: NonNullable<AcceptContext["finishes"]>): Promise<Receipt[]>;
  /** A statement of this keeper itself, signed. */
  own(statement: Statement): AcceptItem;
  /** The epoch under which this keeper works; throws `conflict` when it has none. */
  epoch(): number;
};

/** Makes the writer of one keeper. */
export function createWriter(deps: KeeperDeps, lease: LeaseHolder): Writer {
  const publicKey = publicKeyOf(deps.seed);
  let durable = false;
  let tail: Promise<unknown> = Promise.resolve();
  const epoch = (): number => {
    const current = lease.epoch();
    if (current === null) throw new PortolanError("conflict", `keeper "${deps.name}" does not have the lease of region ${deps.region}`);
    return current;
  };
  const context = (finishes: AcceptContext["finishes"]): AcceptContext => ({
    epoch: epoch(),
    nowMs: deps.nowMs(),
    sha256: sha256Hex,
    sign: (chain) => signText(deps.seed, chain),
    compress: (bytes) => zstdCompressSync(bytes),
    ...(finishes === undefined ? {} : { finishes }),
  });
  const commit = async (items: readonly AcceptItem[], finishes: AcceptContext["finishes"]): Promise<Receipt[]> => {
    if (!durable) await deps.durability.check();
    durable = false;
    const receipts = await deps.ledger.accept(items, context(finishes));
    // sqld may have been restarted in between, and then commits without fsync. A later commit with fsync puts
    // everything before it on disk too.
    if ((await deps.durability.check()) === "restored") await lease.renew();
    epoch();
    durable = true;
    return receipts;
  };
  return {
    write: (items, finishes) => {
      const result = tail.then(() => commit(items, finishes));
      tail = result.catch((error: unknown) => {
        if (error instanceof PortolanError && error.code === "conflict") lease.lost();
      });
      return result;
    },
    own: (statement) => {
      const id = statementId(statement, sha256Hex);
      return { statement, id, author: { name: deps.name, publicKey, signature: signText(deps.seed, signedText(id)) }, payload: null };
    },
    epoch,
  };
}
