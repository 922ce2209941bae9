import { hc } from "hono/client";
import { beforeAll, describe, expect, test } from "vitest";
import type { AppType } from "../../src/api/app.ts";
import { routeSuite } from "./suite-routes.ts";
import { cacheSuite } from "./suite-cache.ts";
import { pageSuite } from "./suite-pages.ts";
import { streamSuite } from "./suite-stream.ts";
import type { Asker, Subject, Traits } from "./suite-types.ts";

/** The requests that every runtime has to answer in the same way: one file, run against each of them. */
export function requestSuite(traits: Traits, connect: () => Promise<Subject>): void {
  let subject: Asker;

  beforeAll(async () => {
    subject = askerOf(await connect());
  }, 90_000);

  const get = (): Asker => subject;
  routeSuite(traits, get);
  cacheSuite(traits, get);
  pageSuite(traits, get);
  streamSuite(get);

  describe("regions", () => {
    test("every answer names the region that gave it: answers, problems, pages, 404 and 304", async () => {
      const { ask } = subject;
      const list = await ask("/v1/services");
      const answers = [
        list,
        await ask("/v1/services", { headers: { "if-none-match": list.headers.get("etag") ?? "" } }),
        await ask("/v1/services", { role: null }),
        await ask("/v1/nothing"),
        await ask("/nothing"),
        await ask("/login", { role: null }),
        await ask("/healthz", { role: null }),
        await ask("/v1/plans", { method: "POST", body: "{" }),
      ];
      expect(answers.map(({ status }) => status)).toEqual([200, 304, 401, 404, 404, 200, 200, 400]);
      expect(answers.map(({ headers }) => headers.get("x-portolan-region"))).toEqual(answers.map(() => "eu"));
    });

    test("a caller may pin a region, and hears which ones there are when it names another", async () => {
      const pinned = await subject.ask("/version", { role: null, headers: { "x-portolan-region": "us" } });
      expect([pinned.headers.get("x-portolan-region"), await pinned.json()]).toMatchObject(["us", { region: "us" }]);
      const wrong = await subject.ask("/version", { role: null, headers: { "x-portolan-region": "mars" } });
      expect([wrong.status, await wrong.json()]).toMatchObject([400, { code: "invalid", detail: expect.stringContaining("eu, us") }]);
    });
  });

  test("the typed client creates a plan, reads it and starts a job", async () => {
    const headers = { authorization: `Bearer ${subject.known.tokens.admin}`, "if-match": "*" };
    const client = hc<AppType>("http://api", {
      headers,
      fetch: (input: unknown, init?: RequestInit) => subject.fetch(pathOf(input), init),
    });
    const plan = `typed-${traits.name}`;
    const json = { name: plan, ranges: ["192.0.2.0/24"], ports: "22,443", every: "6h" };
    const created = await client.v1.plans.$post({ json });
    expect(created.status).toBe(201);
    expect((await client.v1.plans.$post({ json })).status).toBe(200);
    const read = await client.v1.plans[":name"].$get({ param: { name: plan } });
    expect(await read.json()).toMatchObject({ name: plan, intervalS: 21_600, pairs: 512, problem: null });
    const started = await client.v1.plans[":name"].jobs.$post({ param: { name: plan } });
    expect([started.status, await started.json()]).toEqual([201, { job: subject.known.commandJob }]);
    expect((await client.v1.plans[":name"].$delete({ param: { name: plan } })).status).toBe(200);
  });
}

function askerOf(subject: Subject): Asker {
  const ask: Asker["ask"] = (path, { role = "admin", method = "GET", body, headers = {} } = {}) => {
    const all: Record<string, string> = { ...(role === null ? {} : { authorization: `Bearer ${subject.known.tokens[role]}` }), ...headers };
    if (["PATCH", "PUT", "DELETE"].includes(method)) all["if-match"] ??= "*";
    // Whatever it is now: tests that are about versions say which they mean.
    if (["PATCH", "PUT", "DELETE"].includes(method)) all["if-match"] ??= "*";
    if (body === undefined) return subject.fetch(path, { method, headers: all });
    all["content-type"] ??= "application/json";
    return subject.fetch(path, { method, headers: all, body: typeof body === "string" ? body : JSON.stringify(body) });
  };
  return { ...subject, ask };
}

function pathOf(input: unknown): string {
  const url = new URL(String(input));
  return `${url.pathname}${url.search}`;
}
