import type { Context, MiddlewareHandler } from "hono";
import { PortolanError } from "../core/errors.ts";
import { callerAddress } from "./caller.ts";
import type { ApiDeps, ApiEnv } from "./context.ts";

/** Requests in a minute. */
export type RateLimits = {
  /** GET and HEAD of one token. */
  readonly reads: number;
  /** Everything else of one token. */
  readonly writes: number;
  /** Requests of one address that were refused with 401: guesses of tokens. */
  readonly failures: number;
};

/** Far above what people and well-made programs do, and below what would hurt the stores. */
const DEFAULT_LIMITS: RateLimits = { reads: 60_000, writes: 3_000, failures: 300 };

const WINDOW_MS = 60_000;
const KEYS_MAX = 10_000;

type Window = { count: number; readonly endsAtMs: number };

/** Counts of one process: fixed windows of a minute, the oldest keys forgotten first. */
export class Counters {
  readonly #windows = new Map<string, Window>();

  /** Counts one more, or only looks (`by` 0). */
  count(key: string, nowMs: number, by: number): Window {
    let window = this.#windows.get(key);
    if (window === undefined || window.endsAtMs <= nowMs) {
      if (by === 0) return { count: 0, endsAtMs: nowMs + WINDOW_MS };
      this.#windows.delete(key);
      window = { count: 0, endsAtMs: nowMs + WINDOW_MS };
      this.#windows.set(key, window);
      const [oldest] = this.#windows.keys();
      if (this.#windows.size > KEYS_MAX && oldest !== undefined) this.#windows.delete(oldest);
    }
    window.count += by;
    return window;
  }
}

/**
 * Limits of one token, told in `RateLimit` and `RateLimit-Policy` on each answer; 429 with Retry-After above them. Stands after the token was
 * recognised. Each process counts for itself.
 */
export function tokenLimits(
  { clock, limits = DEFAULT_LIMITS }: Pick<ApiDeps, "clock" | "limits">,
  counters: Counters,
): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const token = c.get("token");
    if (token === undefined) return next();
    const kind = c.req.method === "GET" || c.req.method === "HEAD" ? "reads" : "writes";
    const nowMs = clock();
    const window = counters.count(`${kind} ${token.id}`, nowMs, 1);
    const endsInS = Math.max(1, Math.ceil((window.endsAtMs - nowMs) / 1_000));
    const max = limits[kind];
    c.header("RateLimit-Policy", `"${kind}";q=${max};w=${WINDOW_MS / 1_000}`);
    c.header("RateLimit", `"${kind}";r=${Math.max(0, max - window.count)};t=${endsInS}`);
    if (window.count > max) throw tooMany(c, `token "${token.name}" sent over ${max} ${kind} in a minute`, endsInS);
    return next();
  };
}

/** Refuses an address that guessed too often, before its token is looked up. Without a known address nothing is limited. */
export function guessLimits(
  { clock, limits = DEFAULT_LIMITS }: Pick<ApiDeps, "clock" | "limits">,
  counters: Counters,
): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const address = callerAddress(c.req.raw);
    if (address === null) return next();
    const key = `failures ${address}`;
    const nowMs = clock();
    const window = counters.count(key, nowMs, 0);
    if (window.count >= limits.failures) {
      throw tooMany(
        c,
        `${address} was refused ${limits.failures} times in a minute`,
        Math.max(1, Math.ceil((window.endsAtMs - nowMs) / 1_000)),
      );
    }
    await next();
    if (c.res.status === 401) counters.count(key, nowMs, 1);
    return undefined;
  };
}

function tooMany(c: Context, what: string, retryInS: number): PortolanError {
  c.header("Retry-After", String(retryInS));
  return new PortolanError("rate-limited", `${what}; wait ${retryInS} s`);
}
