import type { Hono } from "hono";
import { expect, test } from "vitest";
import type { RegistryState } from "../../src/registry/types.ts";
import { regionOf } from "../registry/harness.ts";
import { JOB_ID, service, TOKEN, webWith } from "./fixture.ts";

const cookie = `portolan_token=${TOKEN}`;
const STATE: RegistryState = {
  version: 1,
  home: "eu",
  regions: [regionOf("eu"), regionOf("us"), regionOf("ap", { state: "retired" })],
  scanners: [],
  groups: [],
  rangeGroups: [],
  exclusions: [],
  knownGood: [],
  plans: [],
  webhooks: [],
};

async function html(web: Hono, path: string): Promise<string> {
  const response = await web.request(path, { headers: { cookie } });
  expect(response.status).toBe(200);
  return response.text();
}

test("the regions page shows who answers, who holds the registry, contact, lag and alarms, without the registry too", async () => {
  const peers = [
    {
      region: "us",
      checkpoint: 1,
      contactMs: Date.UTC(2026, 10, 20, 13, 4),
      behind: 1_234,
      equalAtMs: null,
      alarm: "us differs: rebuild it <b>",
    },
  ];
  const page = await html(webWith({ peers }, { registry: { state: async () => STATE } }), "/regions");
  for (const text of [
    "answers here",
    "holds the registry",
    "1\u202f234 records",
    "us differs: rebuild it &lt;b&gt;",
    "retired",
    'role="alert"',
  ])
    expect(page).toContain(text);
  const away = await html(webWith({ peers }, { registry: { state: () => Promise.reject(new Error("away")) } }), "/regions");
  expect(away).toContain("The registry does not answer now");
  expect(away).toContain("us differs");
});

const VANTAGES = [
  { region: "eu", says: "open" as const, lastSeenMs: Date.UTC(2026, 10, 20, 12), missed: null },
  {
    region: "us",
    says: "silent" as const,
    lastSeenMs: null,
    missed: { atMs: Date.UTC(2026, 10, 20, 13), by: "look" as const, job: JOB_ID },
  },
];

test("a host shows what each region says of its ports, and nothing where there is nothing to compare", async () => {
  const data = { services: [service(), service({ port: 80 })], vantages: { 443: VANTAGES, 80: VANTAGES.slice(0, 1) } };
  const page = await html(webWith(data), "/hosts/192.0.2.10");
  const part = page.slice(page.indexOf("From each region"));
  expect(part).toContain("silent");
  expect(part).toContain("never");
  expect(part).toContain(`/jobs/${JOB_ID}`);
  expect(part.match(/443\/tcp/g)?.length).toBeGreaterThanOrEqual(2);
  expect(await html(webWith({ services: [service()] }), "/hosts/192.0.2.10")).not.toContain("From each region");
});

test("the filter asks for disagreements, keeps that over pages, and can be taken away", async () => {
  const web = webWith({ services: [service()] });
  const page = await html(web, "/?vantage=disagree");
  expect(page).toContain("vantage:disagree");
  expect(page).toContain('value="vantage:disagree"');
  expect((await web.request("/?vantage=agree", { headers: { cookie } })).status).toBe(400);
});

test("a session that wrote names the registry's version with its next pages, and only then", async () => {
  const seen: number[] = [];
  const registry = { state: async () => STATE, seen: async (version: number) => void seen.push(version) };
  const answer = new Response("{}", { headers: { "x-registry-version": "42" } });
  const web = webWith({}, { registry, callApi: () => answer });
  const headers = { cookie, "sec-fetch-site": "same-origin" };
  const posted = await web.request(`/jobs/${JOB_ID}/pause`, { method: "POST", headers });
  const set = posted.headers.getSetCookie().find((one) => one.startsWith("portolan_registry="));
  expect(set).toMatch(/^portolan_registry=42; .*HttpOnly/);
  await web.request("/regions", { headers: { cookie } });
  expect(seen).toEqual([]);
  await web.request("/regions", { headers: { cookie: `${cookie}; portolan_registry=42` } });
  await web.request("/regions", { headers: { cookie: `${cookie}; portolan_registry=x` } });
  expect(seen).toEqual([42]);
});
