import { beforeEach, describe, expect, test } from "vitest";
import { createResponseCache, isCachedPath, type ResponseCache } from "../../src/api/cache.ts";
import { ROUTE_ROLES } from "../../src/api/roles.ts";
import { sessionTokenOf } from "../../src/web/security.ts";
import type { TokenInfo } from "../../src/registry/types.ts";

let nowMs: number;
let revision: string | null;
let reads: number;
let revisionReads: number;
let cache: ResponseCache;
/** Released by the test; null: answers come at once. */
let gate: Promise<void> | null;

beforeEach(() => {
  nowMs = 1_000_000;
  revision = "1";
  reads = 0;
  revisionReads = 0;
  gate = null;
  cache = createResponseCache({
    clock: () => nowMs,
    sessionTokenOf,
    verify: async (text) => (text === "none" ? null : tokenOf(text)),
    revision: async () => {
      revisionReads++;
      return revision;
    },
    headers: { "x-portolan-region": "eu" },
  });
});

function tokenOf(text: string): TokenInfo {
  const expiresAtMs = text === "short" ? 1_000_300 : null;
  const role = text === "admin" ? "admin" : "viewer";
  return {
    id: text,
    name: text,
    role,
    scope: { regions: null, groups: null },
    createdAtMs: 0,
    expiresAtMs,
    revokedAtMs: null,
    lastUsedAtMs: null,
  };
}

type Ask = { path?: string; token?: string; headers?: Record<string, string>; status?: number; type?: string; method?: string };

/** Each read of the stores gives another body. */
async function ask({ path = "/v1/services", token = "viewer", headers = {}, status = 200, type = "application/json", method }: Ask = {}) {
  const request = new Request(`http://api${path}`, {
    method: method ?? "GET",
    headers: { authorization: `Bearer ${token}`, cookie: `portolan_token=${token}`, ...headers },
  });
  const response = await cache.fetch(request, async () => {
    const body = `"${++reads} for ${token}"`;
    await gate;
    return new Response(body, { status, headers: { "content-type": type, "x-request-id": "of-the-first" } });
  });
  return { status: response.status, text: await response.text(), headers: response.headers };
}

const textOf = async (options?: Ask): Promise<string> => (await ask(options)).text;

describe("freshness", () => {
  test("nothing older than a second is shown without a look at the stores", async () => {
    await ask();
    nowMs += 699;
    expect(await textOf()).toBe('"1 for viewer"');
    expect(revisionReads).toBe(0);
    nowMs += 301;
    revision = "2";
    expect(await textOf()).toBe('"2 for viewer"');
  });

  test("an unchanged revision saves reading, for five seconds at most; an unknown one saves nothing", async () => {
    await ask();
    nowMs += 1_000;
    await ask();
    for (let second = 0; second < 4; second++) {
      nowMs += 1_000;
      expect(await textOf()).toBe('"2 for viewer"');
    }
    nowMs += 1_000;
    expect(await textOf()).toBe('"3 for viewer"');
    revision = null;
    nowMs += 1_000;
    expect(await textOf()).toBe('"4 for viewer"');
    nowMs += 1_000;
    expect(await textOf()).toBe('"5 for viewer"');
  });

  test("one request renews a popular answer while the others still get it, for two seconds at most", async () => {
    await ask();
    nowMs += 800;
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    const renewal = ask();
    expect(await textOf()).toBe('"1 for viewer"');
    nowMs += 1_100;
    expect(await textOf()).toBe('"1 for viewer"');
    expect(reads).toBe(2);
    nowMs += 100;
    const late = ask();
    expect(reads).toBe(2);
    resolve();
    await late;
    expect(reads).toBe(3);
    expect((await renewal).text).toBe('"2 for viewer"');
    // Of two readings the one that began later stays.
    expect(await textOf()).toBe('"3 for viewer"');
  });

  test("what was read before a write ended is not shown after it", async () => {
    const { promise, resolve } = Promise.withResolvers<void>();
    gate = promise;
    const early = ask();
    await Promise.resolve();
    const write = ask({ method: "POST", path: "/v1/plans" });
    resolve();
    await Promise.all([early, write]);
    gate = null;
    const before = reads;
    await ask();
    expect(reads).toBe(before + 1);
    expect(await textOf()).toBe(`"${before + 1} for viewer"`);
    await ask({ method: "POST", path: "/v1/plans", status: 503 });
    await ask();
    expect(reads).toBe(before + 3);
  });

  test("a refused write makes nothing forgotten", async () => {
    await ask();
    await ask({ method: "POST", path: "/v1/plans", status: 403 });
    expect(await textOf()).toBe('"1 for viewer"');
  });
});

describe("privacy", () => {
  test("roles, addresses and accepted types have answers of their own, tokens of one role share them", async () => {
    await ask();
    expect(await textOf({ token: "other" })).toBe('"1 for viewer"');
    expect(await textOf({ token: "admin" })).toBe('"2 for admin"');
    expect(await textOf({ path: "/v1/services?limit=1" })).toBe('"3 for viewer"');
    expect(await textOf({ headers: { accept: "text/csv" } })).toBe('"4 for viewer"');
  });

  test("a token that is refused, or over, gets nothing from memory", async () => {
    await ask();
    expect(await textOf({ token: "none" })).toBe('"2 for none"');
    await ask({ token: "short" });
    nowMs += 300;
    const verified = cache.fetch(
      new Request("http://api/v1/services", { headers: { authorization: "Bearer short" } }),
      () => new Response("?"),
    );
    // Asked for anew, not recognised: what comes is a promise.
    expect(verified).toBeInstanceOf(Promise);
  });

  test("each route that is kept is one that says the same to all tokens of a role", () => {
    const kept = Object.keys(ROUTE_ROLES).filter((route) => route.startsWith("GET ") && isCachedPath(route.slice(4)));
    const personal = /\/v1\/(me|tokens|audit|webhooks|scans)|^GET \/(healthz|readyz|version|metrics|openapi\.json|docs)/;
    expect(kept.filter((route) => personal.test(route))).toEqual([]);
    expect(kept).toEqual(expect.arrayContaining(["GET /v1/services", "GET /v1/changes", "GET /v1/jobs/:id", "GET /v1/diff"]));
    expect(["/", "/hosts/192.0.2.1", "/jobs"].every(isCachedPath)).toBe(true);
    expect(["/login", "/logout", "/static/portolan.css"].some(isCachedPath)).toBe(false);
  });

  test("refusals, streams and answers with cookies are not kept", async () => {
    for (const options of [{ status: 404 }, { status: 503 }, { type: "text/event-stream" }]) {
      const before = reads;
      await ask(options);
      await ask(options);
      expect(reads).toBe(before + 2);
    }
  });
});

describe("answers from memory", () => {
  test("carry the caller's request id, the region and what caches have to know", async () => {
    await ask();
    const { headers } = await ask({ headers: { "x-request-id": "mine" } });
    expect(Object.fromEntries(headers)).toMatchObject({
      "x-request-id": "mine",
      "x-portolan-region": "eu",
      "cache-control": "private, no-cache",
      "cache-status": "portolan; hit",
      "content-type": "application/json",
    });
    expect((await ask()).headers.get("x-request-id")).not.toBe("of-the-first");
  });

  test("are 304 for who has them, whatever the form of the condition", async () => {
    const etag = (await ask()).headers.get("etag") ?? "";
    for (const seen of [etag, etag.slice(2), `"a", ${etag}`, "*"]) {
      const { status, text, headers } = await ask({ headers: { "if-none-match": seen, "cache-control": "max-age=0" } });
      expect([status, text, headers.get("etag"), headers.get("content-type")]).toEqual([304, "", etag, null]);
    }
    expect((await ask({ headers: { "if-none-match": '"a"', "cache-control": "max-age=0" } })).status).toBe(200);
  });

  test("are compressed for who takes that, once they are asked for again", async () => {
    const big = async (accepted: string) => {
      const headers = { authorization: "Bearer viewer", "accept-encoding": accepted };
      const response = await cache.fetch(new Request("http://api/v1/jobs", { headers }), () => {
        return new Response(JSON.stringify("x".repeat(9_000)), { headers: { "content-type": "application/json" } });
      });
      return { coding: response.headers.get("content-encoding"), bytes: new Uint8Array(await response.arrayBuffer()) };
    };
    expect((await big("gzip")).coding).toBeNull();
    nowMs += 1_000;
    await big("gzip");
    const { coding, bytes } = await big("br, gzip;q=0.8");
    expect([coding, bytes.byteLength < 500]).toEqual(["gzip", true]);
    const plain = await new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).json();
    expect(plain).toBe("x".repeat(9_000));
    for (const refused of ["", "br", "gzip;q=0", "gzip;q=0.0", "x-gzip"])
      expect([refused, (await big(refused)).coding]).toEqual([refused, null]);
  });

  test("never grow beyond the memory that is set aside", async () => {
    for (let n = 0; n < 1_500; n++) await ask({ path: `/v1/services?limit=${n}` });
    const before = reads;
    await ask({ path: "/v1/services?limit=0" });
    await ask({ path: "/v1/services?limit=1499" });
    expect(reads).toBe(before + 1);
  });
});
