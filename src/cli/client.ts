import { hc } from "hono/client";
import type { AppType } from "../api/app.ts";
import { PortolanError, type ErrorCode } from "../core/errors.ts";
import type { Io } from "./io.ts";
import type { Settings } from "./settings.ts";

/** The API, typed by its own routes. */
export type Api = ReturnType<typeof hc<AppType>>;

/** Longer than the API's own patience, so that its explanation arrives. */
const REQUEST_TIMEOUT_MS = 10_000;
const PAGES_MAX = 10_000;
const CODES: readonly ErrorCode[] = [
  "invalid",
  "unauthenticated",
  "forbidden",
  "not-found",
  "conflict",
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

/**
 * A client whose calls either succeed or throw a PortolanError in words for people: the API's own problem, or that nobody answers.
 *
 * Throws `invalid` when no address or `unauthenticated` when no token is known.
 */
export function openApi(io: Io, settings: Settings, options: { readonly isDryRun: boolean }): Api {
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
  const callApi = (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init);
    request.headers.set("authorization", `Bearer ${token.value}`);
    request.headers.set("user-agent", "portolan-cli");
    return send(io, request, { base: url.value, isDryRun: options.isDryRun });
  };
  return hc<AppType>(url.value, { fetch: callApi });
}

/** The body of an answer that `openApi` has let through. */
export async function bodyOf<T>(answer: Promise<{ json(): Promise<T> }>): Promise<T> {
  return (await answer).json();
}

type PageOf<T> = { readonly items: readonly T[]; readonly next_cursor: string | null };

/** All rows of a list, page by page, in its order. */
export async function allRows<T>(readPage: (cursor: string | undefined) => Promise<PageOf<T>>): Promise<T[]> {
  const rows: T[] = [];
  let cursor: string | undefined;
  for (let pages = 0; pages < PAGES_MAX; pages++) {
    const page = await readPage(cursor);
    rows.push(...page.items);
    if (page.next_cursor === null) return rows;
    cursor = page.next_cursor;
  }
  throw new PortolanError("too-large", "this list does not end; narrow it with a filter");
}

async function send(io: Io, request: Request, context: { readonly base: string; readonly isDryRun: boolean }): Promise<Response> {
  const path = request.url.slice(context.base.length);
  if (context.isDryRun && request.method !== "GET") {
    const text = await request.text();
    throw new DryRun({ method: request.method, path, body: text === "" ? null : (JSON.parse(text) as unknown) });
  }
  const timeout = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
  let response: Response;
  try {
    response = await io.fetch(new Request(request, { signal: AbortSignal.any([timeout, io.signal]) }));
  } catch (error) {
    throw explainSilence(error, { base: context.base, isInterrupted: io.signal.aborted, isLate: timeout.aborted });
  }
  if (response.ok && isJson(response)) return response;
  throw await explainRefusal(response, `${request.method} ${path}`);
}

type Silence = { readonly base: string; readonly isInterrupted: boolean; readonly isLate: boolean };

function explainSilence(error: unknown, { base, isInterrupted, isLate }: Silence): PortolanError {
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

async function explainRefusal(response: Response, what: string): Promise<PortolanError> {
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
