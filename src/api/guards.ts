import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { matchedRoutes } from "hono/route";
import { PortolanError } from "../core/errors.ts";
import type { ApiDeps, ApiEnv } from "./context.ts";
import { isAllowed, ROUTE_ROLES } from "./roles.ts";
import { legacyCaller } from "./credential.ts";
import { isUploadPath, LEGACY_ROUTES } from "./legacy-path.ts";

const BODY_BYTES_MAX = 256 * 1024;
/** Ranges come by the thousand. */
const RANGES_BODY_BYTES_MAX = 2 * 1024 * 1024;
const ANSWER_WITHIN_MS = 1_900;
/** Routes that wait for the keeper (up to 5 s), and imports: all entries of a list pass its rules one by one. */
const KEEPER_ANSWER_WITHIN_MS = 7_000;
/** A slow line may take its time: 10 MB at 100 kB/s. */
const UPLOAD_WITHIN_MS = 290_000;
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** Gives each request an id: the caller's own `X-Request-Id` when it is harmless, else a new one. */
export function requestIds(): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const id = requestIdOf(c.req.header("x-request-id"));
    c.set("requestId", id);
    await next();
    // Afterwards: a handler that gives a response of its own, as streams do, leaves out what was set before.
    c.header("X-Request-Id", id);
    c.header("X-Content-Type-Options", "nosniff");
  };
}

/** The caller's own request id when it is harmless, else a new one. */
export function requestIdOf(given: string | null | undefined): string {
  return typeof given === "string" && REQUEST_ID.test(given) ? given : crypto.randomUUID();
}

/** Default deny: the route has to be in the table, and the bearer token's role has to reach the one that stands there. */
export function authorisation(deps: ApiDeps): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const key = routeKey(c);
    const role = ROUTE_ROLES[key];
    if (role === "public") return next();
    const caller = LEGACY_ROUTES.has(key) ? await legacyCaller(c, deps, deferrer(c)) : null;
    const token = caller ?? (await deps.registry.tokens.verify(bearer(c), deferrer(c)));
    if (token === null) {
      throw new PortolanError("unauthenticated", "this token is unknown, mistyped, expired or revoked; ask an administrator for a new one");
    }
    if (role !== undefined && !isAllowed(token.role, role)) {
      throw new PortolanError(
        "forbidden",
        `this needs the role ${role}, but token "${token.name}" is a ${token.role}; use a token with that role`,
      );
    }
    c.set("token", token);
    // A route without an entry in the table does not exist for anybody.
    if (role === undefined)
      throw new PortolanError("not-found", `there is no ${c.req.method} ${c.req.path.slice(0, 200)}; /openapi.json lists all routes`);
    return next();
  };
}

/** Refuses bodies that are too large before they are read whole. */
export function bodyLimits(): MiddlewareHandler<ApiEnv> {
  const refuse = (): never => {
    throw new PortolanError("too-large", "the body is larger than this route takes; send it in smaller pieces");
  };
  const small = bodyLimit({ maxSize: BODY_BYTES_MAX, onError: refuse });
  const large = bodyLimit({ maxSize: RANGES_BODY_BYTES_MAX, onError: refuse });
  // Uploads are counted while they are read.
  return (c, next) =>
    isUploadPath(c.req.path) ? next() : /^\/v1\/(range-groups|plans)(\/|$)|\/import$/.test(c.req.path) ? large(c, next) : small(c, next);
}

/** An answer in time, whatever the stores do: a clear 503 rather than a hanging caller. */
export function deadline(): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const waitsForKeeper =
      c.req.path.startsWith("/v1/legacy-jobs/") ||
      (c.req.method === "POST" && /\/(jobs|legacy-jobs|traceroute)$|\/(cancel|pause|resume|release|rebuild)$/.test(c.req.path));
    const isUpload = isUploadPath(c.req.path) && c.req.method !== "GET";
    const withinMs = isUpload
      ? UPLOAD_WITHIN_MS
      : waitsForKeeper || c.req.path.endsWith("/import")
        ? KEEPER_ANSWER_WITHIN_MS
        : ANSWER_WITHIN_MS;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      const problem = new PortolanError(
        "unavailable",
        `the stores did not answer within ${withinMs} ms; check registry and ledger at /readyz, then repeat: repeating is safe`,
      );
      timer = setTimeout(() => reject(problem), withinMs);
    });
    try {
      await Promise.race([next(), late]);
    } finally {
      clearTimeout(timer);
    }
  };
}

/** `GET /v1/plans/:name` of the handler that will answer; empty when there is none. */
function routeKey(c: Context): string {
  const route = matchedRoutes(c).findLast((candidate) => candidate.method !== "ALL");
  return route === undefined ? "" : `${route.method} ${route.path}`;
}

/** The token's text that a request brings. Throws `unauthenticated` without one. */
export function bearer(c: Context): string {
  const header = c.req.header("authorization");
  if (header === undefined) {
    throw new PortolanError(
      "unauthenticated",
      'this needs a token; send the header "Authorization: Bearer ptl_…" (made by "portolan token add")',
    );
  }
  const [scheme, text, ...more] = header.trim().split(/\s+/);
  if (scheme?.toLowerCase() !== "bearer" || text === undefined || more.length > 0) {
    throw new PortolanError("unauthenticated", 'the Authorization header is not "Bearer ptl_…"; send the token in that form');
  }
  return text;
}

/** On workerd, work that goes on after the answer has to be announced. */
function deferrer(c: Context): (work: Promise<unknown>) => void {
  return (work) => {
    try {
      c.executionCtx.waitUntil(work);
    } catch {
      void work;
    }
  };
}
