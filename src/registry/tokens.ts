import { and, count, eq, gt, isNull, lt, notExists, or, sql } from "drizzle-orm";
import { PortolanError } from "../core/errors.ts";
import { type Query, type RowOf, build, readRows } from "./query.ts";
import { LIMITS, clip } from "./rules/change.ts";
import { token } from "./schema.ts";
import type { Store } from "./store.ts";
import { equalConstantTime, parseToken, tokenText } from "./token.ts";
import type { Role, TokenInfo } from "./types.ts";

/** A new token: its text is shown this once and stored nowhere. */
export type IssuedToken = { readonly info: TokenInfo; readonly text: string };

/** What a person gives for a new token. */
export type TokenInput = { readonly name: string; readonly role: Role; readonly expiresAtMs: number | null };

/** Tokens live beside the versioned configuration: using one does not move its version. */
export type Tokens = {
  /** Throws `conflict` when a valid token has this name. */
  issue(input: TokenInput): Promise<IssuedToken>;
  list(): Promise<TokenInfo[]>;
  /** Repeating it changes nothing. Throws `not-found`. */
  revoke(id: string): Promise<void>;
  /** The token, when it is known, not expired and not revoked; null otherwise. A revoked one may pass for another second. */
  verify(text: string, defer?: (work: Promise<unknown>) => void): Promise<TokenInfo | null>;
};

const CACHE_MS = 1_000;
const CACHE_ENTRIES_MAX = 1_000;
const TOUCH_EVERY_MS = 5 * 60_000;
const COLUMNS = {
  id: token.id,
  name: token.name,
  role: token.role,
  createdAtMs: token.createdAtMs,
  expiresAtMs: token.expiresAtMs,
  revokedAtMs: token.revokedAtMs,
  lastUsedAtMs: token.lastUsedAtMs,
};
const COLUMNS_WITH_HASH = { ...COLUMNS, hash: token.hash };
const LIST = readRows(COLUMNS, { from: token, orderBy: [token.createdAtMs, token.id], limit: LIMITS.tokens });

type Cached = { readonly info: TokenInfo; readonly readAtMs: number };

export function openTokens(deps: { readonly replica: Store; readonly primary: Store; readonly clock: () => number }): Tokens {
  const cache = new Map<string, Cached>();
  return {
    issue: (input) => issue(deps.primary, input, deps.clock()),
    list: async () => {
      const [tokens] = await deps.replica.read(LIST);
      return tokens;
    },
    revoke: async (id) => {
      await revoke(deps.primary, id, deps.clock());
      cache.clear();
    },
    verify: async (text, defer) => {
      const parsed = await parseToken(text);
      if (parsed === null) return null;
      const nowMs = deps.clock();
      const info = await lookUp(deps, parsed, { cache, nowMs });
      if (info === null || info.revokedAtMs !== null || (info.expiresAtMs !== null && info.expiresAtMs <= nowMs)) return null;
      if (nowMs - (info.lastUsedAtMs ?? 0) > TOUCH_EVERY_MS) {
        remember(cache, parsed.hash, { info: { ...info, lastUsedAtMs: nowMs }, readAtMs: nowMs });
        const work = touch(deps.primary, info.id, nowMs);
        if (defer === undefined) void work;
        else defer(work);
      }
      return info;
    },
  };
}

type Lookup = { readonly cache: Map<string, Cached>; readonly nowMs: number };

async function lookUp(
  deps: { replica: Store; primary: Store },
  wanted: { id: string; hash: string },
  { cache, nowMs }: Lookup,
): Promise<TokenInfo | null> {
  const cached = cache.get(wanted.hash);
  if (cached !== undefined && nowMs - cached.readAtMs < CACHE_MS) return cached.info;
  let row = await readToken(deps.replica, wanted.id);
  // A replica may not have a token yet that was made a moment ago.
  if (row === undefined && deps.primary.url !== deps.replica.url) row = await readToken(deps.primary, wanted.id);
  if (row === undefined) return null;
  const { hash, ...info } = row;
  if (!equalConstantTime(hash, wanted.hash)) return null;
  remember(cache, wanted.hash, { info, readAtMs: nowMs });
  return info;
}

async function readToken(store: Store, id: string): Promise<RowOf<typeof COLUMNS_WITH_HASH> | undefined> {
  const [rows] = await store.read(readRows(COLUMNS_WITH_HASH, { from: token, where: eq(token.id, id), orderBy: [token.id] }));
  return rows[0];
}

function remember(cache: Map<string, Cached>, hash: string, entry: Cached): void {
  if (cache.size >= CACHE_ENTRIES_MAX) cache.clear();
  cache.set(hash, entry);
}

async function issue(primary: Store, input: TokenInput, nowMs: number): Promise<IssuedToken> {
  const name = input.name.trim();
  if (name === "" || name.length > 100)
    throw new PortolanError("invalid", "a token needs a name of 1 to 100 characters that says who uses it");
  if (input.expiresAtMs !== null && input.expiresAtMs <= nowMs) {
    throw new PortolanError(
      "invalid",
      `the token would already have expired at ${new Date(input.expiresAtMs).toISOString()}; give a later time or none`,
    );
  }
  const text = tokenText(crypto.getRandomValues(new Uint8Array(36)));
  const parsed = await parseToken(text);
  if (parsed === null) throw new PortolanError("internal", "a new token does not pass its own check");
  const info: TokenInfo = {
    id: parsed.id,
    name,
    role: input.role,
    createdAtMs: nowMs,
    expiresAtMs: input.expiresAtMs,
    revokedAtMs: null,
    lastUsedAtMs: null,
  };
  const [inserted] = await primary.write([
    insertUnlessTaken(info, parsed.hash),
    // Tokens that ended long ago make room.
    build.delete(token).where(lt(sql`coalesce(${token.revokedAtMs}, ${token.expiresAtMs})`, nowMs - 90 * 86_400_000)),
  ]);
  if (inserted?.rowsAffected !== 1) {
    throw new PortolanError(
      "conflict",
      `a valid token named "${clip(name)}" exists already; revoke it first or choose another name (at most ${LIMITS.tokens} tokens)`,
    );
  }
  return { info, text };
}

/** Inserts nothing when a valid token has the name, or when there are too many. */
function insertUnlessTaken(info: TokenInfo, hash: string): Query {
  const isValid = and(isNull(token.revokedAtMs), or(isNull(token.expiresAtMs), gt(token.expiresAtMs, info.createdAtMs)));
  const namesake = build
    .select({ id: token.id })
    .from(token)
    .where(and(eq(token.name, info.name), isValid));
  const total = build.select({ n: count() }).from(token);
  return build.insert(token).select((select) =>
    select
      .select({
        id: sql<string>`${info.id}`.as("id"),
        name: sql<string>`${info.name}`.as("name"),
        role: sql<Role>`${info.role}`.as("role"),
        hash: sql<string>`${hash}`.as("hash"),
        createdAtMs: sql<number>`${info.createdAtMs}`.as("created_at_ms"),
        expiresAtMs: sql<number | null>`${info.expiresAtMs}`.as("expires_at_ms"),
        revokedAtMs: sql<null>`null`.as("revoked_at_ms"),
        lastUsedAtMs: sql<null>`null`.as("last_used_at_ms"),
      })
      .from(sql`(select 1)`)
      .where(and(notExists(namesake), lt(sql`(${total})`, LIMITS.tokens))),
  );
}

async function revoke(primary: Store, id: string, nowMs: number): Promise<void> {
  const [, found] = await primary.write([
    build
      .update(token)
      .set({ revokedAtMs: nowMs })
      .where(and(eq(token.id, id), isNull(token.revokedAtMs))),
    build.select({ id: token.id }).from(token).where(eq(token.id, id)),
  ]);
  if (found?.rows.length !== 1) throw new PortolanError("not-found", `there is no token "${clip(id)}"; list them with "portolan token ls"`);
}

/** Best effort: who last used a token when is for people. */
async function touch(primary: Store, id: string, nowMs: number): Promise<void> {
  try {
    const lastUsedAtMs = sql`max(coalesce(${token.lastUsedAtMs}, 0), ${nowMs})`;
    await primary.write([build.update(token).set({ lastUsedAtMs }).where(eq(token.id, id))]);
  } catch {
    // The registry's home may be away for a while; requests go on without it.
  }
}
