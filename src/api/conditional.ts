import type { Context, MiddlewareHandler } from "hono";
import { PortolanError } from "../core/errors.ts";
import { hashText, rowTag } from "../registry/resources.ts";
import type { Registry } from "../registry/registry.ts";
import { checkScope, type Writer } from "../registry/audit.ts";
import type { ApiEnv } from "./context.ts";

const REGISTRY_PATH = /^\/v1\/(regions|range-groups|exclusions|known-good|scanners|groups|plans|tokens|webhooks)\//;
const CHANGES: ReadonlySet<string> = new Set(["PATCH", "PUT", "DELETE"]);

/**
 * Changes and deletions of the registry say which version they mean (RFC 9110, If-Match): the ETag that was read, or `*` for whatever stands
 * there. So nobody undoes unawares what somebody else did meanwhile.
 */
export function preconditions(): MiddlewareHandler<ApiEnv> {
  return async (c, next) => {
    if (CHANGES.has(c.req.method) && REGISTRY_PATH.test(c.req.path) && c.req.header("if-match") === undefined) {
      throw new PortolanError(
        "precondition-required",
        'say which version you mean: send the header If-Match with the ETag that you read, or "If-Match: *" for whatever stands there now',
      );
    }
    await next();
  };
}

/** The registry on behalf of the token that asks, for the version that its If-Match names. */
export function writing(c: Context<ApiEnv>, registry: Registry): ReturnType<Registry["as"]> {
  return registry.as(writerOf(c));
}

/** Who asks, for scope and audit log. */
export function writerOf(c: Context<ApiEnv>): Writer {
  const token = c.get("token");
  return {
    actor: token.name,
    tokenId: token.id,
    requestId: c.get("requestId"),
    scope: token.scope,
    ifMatch: c.req.header("if-match") ?? null,
  };
}

/** Throws `forbidden` unless the scope of the token that asks holds these regions and this scanner group. */
export function mayTouch(c: Context<ApiEnv>, touched: { readonly regions: readonly string[]; readonly group: string }): void {
  checkScope(writerOf(c), touched);
}

/** Tags an answer that shows one thing: `"<row>.<answer>"`, of which an If-Match reads the first part and an If-None-Match both. */
export function tagged<T>(c: Context, row: unknown, answer: T): T {
  c.header("ETag", `"${rowTag(row)}.${hashText(JSON.stringify(answer))}"`);
  return answer;
}

/** Tags a list: `"v<version>.<answer>"`; imports take its first part as If-Match. */
export function taggedList<T>(c: Context, version: number, answer: T): T {
  c.header("ETag", `"v${version}.${hashText(JSON.stringify(answer))}"`);
  return answer;
}
