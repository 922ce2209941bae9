import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { PortolanError } from "../../src/core/errors.ts";
import { createApp, type Problem } from "../../src/api/app.ts";
import { openRegistry } from "../../src/registry/registry.ts";
import { JOB_ID, startTestApi, type TestApi } from "./harness.ts";

let api: TestApi;
let ledger: TestApi["ledger"];

beforeAll(async () => {
  api = await startTestApi();
  ledger = { ...api.ledger };
  await api.ask("POST", "/v1/plans", { body: { name: "office", ranges: ["192.0.2.0/24"], ports: "1-1024", every: "6h" } });
});

beforeEach(() => {
  Object.assign(api.ledger, ledger);
});

afterAll(async () => {
  await api.close();
});

async function problemOf(response: Response): Promise<Problem> {
  expect(response.headers.get("content-type")).toBe("application/problem+json");
  return (await response.json()) as Problem;
}

describe("problems", () => {
  const plan = { name: "other", ranges: ["198.51.100.0/24"], ports: "80" };
  test.each([
    ["a wrong CIDR", "POST", "/v1/plans", { ...plan, ranges: ["198.51.100.7/24"] }, 400, "198.51.100.0/24"],
    ["a wrong port", "POST", "/v1/plans", { ...plan, ports: "80,70000" }, 400, "70000"],
    ["a wrong rate", "POST", "/v1/plans", { ...plan, rateLimitPps: 0 }, 400, "whole number from 1 to"],
    ["a wrong interval", "POST", "/v1/plans", { ...plan, every: "6 hours" }, 400, "write it like"],
    ["a plan without ranges", "POST", "/v1/plans", { name: "other", ports: "80" }, 400, "give ranges"],
    ["an unknown group", "POST", "/v1/plans", { ...plan, group: "nobody" }, 404, '"nobody"'],
    ["an unknown region", "POST", "/v1/plans", { ...plan, home: "mars" }, 404, '"mars"'],
    ["a plan that exists", "POST", "/v1/plans", { ...plan, name: "office" }, 409, "choose another name"],
    ["overlapping ranges", "POST", "/v1/range-groups", { name: "x", ranges: ["10.0.0.0/8", "10.1.0.0/16"] }, 409, "10.1.0.0/16"],
    ["a group in use", "DELETE", "/v1/range-groups/office", undefined, 409, '"office"'],
    ["an unknown field", "POST", "/v1/plans", { ...plan, prots: "80" }, 400, "prots"],
    ["an unknown parameter", "GET", "/v1/services?prot=80", undefined, 400, "prot"],
    ["a wrong address", "GET", "/v1/hosts/1.2.3.400", undefined, 400, "1.2.3.400"],
    ["an address never seen", "GET", "/v1/hosts/203.0.113.9", undefined, 404, "203.0.113.9"],
    ["a page that is too large", "GET", "/v1/services?limit=1001", undefined, 400, "1 to 1000"],
    ["an unknown path", "GET", "/v1/sevices", undefined, 404, "/openapi.json"],
    ["no JSON", "POST", "/v1/plans", "{", 400, "JSON"],
  ])("%s is named, with the remedy", async (_, method, path, body, status, words) => {
    const response = await api.ask(method, path, body === undefined ? {} : { body });
    const problem = await problemOf(response);
    expect([response.status, problem.status]).toEqual([status, status]);
    expect(problem.detail).toContain(words);
    expect(problem.request_id).toBe(response.headers.get("x-request-id"));
    expect(api.bugs).toEqual([]);
  });

  test("a body above the limit is refused before it is parsed", async () => {
    const body = JSON.stringify({ name: "x".repeat(300_000), role: "viewer" });
    const response = await api.ask("POST", "/v1/tokens", { body });
    expect((await problemOf(response)).code).toBe("too-large");
  });

  test("a caller's request id is kept when it is harmless", async () => {
    const kept = await api.ask("GET", "/healthz", { headers: { "x-request-id": "abc-1" } });
    expect(kept.headers.get("x-request-id")).toBe("abc-1");
    const replaced = await api.ask("GET", "/healthz", { headers: { "x-request-id": "a b<script>" } });
    expect(replaced.headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("a bug shows none of its inside and is told to the log", async () => {
    api.ledger.counts = async () => {
      throw new TypeError("secret inside");
    };
    const response = await api.ask("GET", "/v1/services/summary");
    expect(response.status).toBe(500);
    expect(await response.text()).not.toContain("secret inside");
    expect(api.bugs.splice(0)).toHaveLength(1);
  });
});

describe("stores that do not answer", () => {
  test("a ledger that hangs is a 503, soon and not never, with Retry-After", async () => {
    api.ledger.search = () => new Promise(() => {});
    const before = performance.now();
    const response = await api.ask("GET", "/v1/services");
    expect(performance.now() - before).toBeLessThan(15_000);
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "2"]);
    expect((await problemOf(response)).detail).toContain("/readyz");
  });

  test("a registry that is down is a 503 that names its URL, for reads, writes and sign-in", async () => {
    const registry = openRegistry({ url: "http://127.0.0.1:9" });
    const app = createApp({ registry, ledger: api.ledger, clock: () => 0, version: "0", region: "eu" });
    const headers = { authorization: `Bearer ${api.tokens.viewer}` };
    const problem = await problemOf(await app.request("/v1/plans", { headers }));
    expect([problem.status, problem.detail]).toEqual([503, expect.stringContaining("127.0.0.1:9")]);
    const ready = await app.request("/readyz");
    expect([ready.status, await ready.json()]).toMatchObject([503, { ready: false, ledger: { ok: true }, registry: { ok: false } }]);
    expect((await app.request("/healthz")).status).toBe(200);
  });

  test("a keeper that does not answer is a 503 that says where to look, and the command expires", async () => {
    const submitted: unknown[] = [];
    api.ledger.submitCommand = async (kind, body, options) => {
      submitted.push([kind, body, options.ttlMs]);
      return "command";
    };
    api.ledger.awaitCommand = async () => null;
    const problem = await problemOf(await api.ask("POST", "/v1/plans/office/jobs"));
    expect([problem.status, problem.detail]).toEqual([503, expect.stringContaining('keeper of region "eu"')]);
    expect(submitted).toEqual([["start-job", { planId: expect.any(String), cause: "manual" }, 5_000]]);
  });

  test("a keeper's refusal keeps its kind and its words", async () => {
    api.ledger.awaitCommand = async () => ({
      ok: false,
      code: "conflict",
      message: "a job of this plan is running already; cancel it first",
    });
    const problem = await problemOf(await api.ask("POST", "/v1/plans/office/jobs"));
    expect([problem.status, problem.detail]).toEqual([409, "a job of this plan is running already; cancel it first"]);
  });

  test("a store's own refusal passes unchanged", async () => {
    api.ledger.listJobs = async () => {
      throw new PortolanError("unavailable", "the ledger at X does not answer; start it");
    };
    expect((await problemOf(await api.ask("GET", "/v1/jobs"))).detail).toBe("the ledger at X does not answer; start it");
  });
});

describe("jobs", () => {
  test("a start answers after the keeper's commit with the job and its place", async () => {
    const response = await api.ask("POST", "/v1/plans/office/jobs");
    expect([response.status, response.headers.get("location"), await response.json()]).toEqual([
      201,
      `/v1/jobs/${JOB_ID}`,
      { job: JOB_ID },
    ]);
  });

  test("a cancel without a reason is refused; with one it shows the job", async () => {
    expect((await api.ask("POST", `/v1/jobs/${JOB_ID}/cancel`, { body: {} })).status).toBe(400);
    expect((await api.ask("POST", `/v1/jobs/${JOB_ID}/cancel`, { body: { reason: "maintenance" } })).status).toBe(200);
  });
});
