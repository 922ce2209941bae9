import type { Row } from "@libsql/client/web";
import { z } from "zod";
import { PortolanError } from "../core/errors.ts";
import { LIMITS, clip } from "./rules/change.ts";
import type { Store } from "./store.ts";
import { equalConstantTime, parseToken, tokenText } from "./token.ts";
import { ROLES, type Role, type TokenInfo } from "./types.ts";

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
const COLUMNS = "id, name, role, created_at_ms, expires_at_ms, revoked_at_ms, last_used_at_ms, hash";

const rowSchema = z.object({
  id: z.string(),
  name: z.string(),
  role: z.enum(ROLES),
  created_at_ms: z.int(),
  expires_at_ms: z.int().nullable(),
  revoked_at_ms: z.int().nullable(),
  last_used_at_ms: z.int().nullable(),
  hash: z.string(),
});

type Cached = { readonly info: TokenInfo; readonly readAtMs: number };

export function openTokens(deps: { readonly replica: Store; readonly primary: Store; readonly clock: () => number }): Tokens {
  const cache = new Map<string, Cached>();
  return {
    issue: (input) => issue(deps.primary, input, deps.clock()),
    list: async () => {
      const [result] = await deps.replica.read([
        { sql: `select ${COLUMNS} from token order by created_at_ms, id limit ?`, args: [LIMITS.tokens] },
      ]);
      return (result?.rows ?? []).map((row) => parseRow(row).info);
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
  token: { id: string; hash: string },
  { cache, nowMs }: Lookup,
): Promise<TokenInfo | null> {
  const cached = cache.get(token.hash);
  if (cached !== undefined && nowMs - cached.readAtMs < CACHE_MS) return cached.info;
  const statement = { sql: `select ${COLUMNS} from token where id = ?`, args: [token.id] };
  let row = (await deps.replica.read([statement]))[0]?.rows[0];
  // A replica may not have a token yet that was made a moment ago.
  if (row === undefined && deps.primary.url !== deps.replica.url) row = (await deps.primary.read([statement]))[0]?.rows[0];
  if (row === undefined) return null;
  const { info, hash } = parseRow(row);
  if (!equalConstantTime(hash, token.hash)) return null;
  remember(cache, token.hash, { info, readAtMs: nowMs });
  return info;
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
  const valid = "revoked_at_ms is null and (expires_at_ms is null or expires_at_ms > ?)";
  const [inserted] = await primary.write([
    {
      sql: `insert into token(id, name, role, hash, created_at_ms, expires_at_ms)
        select ?, ?, ?, ?, ?, ? where not exists (select 1 from token where name = ? and ${valid}) and (select count(*) from token) < ?`,
      args: [parsed.id, name, input.role, parsed.hash, nowMs, input.expiresAtMs, name, nowMs, LIMITS.tokens],
    },
    // Tokens that ended long ago make room.
    { sql: "delete from token where coalesce(revoked_at_ms, expires_at_ms) < ?", args: [nowMs - 90 * 86_400_000] },
  ]);
  if (inserted?.rowsAffected !== 1) {
    throw new PortolanError(
      "conflict",
      `a valid token named "${clip(name)}" exists already; revoke it first or choose another name (at most ${LIMITS.tokens} tokens)`,
    );
  }
  const info: TokenInfo = {
    id: parsed.id,
    name,
    role: input.role,
    createdAtMs: nowMs,
    expiresAtMs: input.expiresAtMs,
    revokedAtMs: null,
    lastUsedAtMs: null,
  };
  return { info, text };
}

async function revoke(primary: Store, id: string, nowMs: number): Promise<void> {
  const [, found] = await primary.write([
    { sql: "update token set revoked_at_ms = ? where id = ? and revoked_at_ms is null", args: [nowMs, id] },
    { sql: "select 1 from token where id = ?", args: [id] },
  ]);
  if (found?.rows.length !== 1) throw new PortolanError("not-found", `there is no token "${clip(id)}"; list them with "portolan token ls"`);
}

/** Best effort: who last used a token when is for people. */
async function touch(primary: Store, id: string, nowMs: number): Promise<void> {
  try {
    await primary.write([
      { sql: "update token set last_used_at_ms = max(coalesce(last_used_at_ms, 0), ?) where id = ?", args: [nowMs, id] },
    ]);
  } catch {
    // The registry's home may be away for a while; requests go on without it.
  }
}

function parseRow(row: Row): { info: TokenInfo; hash: string } {
  const value = rowSchema.parse({ ...row });
  const info: TokenInfo = {
    id: value.id,
    name: value.name,
    role: value.role,
    createdAtMs: value.created_at_ms,
    expiresAtMs: value.expires_at_ms,
    revokedAtMs: value.revoked_at_ms,
    lastUsedAtMs: value.last_used_at_ms,
  };
  return { info, hash: value.hash };
}
