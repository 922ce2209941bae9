import { describe, expect, test } from "vitest";
import { ROUTE_ROLES } from "../../src/api/roles.ts";
import { type Asker, GUARDED, type Known, type Traits } from "./suite-types.ts";

/** One request: its route in the table, where it goes, what it brings, how it ends. */
type Step = readonly [route: string, path: string, status: number, body?: unknown];

const HOST = "192.0.2.1";
const SERVICE = `/v1/services/${HOST}/tcp/443`;

/** In this order, each one once; what is made is removed. */
function steps(name: string, { endedJob, runningJob }: Known): Step[] {
  const [group, ranges, plan] = [`group-${name}`, `ranges-${name}`, `plan-${name}`];
  return [
    ["GET /healthz", "/healthz", 200],
    ["GET /readyz", "/readyz", 200],
    ["GET /version", "/version", 200],
    ["GET /openapi.json", "/openapi.json", 200],
    ["GET /v1/me", "/v1/me", 200],
    ["GET /v1/regions", "/v1/regions", 200],
    ["POST /v1/range-groups", "/v1/range-groups", 201, { name: ranges, ranges: ["192.0.2.0/24"] }],
    ["GET /v1/range-groups", "/v1/range-groups?limit=1000", 200],
    ["GET /v1/range-groups/:name", `/v1/range-groups/${ranges}`, 200],
    ["POST /v1/range-groups/:name/ranges", `/v1/range-groups/${ranges}/ranges`, 200, { ranges: ["198.51.100.0/24"] }],
    ["GET /v1/range-groups/:name/ranges", `/v1/range-groups/${ranges}/ranges`, 200],
    ["DELETE /v1/range-groups/:name/ranges", `/v1/range-groups/${ranges}/ranges?range=198.51.100.0/24`, 200],
    ["POST /v1/groups", "/v1/groups", 201, { name: group, members: [] }],
    ["GET /v1/groups", "/v1/groups", 200],
    ["GET /v1/groups/:name", `/v1/groups/${group}`, 200],
    ["POST /v1/groups/:name/members", `/v1/groups/${group}/members`, 200, { scanner: "de01" }],
    ["PUT /v1/groups/:name/members", `/v1/groups/${group}/members`, 200, { members: [{ scanner: "de01" }] }],
    ["DELETE /v1/groups/:name/members/:scanner", `/v1/groups/${group}/members/de01`, 200],
    ["POST /v1/plans", "/v1/plans", 201, { name: plan, include: [ranges], ports: "22,443", every: "6h" }],
    ["GET /v1/plans", "/v1/plans", 200],
    ["GET /v1/plans/:name", `/v1/plans/${plan}`, 200],
    ["PATCH /v1/plans/:name", `/v1/plans/${plan}`, 200, { ports: "22" }],
    ["POST /v1/plans/:name/jobs", `/v1/plans/${plan}/jobs`, 201],
    ["DELETE /v1/plans/:name", `/v1/plans/${plan}`, 200],
    ["DELETE /v1/range-groups/:name", `/v1/range-groups/${ranges}`, 200],
    ["DELETE /v1/groups/:name", `/v1/groups/${group}`, 200],
    ["GET /v1/scanners", "/v1/scanners", 200],
    ["GET /v1/exclusions", "/v1/exclusions", 200],
    ["GET /v1/known-good", "/v1/known-good", 200],
    ["GET /v1/tokens", "/v1/tokens", 200],
    ["GET /v1/jobs", "/v1/jobs", 200],
    ["GET /v1/jobs/:id", `/v1/jobs/${endedJob}`, 200],
    ["GET /v1/jobs/:id/tiles", `/v1/jobs/${endedJob}/tiles`, 200],
    ["GET /v1/jobs/:id/shards", `/v1/jobs/${endedJob}/shards`, 200],
    ["GET /v1/jobs/:id/held", `/v1/jobs/${endedJob}/held`, 200],
    ["GET /v1/jobs/:id/reports", `/v1/jobs/${endedJob}/reports`, 200],
    ["GET /v1/jobs/:id/accounting", `/v1/jobs/${endedJob}/accounting`, 200],
    ["POST /v1/jobs/:id/pause", `/v1/jobs/${endedJob}/pause`, 409],
    ["POST /v1/jobs/:id/resume", `/v1/jobs/${endedJob}/resume`, 409],
    ["POST /v1/jobs/:id/cancel", `/v1/jobs/${runningJob}/cancel`, 200, { reason: "a test" }],
    ["POST /v1/jobs/:id/release", `/v1/jobs/${endedJob}/release`, 200],
    ["POST /v1/jobs/:id/tiles/:tile/release", `/v1/jobs/${endedJob}/tiles/0/release`, 200],
    ["GET /v1/services", "/v1/services?cidr=192.0.2.0/28&state=all", 200],
    ["GET /v1/services/facets", "/v1/services/facets?q=port:1-1024&facet=port,group", 200],
    ["GET /v1/services/summary", "/v1/services/summary", 200],
    ["GET /v1/services/:address/:protocol/:port/why", `${SERVICE}/why`, 200],
    ["GET /v1/services/:address/:protocol/:port/history", `${SERVICE}/history`, 200],
    ["GET /v1/history/open", "/v1/history/open?asOf=2024-01-01T00:00:00Z", 200],
    ["GET /v1/diff", `/v1/diff?from=2020-01-01&to=job:${endedJob}`, 200],
    ["GET /v1/hosts/:address", `/v1/hosts/${HOST}`, 200],
    ["GET /v1/changes", "/v1/changes", 200],
    ["GET /v1/changes/stream", "/v1/changes/stream", 200],
    ["GET /v1/ledger", "/v1/ledger", 200],
    ["POST /v1/ledger/rebuild", "/v1/ledger/rebuild", 200],
  ];
}

/** A path for a route that has no step of its own: nothing stands behind its parameters. */
function anyPath(pattern: string, { endedJob }: Known): string {
  const values: Readonly<Record<string, string>> = { id: endedJob, address: HOST, protocol: "tcp", port: "443", tile: "0" };
  return pattern.replaceAll(/:(\w+)/g, (_, name: string) => values[name] ?? "nothing-here");
}

/** Every route, every refusal. */
export function routeSuite({ name }: Traits, subject: () => Asker): void {
  describe("routes", () => {
    test("every route of the table answers, with the headers that all answers have", async () => {
      const { ask, known } = subject();
      const own = steps(name, known);
      const others = Object.keys(ROUTE_ROLES).filter((route) => !own.some(([key]) => key === route));
      const found: unknown[] = [];
      for (const [route, path, status, body] of own) {
        const response = await ask(path, { method: methodOf(route), ...(body === undefined ? {} : { body }) });
        // It has no end.
        await (route === "GET /v1/changes/stream" ? response.body?.cancel() : response.arrayBuffer());
        found.push([route, response.status, ...headersOf(response)]);
        expect(found.at(-1)).toEqual([route, status, "eu", true, "nosniff", typeOf(status, route)]);
      }
      for (const route of others) {
        const method = methodOf(route);
        const response = await ask(anyPath(route.slice(method.length + 1), known), { method, ...(method === "GET" ? {} : { body: {} }) });
        await response.arrayBuffer();
        const isRefusal = response.status === 401 || response.status === 403 || response.status >= 500;
        expect([route, isRefusal, ...headersOf(response)]).toEqual([route, false, "eu", true, "nosniff", typeOf(response.status, route)]);
      }
      expect(own.length + others.length).toBe(Object.keys(ROUTE_ROLES).length);
    });

    test("a list as a file holds what the list shows, through the API and through the link of the page", async () => {
      const { ask, known } = subject();
      const { items } = (await (await ask("/v1/services?limit=1000&known=show&state=all")).json()) as { items: unknown[] };
      expect(items.length).toBeGreaterThan(0);
      const query = "?q=known:show+state:open,missing,closed";
      const file = await (await ask(`/v1/services.ndjson${query}`)).text();
      const lines = file.trimEnd().split("\n");
      expect(lines.map((line): unknown => JSON.parse(line))).toEqual(items);
      const headers = { cookie: `portolan_token=${known.tokens.viewer}` };
      const linked = await ask(`/export/services.ndjson${query}`, { role: null, headers });
      expect([linked.status, linked.headers.get("content-type"), await linked.text()]).toEqual([200, "application/x-ndjson", file]);
      const table = await (await ask(`/v1/services.csv${query}`)).text();
      expect(table.trimEnd().split("\n")).toHaveLength(items.length + 1);
    });

    test("every route refuses who has no token, and a role that is not enough", async () => {
      const { ask, known } = subject();
      for (const [route, role] of GUARDED) {
        const method = methodOf(route);
        const path = anyPath(route.slice(method.length + 1), known);
        const body = method === "GET" || method === "DELETE" ? {} : { body: {} };
        const refused = await ask(path, { method, role: null, ...body });
        expect([route, refused.status, await refused.json()]).toMatchObject([route, 401, { code: "unauthenticated" }]);
        if (role === "viewer") continue;
        const low = await ask(path, { method, role: role === "admin" ? "operator" : "viewer", ...body });
        expect([route, low.status, await low.json()]).toMatchObject([route, 403, { code: "forbidden" }]);
      }
    });

    test("wrong requests get the problem that says what is wrong with them", async () => {
      const { ask } = subject();
      const problem = async (path: string, options: Parameters<Asker["ask"]>[1] = {}): Promise<unknown[]> => {
        const response = await ask(path, options);
        const body = (await response.json()) as { code: string; request_id: string };
        expect(body.request_id).toBe(response.headers.get("x-request-id"));
        return [response.status, body.code, response.headers.get("cache-control")];
      };
      const post = (body: unknown) => ({ method: "POST", body });
      expect(await problem("/v1/hosts/1.2.3.400")).toEqual([400, "invalid", "no-store"]);
      expect(await problem("/v1/hosts/203.0.113.7")).toEqual([404, "not-found", "no-store"]);
      expect(await problem("/v1/services?cidr=192.0.2.0/24&cursor=AAAA")).toEqual([400, "invalid", "no-store"]);
      expect(await problem("/v1/services?nonsense=1")).toEqual([400, "invalid", "no-store"]);
      expect(await problem("/v1/plans", post("{"))).toEqual([400, "invalid", "no-store"]);
      expect(await problem("/v1/nothing")).toEqual([404, "not-found", "no-store"]);
      expect(await problem("/v1/plans", post({ name: "x".repeat(3_000_000) }))).toEqual([413, "too-large", "no-store"]);
    });

    test("history reads the stored sightings, which are compressed", async () => {
      const { ask, known } = subject();
      const history = await ask(`${SERVICE}/history`);
      expect(await history.json()).toMatchObject({
        port: 443,
        intervals: [{ state: "open", toMs: null }],
        turns: [{ kind: "first-observed" }],
      });
      const then = await ask("/v1/history/open?asOf=2024-01-01T00:00:00Z");
      expect(await then.json()).toMatchObject({ items: [{ address: HOST, port: 443, state: "open" }, { port: 80 }], next_cursor: null });
      const diff = await ask(`/v1/diff?from=2020-01-01&to=job:${known.endedJob}`);
      expect([diff.status, await diff.json()]).toMatchObject([200, { items: [{ address: HOST, port: 443 }, { port: 80 }] }]);
    });

    test("a caller's request id comes back when it is harmless, also from the cache", async () => {
      const { ask } = subject();
      const idOf = async (id: string): Promise<string | null> => {
        const response = await ask("/v1/changes", { headers: { "x-request-id": id } });
        await response.arrayBuffer();
        return response.headers.get("x-request-id");
      };
      expect([await idOf("abc-1"), await idOf("abc-2")]).toEqual(["abc-1", "abc-2"]);
      expect(await idOf("a b")).toMatch(/^[0-9a-f-]{36}$/);
    });
  });
}

function methodOf(route: string): string {
  return route.slice(0, route.indexOf(" "));
}

function headersOf({ headers }: Response): unknown[] {
  return [
    headers.get("x-portolan-region"),
    (headers.get("x-request-id") ?? "") !== "",
    headers.get("x-content-type-options"),
    (headers.get("content-type") ?? "").replace(/;.*/, ""),
  ];
}

const FILE_TYPES: Readonly<Record<string, string>> = {
  csv: "text/csv",
  ndjson: "application/x-ndjson",
  txt: "text/plain",
  xml: "application/xml",
};

/** Lists as files have the type of their ending. */
function typeOf(status: number, route: string): string {
  if (status >= 400) return "application/problem+json";
  if (route.endsWith("/stream")) return "text/event-stream";
  return FILE_TYPES[/\.([a-z]+)$/.exec(route)?.[1] ?? ""] ?? "application/json";
}
