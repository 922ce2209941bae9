import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { isAllowed, ROUTE_ROLES } from "../../src/api/roles.ts";
import { createApp } from "../../src/api/app.ts";
import { ROLES } from "../../src/registry/types.ts";
import { JOB_ID, startTestApi, type TestApi } from "./harness.ts";

let api: TestApi;
/** Admin tokens that do not hold any more. */
let ended: Readonly<Record<"expired" | "revoked", string>>;

beforeAll(async () => {
  api = await startTestApi();
  const { registry, clock } = api.store;
  const expired = await registry.tokens.issue({ name: "expired", role: "admin", expiresAtMs: clock.nowMs + 1 });
  const revoked = await registry.tokens.issue({ name: "revoked", role: "admin", expiresAtMs: null });
  await registry.tokens.revoke(revoked.info.id);
  clock.nowMs += 10;
  ended = { expired: expired.text, revoked: revoked.text };
});

afterAll(async () => {
  await api.close();
});

/** Every handler of the app, `METHOD path`. */
function routesOf(app: ReturnType<typeof createApp>): string[] {
  return [...new Set(app.routes.filter((route) => route.method !== "ALL").map((route) => `${route.method} ${route.path}`))].toSorted();
}

describe("roles", () => {
  test("every route stands in the table of roles and every entry is a route", () => {
    expect(routesOf(api.app)).toEqual(Object.keys(ROUTE_ROLES).toSorted());
  });

  test("a route without an entry is denied to everybody", async () => {
    const { registry, clock } = api.store;
    const app = createApp({ registry, ledger: api.ledger, clock: () => clock.nowMs, version: "0", region: "eu" });
    app.get("/v1/forgotten", (c) => c.json({ leaked: true }));
    const response = await app.request("/v1/forgotten", { headers: { authorization: `Bearer ${api.tokens.admin}` } });
    expect([response.status, await response.text()]).toEqual([404, expect.not.stringContaining("leaked")]);
    expect((await app.request("/v1/forgotten")).status).toBe(401);
  });

  test.each(Object.entries(ROUTE_ROLES))("%s asks for %s: anonymous, every role, an expired and a revoked token", async (route, needed) => {
    const [method = "", pattern = ""] = route.split(" ");
    const path = pattern
      .replace(":id", JOB_ID)
      .replace(":address", "192.0.2.1")
      .replace(":ip", "192.0.2.1")
      .replace(":name", "nothing-here")
      .replace(":protocol", "tcp")
      .replace(":port", "443")
      .replace(":tile", "0")
      .replace(":scanner", "nobody");
    const body = method === "GET" || method === "DELETE" ? {} : { body: {} };
    const isTaken = (status: number): boolean => status !== 401 && status !== 403 && status < 500;
    expect((await api.ask(method, path, { role: null, ...body })).status, "anonymous").toSatisfy((status: number) =>
      needed === "public" ? isTaken(status) : status === 401,
    );
    for (const role of ROLES) {
      const { status } = await api.ask(method, path, { role, ...body });
      expect(status, role).toSatisfy((got: number) => (isAllowed(role, needed) ? isTaken(got) : got === 403));
    }
    for (const [what, text] of Object.entries(ended)) {
      const { status } = await api.ask(method, path, { role: null, headers: { authorization: `Bearer ${text}` }, ...body });
      expect(status, what).toSatisfy((got: number) => (needed === "public" ? isTaken(got) : got === 401));
    }
    expect(api.bugs).toEqual([]);
  });
});

describe("tokens", () => {
  test("that are mistyped, unknown, revoked or expired are refused alike", async () => {
    const { registry, clock } = api.store;
    const ask = (text: string): Promise<number> =>
      Promise.resolve(api.app.request("/v1/me", { headers: { authorization: text } })).then((r) => r.status);
    const { text, info } = await registry.tokens.issue({ name: "temporary", role: "viewer", expiresAtMs: clock.nowMs + 10_000 });
    expect(await ask(`Bearer ${text}`)).toBe(200);
    expect(await ask(`Basic ${text}`)).toBe(401);
    expect(await ask(`Bearer ${text.slice(0, -1)}${text.endsWith("0") ? "1" : "0"}`)).toBe(401);
    expect(await ask(`Bearer ${text} x`)).toBe(401);
    clock.nowMs += 10_000;
    expect(await ask(`Bearer ${text}`)).toBe(401);
    clock.nowMs -= 10_000;
    await registry.tokens.revoke(info.id);
    expect(await ask(`Bearer ${text}`)).toBe(401);
  });

  test("are shown once and stored as a hash only", async () => {
    const created = await api.ask("POST", "/v1/tokens", { body: { name: "ci", role: "viewer", expiresIn: "30d" } });
    const { token, id } = (await created.json()) as { token: string; id: string };
    expect(token).toMatch(/^ptl_api_[0-9a-f]{8}_[0-9a-f]{64}_[0-9a-f]{8}$/);
    const list = await (await api.ask("GET", "/v1/tokens")).text();
    expect(list).toContain(id);
    expect(list).not.toContain(token.slice(17, 81));
    const dump = await (await fetch(`${api.store.sqld.url}/dump`)).text();
    expect(dump).not.toContain(token.slice(17, 81));
    expect((await api.ask("POST", "/v1/tokens", { body: { name: "ci", role: "admin" } })).status).toBe(409);
    expect((await api.ask("DELETE", `/v1/tokens/${id}`)).status).toBe(200);
  });
});
