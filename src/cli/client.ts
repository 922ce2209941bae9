import { hc } from "hono/client";
import type { AppType } from "../api/app.ts";
import { VERSION_HEADER } from "../api/registry-version.ts";
import { PortolanError, type ErrorCode } from "../core/errors.ts";
import type { Io } from "./io.ts";
import type { Settings } from "./settings.ts";

/** The API, typed by its own routes. */
export type Api = ReturnType<typeof hc<AppType>>;

/** Longer than the API's own patience, so that its explanation arrives. */
const REQUEST_TIMEOUT_MS = 10_000;
const CHANGES: ReadonlySet<string> = new Set(["PATCH", "PUT", "DELETE"]);
const PAGES_MAX = 10_000;
const EMPTY_PAGES_MAX = 100;
const CODES: readonly ErrorCode[] = [
  "invalid",
  "unauthenticated",
  "forbidden",
  "not-found",
  "conflict",
  "precondition-required",
  "stale",
  "mismatch",
  "rate-limited",
  "too-large",
  "unavailable",
  "internal",
];

/** Thrown instead of a write when only a rehearsal was asked for. */
export class DryRun extends Error {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;

  constructor(request: { readonly method: string; readonly path: string; readonly body: unknown }) {
    super("dry run");
    this.method = request.method;
    this.path = request.path;
    this.body = request.body;
  }
}

/** `onCall` gets a line for each answer: method, path, status and how long it took. */
export type ClientOptions = { readonly isDryRun: boolean; readonly onCall?: (line: string) => void };

/**
 * A client whose calls either succeed or throw a PortolanError in words for people: the API's own problem, or that nobody answers.
 *
 * Throws `invalid` when no address or `unauthenticated` when no token is known.
 */
export function openApi(io: Io, settings: Settings, options: ClientOptions): Api {
  const { base, token } = apiAccess(settings);
  // What this run wrote it reads, whichever region answers the next call.
  let version: string | null = null;
  const callApi = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    request.headers.set("authorization", `Bearer ${token}`);
    request.headers.set("user-agent", "portolan-cli");
    // A command says what it wants, whatever stands there now.
    if (CHANGES.has(request.method) && !request.headers.has("if-match")) request.headers.set("if-match", "*");
    if (version !== null) request.headers.set(VERSION_HEADER, version);
    const response = await send(io, request, { base, ...options });
    version = response.headers.get(VERSION_HEADER) ?? version;
    return response;
  };
  return hc<AppType>(base, { fetch: callApi });
}

/** Where the API is and what lets us in. Throws `invalid` when no address, `unauthenticated` when no token is known. */
export function apiAccess(settings: Settings): { readonly base: string; readonly token: string } {
  const { url, token } = settings;
  if (url === null) {
    throw new PortolanError(
      "invalid",
      'no address of an API is known. Run this in the folder where "npm start" runs, or give --url, PORTOLAN_URL or url = "…" in portolan.toml',
    );
  }
  if (token === null) {
    throw new PortolanError(
      "unauthenticated",
      `no token is known for ${url.value} (from ${url.origin}). Give --token, PORTOLAN_TOKEN, or token = "…" in the file that names the address`,
    );
  }
  return { base: url.value, token: token.value };
}

/** The body of an answer that `openApi` has let through. */
export async function bodyOf<T>(answer: Promise<{ json(): Promise<T> }>): Promise<T> {
  return (await answer).json();
}

type PageOf<T> = { readonly items: readonly T[]; readonly next_cursor: string | null };

/** The first page that has rows: a page may be empty although more follow. After some of them it is left to the caller whether to go on. */
export async function firstRows<P extends PageOf<unknown>>(readPage: (cursor: string | undefined) => Promise<P>): Promise<P> {
  let page = await readPage(undefined);
  let asked: string | null = null;
  // A feed that can be followed leads from its end to its end.
  for (let pages = 1; pages < EMPTY_PAGES_MAX && page.items.length === 0 && page.next_cursor !== asked; pages++) {
    asked = page.next_cursor;
    if (asked !== null) page = await readPage(asked);
  }
  return page;
}

/** Hands on a list page by page, in its order. Returns the number of rows. */
export async function eachPage<T>(
  readPage: (cursor: string | undefined) => Promise<PageOf<T>>,
  take: (rows: readonly T[]) => void,
): Promise<number> {
  let count = 0;
  let cursor: string | undefined;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const page = await readPage(cursor);
    take(page.items);
    count += page.items.length;
    if (page.next_cursor === null) return count;
    cursor = page.next_cursor;
  }
  throw new PortolanError("too-large", "this list does not end; narrow it with a filter");
}

/** All rows of a list, page by page, in its order. */
export async function allRows<T>(readPage: (cursor: string | undefined) => Promise<PageOf<T>>): Promise<T[]> {
  const rows: T[] = [];
  await eachPage(readPage, (page) => void rows.push(...page));
  return rows;
}

async function send(io: Io, request: Request, context: ClientOptions & { readonly base: string }): Promise<Response> {
  const path = request.url.slice(context.base.length);
  // A preview is a rehearsal itself.
  if (context.isDryRun && request.method !== "GET" && !path.endsWith("/preview")) {
    const text = await request.text();
    throw new DryRun({ method: request.method, path, body: text === "" ? null : (JSON.parse(text) as unknown) });
  }
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  const startedAtMs = performance.now();
  let response: Response;
  try {
    response = await io.fetch(new Request(request, { signal: AbortSignal.any([timeout, io.signal]) }));
  } catch (error) {
    throw explainSilence(error, { base: context.base, isInterrupted: io.signal.aborted, isLate: timeout.aborted });
  }
  const region = response.headers.get("x-portolan-region");
  const from = region === null ? "" : `, region ${region}`;
  context.onCall?.(`${request.method} ${path} ${response.status} ${Math.round(performance.now() - startedAtMs)} ms${from}`);
  if (response.ok && isJson(response)) return response;
  throw await explainRefusal(response, `${request.method} ${path}`);
}

type Silence = { readonly base: string; readonly isInterrupted: boolean; readonly isLate: boolean };

/** Why nothing came. */
export function explainSilence(error: unknown, { base, isInterrupted, isLate }: Silence): PortolanError {
  if (isInterrupted) return new PortolanError("unavailable", "interrupted", { cause: error });
  if (isLate) {
    const text = `${base} did not answer within ${REQUEST_TIMEOUT_MS / 1_000} s; look at ${base}/readyz, then repeat: repeating is safe`;
    return new PortolanError("unavailable", text, { cause: error });
  }
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  const code = (cause as NodeJS.ErrnoException).code ?? "";
  const why = code === "ECONNREFUSED" ? "nothing listens there" : code === "ENOTFOUND" ? "the host name is unknown" : reasonOf(cause);
  return new PortolanError(
    "unavailable",
    `cannot reach ${base}: ${why}. Start Portolan there ("npm start"), or correct the address (--url)`,
    {
      cause: error,
    },
  );
}

function reasonOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause);
  return text.slice(0, 200);
}

/** The API's own problem, or what else an answer means that is none of ours. */
export async function explainRefusal(response: Response, what: string): Promise<PortolanError> {
  const problem = await readProblem(response);
  if (problem !== null) return problem;
  if (response.status === 401 || response.status === 403)
    return new PortolanError("unauthenticated", `${what} was refused (${response.status}); check the token`);
  if (response.status >= 500)
    return new PortolanError("unavailable", `${what} failed with ${response.status}; is a proxy in between, and is Portolan behind it up?`);
  return new PortolanError("invalid", `${what} was answered with ${response.status}, and not by Portolan's API; check the address (--url)`);
}

function isJson(response: Response): boolean {
  return (response.headers.get("content-type") ?? "").startsWith("application/json");
}

async function readProblem(response: Response): Promise<PortolanError | null> {
  if (!(response.headers.get("content-type") ?? "").startsWith("application/problem+json")) return null;
  try {
    const { code, detail } = (await response.json()) as { code?: unknown; detail?: unknown };
    const known = CODES.find((candidate) => candidate === code);
    return known === undefined || typeof detail !== "string" ? null : new PortolanError(known, detail);
  } catch {
    return null;
  }
}
