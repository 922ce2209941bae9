import { createClient } from "@libsql/client/web";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ROUTE_ROLES } from "../../src/api/roles.ts";
import { type AuditEntry, CHAIN_START, verifyChain } from "../../src/registry/audit-chain.ts";
import { publicKey } from "../registry/harness.ts";
import { startTestApi, type TestApi } from "./harness.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api?.close();
});

type Sent = { readonly path: string; readonly body?: unknown; readonly headers?: Record<string, string> };

const rule = { ranges: ["198.51.100.7"], owner: "ops", reason: "test" };
const text = (body: string): Sent["headers"] & { "content-type": string } => ({ "content-type": "text/csv", "x-body": body });

/** How to reach each route that changes the registry, in an order in which each finds what it needs. */
const CHANGES: Readonly<Record<string, (ids: ReadonlyMap<string, string>) => Sent>> = {
  "POST /v1/regions": () => ({ path: "/v1/regions", body: { name: "us" } }),
  "PATCH /v1/regions/:name": () => ({ path: "/v1/regions/us", body: { latitude: 1, longitude: 2 } }),
  "DELETE /v1/regions/:name": () => ({ path: "/v1/regions/us" }),
  "POST /v1/scanners": () => ({
    path: "/v1/scanners",
    body: { name: "s2", region: "eu", addresses: ["192.0.2.9"], publicKey: publicKey(1) },
  }),
  "PATCH /v1/scanners/:name": () => ({ path: "/v1/scanners/s2", body: { enabled: false } }),
  "POST /v1/groups": () => ({ path: "/v1/groups", body: { name: "edge", members: [{ scanner: "de01" }] } }),
  "POST /v1/groups/:name/members": () => ({ path: "/v1/groups/edge/members", body: { scanner: "s2" } }),
  "DELETE /v1/groups/:name/members/:scanner": () => ({ path: "/v1/groups/edge/members/s2" }),
  "PUT /v1/groups/:name/members": () => ({ path: "/v1/groups/edge/members", body: { members: [{ scanner: "de01", pinned: 1 }] } }),
  "DELETE /v1/groups/:name": () => ({ path: "/v1/groups/edge" }),
  "DELETE /v1/scanners/:name": () => ({ path: "/v1/scanners/s2" }),
  "POST /v1/range-groups": () => ({ path: "/v1/range-groups", body: { name: "lan", ranges: ["198.51.100.0/25"] } }),
  "POST /v1/range-groups/:name/ranges": () => ({ path: "/v1/range-groups/lan/ranges", body: { ranges: ["198.51.100.128/25"] } }),
  "DELETE /v1/range-groups/:name/ranges": () => ({ path: "/v1/range-groups/lan/ranges?range=198.51.100.128/25" }),
  "PUT /v1/range-groups/:name/ranges": () => ({ path: "/v1/range-groups/lan/ranges", body: { ranges: ["198.51.100.0/24"] } }),
  "PATCH /v1/range-groups/:name": () => ({ path: "/v1/range-groups/lan", body: { allowSpecialPurpose: true } }),
  "POST /v1/plans": () => ({ path: "/v1/plans", body: { name: "office", include: ["lan"], ports: "80", cron: "30 3 * * 1-5" } }),
  "PATCH /v1/plans/:name": () => ({ path: "/v1/plans/office", body: { every: "6h" } }),
  "DELETE /v1/plans/:name": () => ({ path: "/v1/plans/office" }),
  "DELETE /v1/range-groups/:name": () => ({ path: "/v1/range-groups/lan" }),
  "POST /v1/exclusions": () => ({ path: "/v1/exclusions", body: rule }),
  "PATCH /v1/exclusions/:id": (ids) => ({ path: `/v1/exclusions/${ids.get("POST /v1/exclusions")}`, body: { ports: "9100" } }),
  "DELETE /v1/exclusions/:id": (ids) => ({ path: `/v1/exclusions/${ids.get("POST /v1/exclusions")}` }),
  "POST /v1/known-good": () => ({ path: "/v1/known-good", body: rule }),
  "PATCH /v1/known-good/:id": (ids) => ({ path: `/v1/known-good/${ids.get("POST /v1/known-good")}`, body: { owner: "it" } }),
  "DELETE /v1/known-good/:id": (ids) => ({ path: `/v1/known-good/${ids.get("POST /v1/known-good")}` }),
  "POST /v1/tokens": () => ({ path: "/v1/tokens", body: { name: "ci", role: "viewer" } }),
  "DELETE /v1/tokens/:id": (ids) => ({ path: `/v1/tokens/${ids.get("POST /v1/tokens")}` }),
  "POST /v1/webhooks": () => ({ path: "/v1/webhooks", body: { name: "chat", url: "https://example.org/x", events: ["service.opened"] } }),
  "PATCH /v1/webhooks/:name": () => ({ path: "/v1/webhooks/chat", body: { enabled: false } }),
  "POST /v1/webhooks/:name/secret": () => ({ path: "/v1/webhooks/chat/secret" }),
  "DELETE /v1/webhooks/:name": () => ({ path: "/v1/webhooks/chat" }),
  "POST /v1/range-groups/import": () => ({ path: "/v1/range-groups/import", headers: text("group,range\nwan,203.0.113.0/24") }),
  "POST /v1/exclusions/import": () => ({ path: "/v1/exclusions/import", headers: text("ranges,owner,reason\n203.0.113.1,o,r") }),
  "POST /v1/known-good/import": () => ({ path: "/v1/known-good/import", headers: text("ranges,owner,reason\n203.0.113.1,o,r") }),
  "POST /v1/scanners/import": () => ({
    path: "/v1/scanners/import",
    headers: text(`name,region,addresses,publicKey\ns3,eu,192.0.2.3,${publicKey(3)}`),
  }),
  "POST /v1/groups/import": () => ({ path: "/v1/groups/import", headers: text("group,scanner\nmore,de01\nmore,s3") }),
  "POST /v1/plans/import": () => ({ path: "/v1/plans/import", headers: text("name,include,ports,every\nwide,wan,443,1d") }),
};

/** Routes that change nothing of the registry: they ask a keeper, or hand in findings. */
const ELSEWHERE =
  /^(POST|PUT) \/(results|traceroute|job)|\/v1\/(jobs|ledger|imports|scans|uploads|denies|deny|preview|services|legacy-jobs)|\/jobs$|\/(preview|lint)$/;

async function entries(): Promise<AuditEntry[]> {
  const response = await api.ask("GET", "/v1/audit?limit=100");
  return ((await response.json()) as { items: AuditEntry[] }).items;
}

async function send(route: string, { path, body, headers }: Sent): Promise<Response> {
  const { "x-body": raw, ...rest } = headers ?? {};
  const content = raw ?? body;
  return api.ask(route.split(" ")[0] ?? "", path, { ...(content === undefined ? {} : { body: content }), headers: rest });
}

test("every route that changes the registry leaves one entry that names who, what, before and after", async () => {
  const changing = Object.keys(ROUTE_ROLES).filter((route) => !route.startsWith("GET ") && !ELSEWHERE.test(route));
  expect(changing.filter((route) => CHANGES[route] === undefined)).toEqual([]);
  const ids = new Map<string, string>();
  for (const [route, sent] of Object.entries(CHANGES)) {
    if (ROUTE_ROLES[route] === undefined) continue;
    const before = (await entries())[0]?.seq ?? 0;
    const response = await send(route, sent(ids));
    const answer = (await response.json()) as { id?: string };
    expect([route, response.status, answer]).toEqual([route, response.status < 300 ? response.status : "2xx", answer]);
    if (answer.id !== undefined) ids.set(route, answer.id);
    const fresh = (await entries()).filter(({ seq }) => seq > before);
    expect(fresh, route).toMatchObject([{ seq: before + 1, actor: "admin", tokenId: expect.any(String), requestId: expect.any(String) }]);
    expect(fresh[0]?.before === null && fresh[0]?.after === null, route).toBe(false);
  }
  const all = (await entries()).toReversed();
  expect(await verifyChain(CHAIN_START, all)).toMatchObject({ problem: null, head: { seq: all.length } });
  // Secrets and hashes of tokens stay out of it.
  expect(JSON.stringify(all)).not.toMatch(/whsec_|ptl_api_/);
  const seqs: number[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const page: Response = await api.ask("GET", `/v1/audit?limit=7${cursor === "" ? "" : `&cursor=${cursor}`}`);
    const { items, next_cursor } = (await page.json()) as { items: AuditEntry[]; next_cursor: string | null };
    seqs.push(...items.map(({ seq }) => seq));
    cursor = next_cursor;
  }
  expect(seqs).toEqual(all.map(({ seq }) => seq).toReversed());
}, 120_000);

test("what changes nothing, and what is refused, leaves no entry", async () => {
  const before = await entries();
  expect((await api.ask("POST", "/v1/regions", { body: { name: "eu" } })).status).toBe(200);
  expect((await api.ask("POST", "/v1/exclusions", { body: { ...rule, ranges: ["nonsense"] } })).status).toBe(400);
  expect((await api.ask("DELETE", "/v1/plans/nosuch")).status).toBe(404);
  expect((await api.ask("POST", "/v1/exclusions", { role: "viewer", body: rule })).status).toBe(403);
  expect(await entries()).toEqual(before);
});

test.each([
  ["altered", "update audit set actor = 'nobody' where seq = 3", /entry 3/],
  ["altered in what it shows", `update audit set after = '{}' where seq = 4`, /entry 4/],
  ["removed", "delete from audit where seq = 5", /after entry 4 comes 6/],
])("an entry that was %s in the database itself is found", async (_, sql, problem) => {
  const client = createClient({ url: api.store.sqld.url });
  try {
    const kept = await client.execute("select * from audit where seq between 3 and 5");
    await client.execute(sql);
    expect((await verifyChain(CHAIN_START, (await entries()).toReversed())).problem).toMatch(problem);
    for (const row of kept.rows) {
      const args = kept.columns.map((column) => row[column] ?? null);
      await client.execute({ sql: `insert or replace into audit values (${args.map(() => "?").join(", ")})`, args });
    }
    expect((await verifyChain(CHAIN_START, (await entries()).toReversed())).problem).toBeNull();
  } finally {
    client.close();
  }
});
