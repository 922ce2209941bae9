import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createApp } from "../../src/api/app.ts";
import { sha256Hex, verifyText } from "../../src/bus/keys.node.ts";
import { checkCertificate } from "../../src/core/certificate/check.ts";
import { type TestRegistry, startTestRegistry } from "../registry/harness.ts";
import { type Evidence, startEvidence } from "./evidence.ts";

type Interval = { fromMs: number; toMs: number | null; state: string };
type Change = { n: number; kind: string; address: string | null; cause: { kind: string; id: string | null } };
/** Of whatever answer: each test reads what it asked for. */
type Body = { items: Change[]; next_cursor: string | null; intervals: Interval[]; detail: string };

let store: TestRegistry;
let evidence: Evidence;
let token: string;
const bugs: unknown[] = [];

beforeAll(async () => {
  [store, evidence] = await Promise.all([startTestRegistry(), startEvidence()]);
  await store.registry.addRegion("eu");
  token = (await store.registry.tokens.issue({ name: "tests", role: "admin", expiresAtMs: null })).text;
});
afterAll(async () => {
  evidence?.close();
  await store?.close();
});

async function get(path: string): Promise<{ status: number; body: Body }> {
  const { registry } = store;
  const app = createApp({
    registry,
    ledger: evidence.ledger,
    clock: () => evidence.nowMs,
    version: "0",
    region: "eu",
    onBug: (bug) => bugs.push(bug),
  });
  const response = await app.request(path, { headers: { authorization: `Bearer ${token}` } });
  return { status: response.status, body: (await response.json()) as Body };
}

async function pages<T>(path: string): Promise<T[]> {
  const items: T[] = [];
  for (let cursor = ""; ;) {
    const { status, body } = await get(`${path}&limit=1${cursor === "" ? "" : `&cursor=${cursor}`}`);
    expect(status).toBe(200);
    items.push(...(body.items as T[]));
    if (body.next_cursor === null) return items;
    cursor = body.next_cursor;
  }
}

describe("why", () => {
  test.each([
    ["192.0.2.3/tcp/443", "open"],
    ["192.0.2.4/tcp/80", "missing"],
    ["192.0.2.5/tcp/22", "closed"],
  ])("%s gives a certificate that the independent checker, with real signatures, accepts as %s", async (path, verdict) => {
    const { status, body } = await get(`/v1/services/${path}/why`);
    expect(status).toBe(200);
    expect(checkCertificate(body, { sha256: sha256Hex, verify: verifyText })).toEqual({ ok: true, verdict });
  });

  test("is a 404 that says so where nobody ever saw anything, and a 400 for what is no service", async () => {
    expect(await get("/v1/services/192.0.2.99/tcp/443/why")).toMatchObject({ status: 404, body: { code: "not-found" } });
    expect((await get("/v1/services/192.0.2.3/tcp/70000/why")).status).toBe(400);
    expect((await get("/v1/services/192.0.2.3/icmp/4/why")).status).toBe(400);
    expect((await get("/v1/services/nonsense/tcp/4/why")).status).toBe(400);
  });
});

describe("changes", () => {
  test("come newest first with their causes, each once, whatever the page size", async () => {
    const changes = await pages<Change>("/v1/changes?order=newest");
    expect(changes.map(({ n }) => n)).toEqual(changes.map(({ n }) => n).toSorted((a, b) => b - a));
    const closed = changes.filter(({ kind }) => kind === "closed");
    expect(closed).toMatchObject([{ address: "192.0.2.5", cause: { kind: "probe" } }]);
    expect(changes.filter(({ kind }) => kind === "first-observed")).toHaveLength(3);
    expect(changes[0]).toMatchObject({ kind: "job-held", address: null, cause: { kind: "tile-complete" } });
    expect(changes.every(({ cause }) => cause.id !== null)).toBe(true);
  });

  test("can be followed: the oldest first, and the last cursor asks for what came since", async () => {
    const { body } = await get("/v1/changes?order=oldest&limit=1000");
    const newest = await pages<Change>("/v1/changes?order=newest");
    expect(body.items).toEqual(newest.toReversed());
    const after = await get(`/v1/changes?order=oldest&limit=1000&cursor=${body.next_cursor}`);
    expect(after.body).toMatchObject({ items: [], next_cursor: body.next_cursor });
  });

  test("of some kinds are those kinds only, and unknown kinds are named", async () => {
    const { body } = await get("/v1/changes?kind=closed,missing");
    expect(new Set(body.items.map(({ kind }) => kind))).toEqual(new Set(["closed", "missing"]));
    const wrong = await get("/v1/changes?kind=gone");
    expect([wrong.status, wrong.body.detail]).toEqual([400, expect.stringContaining("first-observed")]);
  });
});

describe("history", () => {
  test("tells the intervals of a service, and ends with its state of now", async () => {
    const { status, body } = await get("/v1/services/192.0.2.5/tcp/22/history");
    expect(status).toBe(200);
    expect(body.intervals.map(({ state }) => state)).toEqual(["open", "missing", "closed"]);
    expect(body.intervals.at(-1)?.toMs).toBeNull();
    expect((await get("/v1/services/192.0.2.99/tcp/22/history")).status).toBe(404);
  });

  test("knows what was open at a past moment", async () => {
    const { body } = await get("/v1/services/192.0.2.5/tcp/22/history");
    const at = (timeMs: number) => pages<{ address: string }>(`/v1/history/open?asOf=${new Date(timeMs).toISOString()}`);
    const [seen, , closed] = body.intervals;
    expect((await at(seen?.fromMs ?? 0)).map(({ address }) => address)).toEqual(["192.0.2.3", "192.0.2.4", "192.0.2.5"]);
    expect((await at(closed?.fromMs ?? 0)).map(({ address }) => address)).toEqual(["192.0.2.3", "192.0.2.4"]);
    expect(await at((seen?.fromMs ?? 0) - 1_000)).toEqual([]);
  });

  test("compares two moments in three buckets", async () => {
    const history = (await get("/v1/services/192.0.2.5/tcp/22/history")).body.intervals;
    const time = (ms: number | undefined): string => new Date(ms ?? 0).toISOString();
    const [, missing, closed] = history;
    const back = await pages<object>(`/v1/diff?from=${time(missing?.fromMs)}&to=${time(closed?.fromMs)}`);
    expect(back).toEqual([{ address: "192.0.2.5", protocol: "tcp", port: 22, difference: "disappeared" }]);
    const before = await pages<{ difference: string }>(`/v1/diff?from=2020-01-01T00:00:00Z&to=${time(missing?.fromMs)}`);
    expect(before.map(({ difference }) => difference)).toEqual(["not-comparable", "not-comparable", "not-comparable"]);
    const jobs = await pages<object>(`/v1/diff?from=job:${evidence.jobs[0]}&to=job:${evidence.jobs[2]}`);
    expect(jobs).toEqual(expect.any(Array));
  });

  test("refuses what is no time, what is not over yet, and what is no job", async () => {
    for (const path of [
      "/v1/history/open?asOf=soon",
      "/v1/history/open?asOf=2999-01-01",
      "/v1/diff?from=job:abc&to=2020-01-01",
      "/v1/diff?from=2020-01-01",
    ]) {
      expect([path, (await get(path)).status]).toEqual([path, 400]);
    }
    expect((await get(`/v1/diff?from=job:${"0".repeat(64)}&to=2020-01-01`)).status).toBe(404);
  });
});

describe("a job", () => {
  test("names what the brake holds, with the reason", async () => {
    const [held] = evidence.jobs.slice(-1);
    const { body } = await get(`/v1/jobs/${held}/held`);
    expect(body.items).toMatchObject([{ tile: 0, reason: expect.stringContaining("would be missing") }]);
    expect((await get(`/v1/jobs/${evidence.jobs[0]}/held`)).body.items).toEqual([]);
    expect((await get(`/v1/jobs/${held}/tiles`)).body.items).toMatchObject([{ held: expect.any(String) }]);
  });

  test("accounts for what it sent, by shard, scanner, host and network", async () => {
    const [job] = evidence.jobs;
    expect((await get(`/v1/jobs/${job}/accounting`)).body).toMatchObject({
      probesSent: 48,
      probesPlanned: 48,
      hosts: 16,
      networks: 1,
      perHost: { planned: 3, sent: 3 },
      perNetwork: { planned: 48, sent: 48 },
      scanners: [{ scanner: "scanner-1", reports: 1, complete: 1, found: 3, probesSent: 48 }],
    });
    expect((await get(`/v1/jobs/${job}/reports`)).body.items).toMatchObject([
      { tile: 0, shard: 1, complete: true, found: 3, probesSent: 48 },
    ]);
    expect((await get(`/v1/jobs/${"0".repeat(64)}/accounting`)).status).toBe(404);
  });

  test("lists its shards by state, the complete ones with what they found", async () => {
    const [job] = evidence.jobs;
    expect((await get(`/v1/jobs/${job}/shards?state=complete`)).body.items).toMatchObject([{ state: "complete", found: 3 }]);
    for (const state of ["waiting", "running", "partial", "abandoned"])
      expect((await get(`/v1/jobs/${job}/shards?state=${state}`)).body.items).toEqual([]);
  });
});

test("nothing of this was a bug", () => {
  expect(bugs).toEqual([]);
});
