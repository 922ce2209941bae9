import { getPath } from "hono/utils/url";
import type { Role, TokenInfo } from "../registry/types.ts";
import { isApiPath } from "./app.ts";
import { type Entry, entryOf, respond, sizeOf } from "./cache-entry.ts";
import { VERSION_HEADER } from "./registry-version.ts";

/** What the cache stands in front of. */
export type CacheOptions = {
  /** Milliseconds of the Unix epoch. */
  readonly clock: () => number;
  /** The token in a session's cookies (the whole header), or null. */
  readonly sessionTokenOf: (cookies: string) => string | null;
  /** The token behind a text, or null; may throw. */
  readonly verify: (token: string) => Promise<TokenInfo | null>;
  /** Moves with every write to the stores; null when that cannot be known. */
  readonly revision: () => Promise<string | null>;
  /** Put on every answer. */
  readonly headers: Readonly<Record<string, string>>;
};

/** Answers a request, at once or later. */
export type Answer = () => Response | Promise<Response>;

export type ResponseCache = {
  /** From memory when it may, else what `answer` gives. A Response, not a promise, when it stood in memory. */
  fetch(request: Request, answer: Answer): Response | Promise<Response>;
  /** After a write through this process: nothing read before it is shown any more. */
  forget(): void;
};

/** How long a token is known without a look at the registry. */
const RECOGNISED_MS = 1_000;
/** From then on one request renews it while the others still get it: a popular list never lets all of them wait. */
const RENEW_AFTER_MS = 700;
/** So old may it get while that one waits for slow stores: were all of them to ask, the stores would become slower still. */
const RENEWED_MAX_MS = 2_000;
/** Answers also tell times ("stale", "last heard"): so old may one get even when nothing was written. */
const REUSE_MAX_MS = 5_000;
const ENTRIES_MAX = 512;
const BODY_BYTES_MAX = 1024 * 1024;
const BYTES_MAX = 32 * 1024 * 1024;
const CREDENTIALS_MAX = 1_000;
const CREDENTIAL_CHARS_MAX = 4_096;
/** Lists and things whose answer is the same for all tokens of one role. What is not named here is never kept. */
const CACHED_API =
  /^\/v1\/(?!changes\/stream$)(services|hosts|changes|history|diff|jobs|plans|range-groups|exclusions|known-good|groups|scanners|regions|ledger)(\/|$)/;
const UNCACHED_PAGES = /^\/(login|logout|static|docs|favicon|export)/;

type State = {
  readonly options: CacheOptions;
  /** By role and URL; the oldest first. */
  readonly entries: Map<string, Entry>;
  readonly roles: Map<string, { readonly role: Role; readonly untilMs: number }>;
  bytes: number;
  /** Counts the writes: what was read before the newest one is not kept. */
  generation: number;
};

/**
 * Keeps answers to GET for a second (two while slow stores are asked anew), in this process's memory: the same in every runtime, and private to a role. They carry an ETag, and
 * polling costs a 304. An answer is used longer, up to 5 s, when both stores' revisions say that nothing at all was written.
 * `cache-control: no-cache` passes by.
 */
export function createResponseCache(options: CacheOptions): ResponseCache {
  const state: State = { options, entries: new Map(), roles: new Map(), bytes: 0, generation: 0 };
  return {
    fetch: (request, answer) => fetchThrough(state, request, answer),
    forget: () => forget(state),
  };
}

/** Whether the answers to GET of this path may be kept. */
export function isCachedPath(path: string): boolean {
  return isApiPath(path) ? CACHED_API.test(path) : !UNCACHED_PAGES.test(path);
}

function fetchThrough(state: State, request: Request, answer: Answer): Response | Promise<Response> {
  if (request.method !== "GET") return passWrite(state, request, answer);
  // As the router reads it: what is kept here under a path must be what that path leads to.
  const path = getPath(request);
  const credential = request.headers.get(isApiPath(path) ? "authorization" : "cookie");
  if (credential === null || credential.length > CREDENTIAL_CHARS_MAX || !isCachedPath(path)) return pass(state, answer);
  const nowMs = state.options.clock();
  const known = state.roles.get(credential);
  if (known === undefined || known.untilMs <= nowMs) return recognise(state, { request, credential, path }, answer);
  return lookUp(state, { request, role: known.role, nowMs }, answer);
}

/** A token that was not seen within the last second. Who has none, or a wrong one, is refused by whoever answers. */
async function recognise(
  state: State,
  { request, credential, path }: { request: Request; credential: string; path: string },
  answer: Answer,
): Promise<Response> {
  const text = isApiPath(path) ? /^bearer\s+(\S+)\s*$/i.exec(credential)?.[1] : state.options.sessionTokenOf(credential);
  const { generation } = state;
  const nowMs = state.options.clock();
  const token = text === undefined || text === null ? null : await state.options.verify(text).catch(() => null);
  if (token === null) return pass(state, answer);
  if (generation === state.generation) {
    if (state.roles.size >= CREDENTIALS_MAX) state.roles.clear();
    state.roles.set(credential, {
      role: token.role,
      untilMs: Math.min(nowMs + RECOGNISED_MS, token.expiresAtMs ?? Number.POSITIVE_INFINITY),
    });
  }
  return lookUp(state, { request, role: token.role, nowMs }, answer);
}

type Asked = { readonly request: Request; readonly role: Role; readonly nowMs: number };

function lookUp(state: State, { request, role, nowMs }: Asked, answer: Answer): Response | Promise<Response> {
  // Who names a version wrote a moment ago, perhaps through another process: what stands here may be older.
  const namesVersion = request.headers.has(VERSION_HEADER) || /\bportolan_registry=/.test(request.headers.get("cookie") ?? "");
  const passesBy = namesVersion || /no-cache|no-store/.test(request.headers.get("cache-control") ?? "");
  const key = `${role} ${request.headers.get("accept") ?? ""} ${request.url}`;
  const entry = state.entries.get(key);
  if (!passesBy && entry !== undefined) {
    const ageMs = nowMs - entry.checkedMs;
    if (ageMs < RENEW_AFTER_MS || (ageMs < RENEWED_MAX_MS && entry.isRenewed)) return respond(request, entry, "hit");
    entry.isRenewed = true;
  }
  return renew(state, { request, key, entry, passesBy }, answer);
}

type Renewal = { readonly request: Request; readonly key: string; readonly entry: Entry | undefined; readonly passesBy: boolean };

async function renew(state: State, { request, key, entry, passesBy }: Renewal, answer: Answer): Promise<Response> {
  const { generation } = state;
  const nowMs = state.options.clock();
  // Somebody asks for the second time: worth a look whether it will have to be read for a third one. Asked before reading, never after.
  const revision = entry === undefined || passesBy ? null : await state.options.revision();
  if (entry !== undefined && revision !== null && revision === entry.revision && nowMs - entry.bornMs < REUSE_MAX_MS) {
    entry.checkedMs = nowMs;
    entry.isRenewed = false;
    return respond(request, entry, "hit");
  }
  const response = await answer();
  const made = await entryOf(response, { nowMs, revision, isPopular: entry !== undefined && !passesBy }, state.options.headers);
  if (made === null) {
    if (entry !== undefined) entry.isRenewed = false;
    return stamped(response, state.options.headers);
  }
  if (generation === state.generation) keep(state, key, made);
  return respond(request, made, passesBy ? "request" : "miss");
}

function keep(state: State, key: string, entry: Entry): void {
  // Of two readings the one that began later stays, whichever ends last.
  if ((state.entries.get(key)?.bornMs ?? 0) > entry.bornMs) return;
  drop(state, key);
  if (entry.body.byteLength > BODY_BYTES_MAX) return;
  state.entries.set(key, entry);
  state.bytes += sizeOf(entry);
  for (const oldest of state.entries.keys()) {
    if (state.entries.size <= ENTRIES_MAX && state.bytes <= BYTES_MAX) return;
    drop(state, oldest);
  }
}

function drop(state: State, key: string): void {
  const entry = state.entries.get(key);
  if (entry === undefined) return;
  state.entries.delete(key);
  state.bytes -= sizeOf(entry);
}

async function pass(state: State, answer: Answer): Promise<Response> {
  return stamped(await answer(), state.options.headers);
}

/** Reads that began before a write ended may not show it, so they are not kept; a refused request wrote nothing. */
async function passWrite(state: State, request: Request, answer: Answer): Promise<Response> {
  if (request.method === "HEAD" || request.method === "OPTIONS") return pass(state, answer);
  state.generation++;
  const response = await answer();
  if (response.status < 400 || response.status >= 500) forget(state);
  return stamped(response, state.options.headers);
}

function forget(state: State): void {
  state.generation++;
  state.entries.clear();
  state.roles.clear();
  state.bytes = 0;
}

/** The same answer with these headers; the headers of some answers cannot be changed. */
export function stamped(response: Response, headers: Readonly<Record<string, string>>): Response {
  const copy = new Response(response.body, response);
  for (const [name, value] of Object.entries(headers)) copy.headers.set(name, value);
  return copy;
}
