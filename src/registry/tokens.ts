import { eq, lt, sql } from "drizzle-orm";
import { PortolanError } from "../core/errors.ts";
import { AUDIT_HEAD, auditStatement, checkScope, type Done, isAuditRace, ITSELF, type Writer } from "./audit.ts";
import { type Query, type RowOf, build, readRows } from "./query.ts";
import { tagMatches } from "./resources.ts";
import { LIMITS, clip } from "./rules/change.ts";
import { token } from "./schema.ts";
import type { Store } from "./store.ts";
import { equalConstantTime, parseToken, tokenText } from "./token.ts";
import type { Role, TokenInfo, TokenScope } from "./types.ts";

/** A new token: its text is shown this once and stored nowhere. */
export type IssuedToken = { readonly info: TokenInfo; readonly text: string };

/** What a person gives for a new token. */
export type TokenInput = {
  readonly name: string;
  readonly role: Role;
  readonly expiresAtMs: number | null;
  /** Left out: everything. */
  readonly scope?: TokenScope;
};

/** Tokens live beside the versioned configuration: using one does not move its version. */
export type Tokens = {
  /** Throws `conflict` when a valid token has this name. */
  issue(input: TokenInput, by?: Writer): Promise<IssuedToken>;
  list(): Promise<TokenInfo[]>;
  /** Repeating it changes nothing. Throws `not-found`. */
  revoke(id: string, by?: Writer): Promise<void>;
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
  regions: token.regions,
  groups: token.groups,
};
const COLUMNS_WITH_HASH = { ...COLUMNS, hash: token.hash };
const LIST = readRows(COLUMNS, { from: token, orderBy: [token.createdAtMs, token.id], limit: LIMITS.tokens });

function toInfo({ regions, groups, ...info }: RowOf<typeof COLUMNS>): TokenInfo {
  return { ...info, scope: { regions, groups } };
}

type Cached = { readonly info: TokenInfo; readonly readAtMs: number };

export function openTokens(deps: { readonly replica: Store; readonly primary: Store; readonly clock: () => number }): Tokens {
  const cache = new Map<string, Cached>();
  return {
    issue: (input, by = ITSELF) => issue(deps.primary, { input, by, nowMs: deps.clock() }),
    list: async () => {
      const [tokens] = await deps.replica.read(LIST);
      return tokens.map(toInfo);
    },
    revoke: async (id, by = ITSELF) => {
      await revoke(deps.primary, { id, by, nowMs: deps.clock() });
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
  const { hash, ...columns } = row;
  if (!equalConstantTime(hash, wanted.hash)) return null;
  const info = toInfo(columns);
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

async function issue(primary: Store, { input, by, nowMs }: { input: TokenInput; by: Writer; nowMs: number }): Promise<IssuedToken> {
  const name = checkInput(input, nowMs);
  const text = tokenText(crypto.getRandomValues(new Uint8Array(36)));
  const parsed = await parseToken(text);
  if (parsed === null) throw new PortolanError("internal", "a new token does not pass its own check");
  const info: TokenInfo = {
    id: parsed.id,
    name,
    role: input.role,
    scope: input.scope ?? { regions: null, groups: null },
    createdAtMs: nowMs,
    expiresAtMs: input.expiresAtMs,
    revokedAtMs: null,
    lastUsedAtMs: null,
  };
  const { scope, ...row } = info;
  // Tokens that ended long ago make room.
  const sweep = build.delete(token).where(lt(sql`coalesce(${token.revokedAtMs}, ${token.expiresAtMs})`, nowMs - 90 * 86_400_000));
  await logged(primary, { by, nowMs }, (tokens) => {
    const namesake = tokens.some((other) => other.name === name && other.revokedAtMs === null && (other.expiresAtMs ?? nowMs + 1) > nowMs);
    if (namesake || tokens.length >= LIMITS.tokens) {
      throw new PortolanError(
        "conflict",
        `a valid token named "${clip(name)}" exists already; revoke it first or choose another name (at most ${LIMITS.tokens} tokens)`,
      );
    }
    const statements = [build.insert(token).values({ ...row, ...scope, hash: parsed.hash }), sweep];
    return { statements, done: { kind: "token", verb: "add", key: info.id, before: null, after: info } };
  });
  return { info, text };
}

function checkInput(input: TokenInput, nowMs: number): string {
  const name = input.name.trim();
  if (name === "" || name.length > 100)
    throw new PortolanError("invalid", "a token needs a name of 1 to 100 characters that says who uses it");
  if (input.expiresAtMs !== null && input.expiresAtMs <= nowMs) {
    throw new PortolanError(
      "invalid",
      `the token would already have expired at ${new Date(input.expiresAtMs).toISOString()}; give a later time or none`,
    );
  }
  return name;
}

async function revoke(primary: Store, { id, by, nowMs }: { id: string; by: Writer; nowMs: number }): Promise<void> {
  await logged(primary, { by, nowMs }, (tokens) => {
    const existing = tokens.find((candidate) => candidate.id === id);
    if (existing === undefined) {
      throw new PortolanError("not-found", `there is no token "${clip(id)}"; list them with "portolan token ls"`);
    }
    if (by.ifMatch !== null && !tagMatches(by.ifMatch, tokenRow(existing), -1)) {
      throw new PortolanError("stale", `token "${clip(id)}" was changed since you read it; read it again, then repeat with its new ETag`);
    }
    if (existing.revokedAtMs !== null) return null;
    const statement = build.update(token).set({ revokedAtMs: nowMs }).where(eq(token.id, id));
    const after = { ...existing, revokedAtMs: nowMs };
    return { statements: [statement], done: { kind: "token", verb: "revoke", key: id, before: existing, after } };
  });
}

/** What the entity tag of a token follows from: not that it was used. */
export function tokenRow(info: TokenInfo): Omit<TokenInfo, "lastUsedAtMs"> {
  const { id, name, role, scope, createdAtMs, expiresAtMs, revokedAtMs } = info;
  return { id, name, role, scope, createdAtMs, expiresAtMs, revokedAtMs };
}

const ATTEMPTS_MAX = 10;

/** A write with its row in the audit log. That row's number is taken by one writer only, so two at a time cannot both pass their checks. */
async function logged(
  primary: Store,
  { by, nowMs }: { by: Writer; nowMs: number },
  decide: (tokens: readonly TokenInfo[]) => { readonly statements: readonly Query[]; readonly done: Done } | null,
): Promise<void> {
  checkScope(by, null);
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const [head, rows] = await primary.read(AUDIT_HEAD, LIST);
    const decision = decide(rows.map(toInfo));
    if (decision === null) return;
    const entry = await auditStatement(head, by, { done: decision.done, nowMs });
    try {
      await primary.write([...decision.statements, entry]);
      return;
    } catch (error) {
      if (!isAuditRace(error)) throw error;
    }
  }
  throw new PortolanError("unavailable", "the registry is being changed by others all the time; repeat in a moment");
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
