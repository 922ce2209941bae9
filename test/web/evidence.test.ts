import type { Hono } from "hono";
import { afterAll, beforeAll, expect, test } from "vitest";
import { PortolanError } from "../../src/core/errors.ts";
import type { Change } from "../../src/ledger/types.ts";
import type { WebDeps } from "../../src/web/app.tsx";
import { stretchOf } from "../../src/web/lanes.ts";
import { type Evidence, startEvidence } from "../api/evidence.ts";
import { type FakeData, fakeLedger, job, JOB_ID, service, TOKEN, webWith } from "./fixture.ts";

const COOKIE = { cookie: `portolan_token=${TOKEN}` };
let evidence: Evidence;
beforeAll(async () => {
  evidence = await startEvidence();
});
afterAll(() => evidence?.close());

function real(data: FakeData = {}, overrides: Partial<WebDeps> = {}): Hono {
  return webWith(data, { ledger: { ...fakeLedger(data), why: (key) => evidence.ledger.why(key) }, ...overrides });
}

async function html(web: Hono, path: string, status = 200): Promise<string> {
  const response = await web.request(path, { headers: COOKIE });
  expect(response.status).toBe(status);
  return response.text();
}

function change(part: Partial<Change>): Change {
  const cause = { kind: "part", id: "cd".repeat(32) } as const;
  return {
    n: 1,
    kind: "opened",
    address: "192.0.2.1",
    protocol: "tcp",
    port: 443,
    was: null,
    state: "open",
    job: JOB_ID,
    cause,
    atMs: 1,
    ...part,
  };
}

test("the why page tells sightings, misses and the probe of a closed port in order, and how to check it", async () => {
  const page = await html(real(), "/hosts/192.0.2.5/22/tcp");
  expect(page).toContain('<h1>Why is <span class="mono">22/tcp</span> closed?</h1>');
  const places = ["Last seen open", "A complete look missed it", "A probe confirmed it", "portolan certificate check"].map((text) =>
    page.indexOf(text),
  );
  expect(places.every((place) => place > 0)).toBe(true);
  expect(places).toEqual(places.toSorted((a, b) => a - b));
  for (const id of evidence.jobs.slice(0, 3)) expect(page).toContain(`/jobs/${id}`);
});

test("the why page of a missing port says what is still lacking, and of an open one that nothing missed it", async () => {
  expect(await html(real(), "/hosts/192.0.2.4/80/tcp")).toContain("At least 1 more look is needed");
  expect(await html(real(), "/hosts/192.0.2.3/443/tcp")).toContain("no complete look since then has missed it");
  expect(await html(real(), "/hosts/192.0.2.99/443/tcp", 404)).toContain("Nobody ever saw");
  expect(await html(real(), "/hosts/192.0.2.3/99999/tcp", 404)).toContain("no port");
});

test("changes are listed with their causes, by groups, and page on without losing one", async () => {
  const changes = Array.from({ length: 120 }, (_, index) =>
    change({ n: 120 - index, kind: index % 3 === 0 ? "closed" : "opened", address: `198.51.100.${index}` }),
  );
  const web = webWith({ changes });
  const seen: string[] = [];
  for (let path = "/changes?show=new"; path !== "";) {
    const page = await html(web, path);
    seen.push(...[...page.matchAll(/href="\/hosts\/([^"/]+)"/g)].map((match) => match[1] ?? ""));
    path = /<a class="button button-quiet" href="([^"]+)" rel="next"/.exec(page)?.[1]?.replaceAll("&amp;", "&") ?? "";
  }
  expect(seen).toEqual(changes.filter(({ kind }) => kind === "opened").map(({ address }) => address));
  expect(await html(webWith({}), "/changes")).toContain("Nothing has changed yet");
  expect(await html(webWith({ changes: [change({})] }), "/changes?show=closed")).toContain("No such change here");
});

test("a change of a job without a service, and one without a record, name their cause all the same", async () => {
  const held = change({
    kind: "job-held",
    address: null,
    protocol: null,
    port: null,
    state: null,
    cause: { kind: "tile-complete", id: "cd".repeat(32) },
  });
  const page = await html(
    webWith({ changes: [held, change({ kind: "unmonitored", job: null, cause: { kind: "rule", id: null } })] }),
    "/changes",
  );
  expect(page).toContain("tile held");
  expect(page).toContain("the registry&#39;s rules");
});

test("the host page draws a lane for each port and has the same as a table; without history it says why", async () => {
  const services = [service({ port: 443 }), service({ port: 22, state: "closed" })];
  const intervals = [
    { fromMs: 1_000, toMs: 5_000, state: "open" as const },
    { fromMs: 5_000, toMs: null, state: "closed" as const },
  ];
  const data = { services, histories: { 22: { intervals, turns: [], sinceMs: null } } };
  const page = await html(webWith(data), "/hosts/192.0.2.10");
  expect(page.match(/<rect class="lane-(open|closed)" x=/g)).toHaveLength(2 + 2);
  expect(page).toContain("As a table");
  expect(page).toContain("1970-01-01 00:00:05 UTC");
  const history = async (): Promise<never> => {
    throw new PortolanError("unavailable", "stored sightings are compressed");
  };
  expect(await html(webWith(data, { ledger: { ...fakeLedger(data), history } }), "/hosts/192.0.2.10")).toContain(
    "stored sightings are compressed",
  );
});

test("a lane lies within its line, and what was short stays visible", () => {
  const line = { fromMs: 0, toMs: 1_000_000 };
  for (const interval of [
    { fromMs: 0, toMs: 1 },
    { fromMs: 999_999, toMs: null },
    { fromMs: -5, toMs: 2_000_000 },
    { fromMs: 400_000, toMs: 600_000 },
  ]) {
    const { x, width } = stretchOf({ ...interval, state: "open" }, line);
    expect(x).toBeGreaterThanOrEqual(0);
    expect(width).toBeGreaterThanOrEqual(0.4);
    expect(x + width).toBeLessThanOrEqual(100.01);
  }
});

test("known-good ports are not counted, are said to be hidden, and one link shows them", async () => {
  const web = webWith({ services: [service({ port: 1 }), service({ port: 2, known: true }), service({ port: 3, known: true })] });
  const page = await html(web, "/");
  expect(page).toContain("<h1>1 open port</h1>");
  expect(page).toContain("known:hide (2 hidden)");
  expect(page).toContain('href="/?q=known%3Ashow"');
  expect((await html(web, "/?known=show")).match(/class="cell-port"/g)).toHaveLength(3);
  expect((await html(web, "/?known=only")).match(/class="cell-port"/g)).toHaveLength(2);
  expect(await html(web, "/?known=perhaps", 400)).toContain("is none of hide, show, only");
});

test("labels stand beside the state in words", async () => {
  const label = { neverCovered: false, unmonitored: false, stale: false, coveredAtMs: null };
  const services = [service({ port: 1 }), service({ port: 2 }), service({ port: 3 }), service({ port: 4, reopened: true })];
  const labels = { 1: { ...label, neverCovered: true, stale: true }, 2: { ...label, unmonitored: true }, 3: { ...label, stale: true } };
  const page = await html(webWith({ services, labels }), "/");
  for (const word of ["never covered", "unmonitored", "stale", "reopened"])
    expect(page.match(new RegExp(`>${word}</span>`, "g"))).toHaveLength(1);
});

test("the job page says what is held and why it cannot go on, and its forms ask the API with the rights of who is signed in", async () => {
  const asked: Request[] = [];
  const held = {
    job: JOB_ID,
    plan: "office",
    planId: "p",
    home: "eu",
    tile: 7,
    tileComplete: "ab".repeat(32),
    reason: "half is gone",
    heldAtMs: 0,
    look: null,
    next: null,
  };
  const data = { jobs: [job({ state: "running", endedAtMs: null, paused: true, why: "no live scanner in group edge" })], held: [held] };
  const refusal = { code: "forbidden", detail: "this needs the role operator" };
  let isAllowed = true;
  const callApi = (request: Request): Response => {
    asked.push(request);
    return isAllowed ? Response.json({}) : Response.json(refusal, { status: 403 });
  };
  const web = webWith(data, { callApi });
  const page = await html(web, `/jobs/${JOB_ID}`);
  for (const text of ["half is gone", "no live scanner in group edge", "paused", ">Resume<"]) expect(page).toContain(text);
  const action = `/jobs/${JOB_ID}/tiles/7/release`;
  expect(page).toContain(`action="${action}"`);
  const headers = { ...COOKIE, "sec-fetch-site": "same-origin" };
  const done = await web.request(action, { method: "POST", headers });
  expect([done.status, done.headers.get("location")]).toEqual([303, `/jobs/${JOB_ID}`]);
  expect(new URL(asked[0]?.url ?? "").pathname).toBe(`/v1${action}`);
  expect(asked[0]?.headers.get("authorization")).toBe(`Bearer ${TOKEN}`);
  expect((await web.request(action, { method: "POST", headers: COOKIE })).status).toBe(403);
  expect((await web.request(action, { method: "POST", headers: { "sec-fetch-site": "same-origin" } })).headers.get("location")).toContain(
    "/login",
  );
  expect(asked).toHaveLength(1);
  isAllowed = false;
  const refused = await web.request(`/jobs/${JOB_ID}/resume`, { method: "POST", headers });
  expect([refused.status, await refused.text()]).toEqual([403, expect.stringContaining("needs the role operator")]);
});
