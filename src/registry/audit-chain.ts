import { sha256Hex } from "./token.ts";

/** One change of the registry. */
export type AuditEntry = {
  /** 1, 2, 3 … without holes. */
  readonly seq: number;
  readonly atMs: number;
  /** Name of the token, or the part of the program that did it. */
  readonly actor: string;
  readonly tokenId: string | null;
  readonly requestId: string | null;
  /** `kind.verb`. */
  readonly action: string;
  readonly kind: string;
  readonly key: string;
  /** JSON text of what changed; null: it was not there. */
  readonly before: string | null;
  readonly after: string | null;
  /** SHA-256 over this entry and the hash of the one before it, hex. */
  readonly hash: string;
};

/** End of the chain. */
export type AuditHead = { readonly seq: number; readonly hash: string };

/** Before the first entry. */
export const CHAIN_START: AuditHead = { seq: 0, hash: "0".repeat(64) };

/** Where a chain is broken, in words; null: it is whole. */
export type ChainCheck = { readonly head: AuditHead; readonly problem: string | null };

/** The hash of an entry that follows `before`. */
export async function chainedHash(before: AuditHead, entry: Omit<AuditEntry, "hash">): Promise<string> {
  const { seq, atMs, actor, tokenId, requestId, action, kind, key } = entry;
  return sha256Hex(
    JSON.stringify(["portolan.audit/1", before.hash, seq, atMs, actor, tokenId, requestId, action, kind, key, entry.before, entry.after]),
  );
}

/**
 * Checks the entries that follow `from`, in order. A row that was altered, removed or put in shows here; rows cut off at the end show only to
 * whoever kept an earlier head.
 */
export async function verifyChain(from: AuditHead, entries: readonly AuditEntry[]): Promise<ChainCheck> {
  let head = from;
  for (const entry of entries) {
    if (entry.seq !== head.seq + 1) {
      return {
        head,
        problem: `after entry ${head.seq} comes ${entry.seq}: ${entry.seq > head.seq + 1 ? "some were removed" : "it stands twice"}`,
      };
    }
    if ((await chainedHash(head, entry)) !== entry.hash) {
      return { head, problem: `entry ${entry.seq} (${entry.action} of "${entry.key.slice(0, 80)}") is not what was written` };
    }
    head = { seq: entry.seq, hash: entry.hash };
  }
  return { head, problem: null };
}
