import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseDuration } from "../../src/api/duration.ts";
import { ROUTE_ROLES } from "../../src/api/roles.ts";
import { startTestApi, type TestApi } from "./harness.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
  for (let index = 0; index < 25; index++) {
    await api.store.registry.addRangeGroup({ name: `group-${String(index).padStart(2, "0")}`, ranges: [`10.${index}.0.0/16`] });
  }
});

afterAll(async () => {
  await api.close();
});

type List = { items: { name: string }[]; next_cursor: string | null };

async function list(path: string): Promise<List> {
  const response = await api.ask("GET", path);
  expect(response.status).toBe(200);
  return (await response.json()) as List;
}

describe("pages", () => {
  test("give every item once, in order, whatever the limit", async () => {
    const whole = (await list("/v1/range-groups?limit=1000")).items.map((item) => item.name);
    expect(whole).toHaveLength(26);
    for (const limit of [1, 7, 25, 26]) {
      const names: string[] = [];
      let cursor: string | null = null;
      do {
        const page: List = await list(`/v1/range-groups?limit=${limit}${cursor === null ? "" : `&cursor=${cursor}`}`);
        expect(page.items.length).toBeLessThanOrEqual(limit);
        names.push(...page.items.map((item) => item.name));
        cursor = page.next_cursor;
      } while (cursor !== null);
      expect(names).toEqual(whole);
    }
  });

  test("have a Link header whose next leads on", async () => {
    const first = await api.ask("GET", "/v1/range-groups?limit=10");
    const next = /<([^>]+)>; rel="next"/.exec(first.headers.get("link") ?? "")?.[1] ?? "";
    expect((await list(next)).items[0]?.name).toBe("group-09");
  });

  test("refuse a cursor with another filter, of another list, or damaged", async () => {
    const { next_cursor: cursor } = await list("/v1/services?port=443");
    expect((await api.ask("GET", `/v1/services?port=443&cursor=${cursor}`)).status).toBe(200);
    expect((await api.ask("GET", `/v1/services?port=443&limit=5&cursor=${cursor}`)).status).toBe(200);
    for (const path of [
      `/v1/services?port=80&cursor=${cursor}`,
      `/v1/jobs?cursor=${cursor}`,
      "/v1/services?cursor=AAAA",
      "/v1/services?cursor=%00",
    ]) {
      expect((await api.ask("GET", path)).status, path).toBe(400);
    }
  });

  test("cost a 304 while nothing changed", async () => {
    const first = await api.ask("GET", "/v1/range-groups");
    const tag = first.headers.get("etag") ?? "";
    const again = await api.ask("GET", "/v1/range-groups", { headers: { "if-none-match": tag } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
    await api.store.registry.addRangeGroup({ name: "zz-new", ranges: [] });
    expect((await api.ask("GET", "/v1/range-groups", { headers: { "if-none-match": tag } })).status).toBe(200);
  });

  test("of ranges go by address", async () => {
    await api.store.registry.addRangeGroup({ name: "mixed", ranges: ["2001:db8::/64", "9.0.0.0/24", "10.0.0.0/24", "100.0.0.1"] });
    const page = (await (await api.ask("GET", "/v1/range-groups/mixed/ranges?limit=2")).json()) as {
      items: { range: string }[];
      next_cursor: string;
    };
    const rest = (await (await api.ask("GET", `/v1/range-groups/mixed/ranges?limit=2&cursor=${page.next_cursor}`)).json()) as typeof page;
    expect([...page.items, ...rest.items].map((item) => item.range)).toEqual(["9.0.0.0/24", "10.0.0.0/24", "100.0.0.1", "2001:db8::/64"]);
  });
});

describe("whatever a caller sends", () => {
  const readable = Object.keys(ROUTE_ROLES).filter((route) => route.startsWith("GET"));
  const names = fc.constantFrom("limit", "cursor", "cidr", "port", "protocol", "state", "known", "plan", "tile", "x");
  const values = fc.oneof(
    fc.string({ maxLength: 40 }),
    fc.string({ unit: "binary", maxLength: 20 }),
    fc.integer().map(String),
    fc.constantFrom("", "0", "-1", "1e9", "192.0.2.0/24", "::/0", "open", "tcp", "NaN", "99999999999999999999", "a:b"),
  );

  test("in a query, the answer is never a 5xx", async () => {
    const query = fc.array(fc.tuple(names, values), { maxLength: 4 });
    const segment = fc.oneof(values, fc.constantFrom("ab".repeat(32), "192.0.2.1", "@all", "@scanners", ".."));
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...readable), query, segment, async (route, pairs, part) => {
        const path = route.slice(4).replace(/:\w+/, () => encodeURIComponent(part.isWellFormed() ? part : "x"));
        const search = new URLSearchParams(pairs.map(([name, value]) => [name, value.toWellFormed()]));
        const response = await api.ask("GET", `${path}?${search}`);
        // Streams have no end.
        await (response.headers.get("content-type") === "text/event-stream" ? response.body?.cancel() : response.arrayBuffer());
        expect(response.status).toBeLessThan(500);
      }),
      { numRuns: 3_000 },
    );
    expect(api.bugs).toEqual([]);
  });

  test("in a body, the answer is never a 5xx and nothing is half-written", async () => {
    const json = fc.oneof(fc.json({ maxDepth: 2 }), fc.string({ maxLength: 60 }));
    const planLike = fc
      .record(
        { name: values, ranges: fc.array(values, { maxLength: 2 }), ports: values, every: fc.oneof(values, fc.integer()), group: values },
        { requiredKeys: ["name", "ports"] },
      )
      .map((plan) => JSON.stringify(plan));
    const paths = fc.constantFrom("/v1/plans", "/v1/range-groups", "/v1/exclusions", "/v1/known-good", "/v1/groups", "/v1/scanners");
    await fc.assert(
      fc.asyncProperty(paths, fc.oneof(json, planLike), async (path, body) => {
        const response = await api.ask("POST", path, { body });
        expect(response.status, await response.text()).toBeLessThan(500);
      }),
      { numRuns: 500 },
    );
    expect(api.bugs).toEqual([]);
    const state = await api.store.registry.state();
    for (const plan of state.plans) expect(state.rangeGroups.map((group) => group.name)).toEqual(expect.arrayContaining([...plan.include]));
  });

  test("as a length of time, it is seconds or refused", () => {
    expect([parseDuration("6h"), parseDuration("1h30m"), parseDuration("90s"), parseDuration(60), parseDuration("1w")]).toEqual([
      21_600, 5_400, 90, 60, 604_800,
    ]);
    for (const wrong of ["", "6", "6 h", "h", "0s", "-1h", "1.5h", "400d", "6H"])
      expect(() => parseDuration(wrong)).toThrow(/length of time/);
  });
});

describe("the OpenAPI document", () => {
  test("is 3.1 and describes every route with its problem", async () => {
    const document = (await (await api.ask("GET", "/openapi.json", { role: null })).json()) as {
      openapi: string;
      paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
    };
    expect(document.openapi).toBe("3.1.0");
    const described = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const expected = Object.keys(ROUTE_ROLES).map((route) => route.replaceAll(/:(\w+)/g, "{$1}"));
    expect(described.toSorted()).toEqual(expected.filter((route) => route !== "GET /openapi.json").toSorted());
    for (const operations of Object.values(document.paths)) {
      for (const operation of Object.values(operations)) expect(operation.responses).toHaveProperty("default");
    }
  });
});
