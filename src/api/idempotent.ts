import type { MiddlewareHandler } from "hono";
import { PortolanError } from "../core/errors.ts";
import type { KeptAnswer } from "../registry/idempotency.ts";
import { sha256Hex } from "../registry/token.ts";
import type { ApiDeps, ApiEnv } from "./context.ts";

const KEY = /^[\x21-\x7e]{1,200}$/;
const KEPT_HEADERS = ["content-type", "location", "etag", "x-registry-version"] as const;

/**
 * A POST that names an Idempotency-Key happens once: its repeat within 24 h gets the same answer (`idempotency-replayed: true`), also in another
 * region. 409 while the first is in flight, 422 for another request under the same key. What failed on our side (5xx, 429) may be tried again.
 */
export function idempotency({ registry }: Pick<ApiDeps, "registry">): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const key = c.req.header("idempotency-key");
    const token = c.get("token");
    if (c.req.method !== "POST" || key === undefined || token === undefined) return next();
    if (!KEY.test(key)) throw new PortolanError("invalid", "an Idempotency-Key is 1 to 200 visible ASCII characters; a UUID is one");
    const { pathname, search } = new URL(c.req.url);
    const fingerprint = await sha256Hex(JSON.stringify([pathname, search, await c.req.text()]));
    const bearer = c.req.header("authorization") ?? "";
    const { replay, ...first } = await registry.idempotency.begin({ tokenId: token.id, bearer, key, fingerprint });
    if (replay !== null) return answerAgain(replay);
    if (!("begun" in first)) throw new PortolanError("internal", "a first request was not begun");
    await next();
    if (c.res.status >= 500 || c.res.status === 429) {
      await first.begun.abandon();
      return undefined;
    }
    const headers = Object.fromEntries(
      KEPT_HEADERS.flatMap((name) => (c.res.headers.has(name) ? [[name, c.res.headers.get(name) ?? ""]] : [])),
    );
    await first.begun.finish({ status: c.res.status, headers, body: await c.res.clone().text() });
    return undefined;
  };
}

function answerAgain({ status, headers, body }: KeptAnswer): Response {
  return new Response(body, { status, headers: { ...headers, "idempotency-replayed": "true", "cache-control": "no-store" } });
}
