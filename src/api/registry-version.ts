import type { MiddlewareHandler } from "hono";
import type { ApiDeps, ApiEnv } from "./context.ts";

/**
 * On answers to writes: the registry's version. Whoever sends it back with a later read, to any region, is answered from that version or a
 * newer one: from the primary when the nearest replica is older. While the primary is away the replica answers as it stands.
 */
export const VERSION_HEADER = "x-registry-version";

/** Reads the version that a request names, and names it on answers to writes. */
export function registryVersions({ registry }: Pick<ApiDeps, "registry">): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    const named = namedVersion(c.req.header(VERSION_HEADER));
    if (named !== null) await registry.seen(named);
    await next();
    const version = registry.seenVersion();
    if (c.req.method !== "GET" && c.req.method !== "HEAD" && version > 0) c.header(VERSION_HEADER, String(version));
  };
}

/** The version that a header or a cookie names; null for anything else. */
export function namedVersion(text: string | null | undefined): number | null {
  return typeof text === "string" && /^[0-9]{1,15}$/.test(text) ? Number(text) : null;
}
