import { readdirSync, readFileSync } from "node:fs";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { httpDatabase } from "../../src/ledger/database.ts";
import { until } from "../bus/until.ts";
import { planInput } from "../registry/harness.ts";
import { askServer, type Environment, type Server, startDeno, startNode, startWorkerd } from "./servers.ts";
import { PLACES, startWorld, type World } from "./world.ts";

let world: World;
const PLAN = "across";

beforeAll(async () => {
  world = await startWorld();
  const { registry } = world.store;
  await registry.addRangeGroup({ name: "office", ranges: ["192.0.2.0/24"] });
  await registry.addPlan(planInput({ name: PLAN, include: ["office"] }));
});

afterAll(async () => {
  await world?.stop();
});

type RegionName = keyof typeof PLACES;

/** As workerd hears it from its platform, and the others from a proxy. */
const BY_HEADER = (at: string): Record<string, string> => ({ "x-caller-at": at });
const BY_PLATFORM = (at: string): Record<string, string> => {
  const [latitude, longitude] = at.split(",");
  return { "cf-blob": JSON.stringify({ latitude, longitude }) };
};
const RUNTIMES: readonly {
  readonly name: string;
  readonly start: (environment: Environment) => Promise<Server>;
  readonly coordinates: (at: string) => Record<string, string>;
}[] = [
  { name: "node", start: startNode, coordinates: BY_HEADER },
  { name: "deno", start: startDeno, coordinates: BY_HEADER },
  { name: "workerd", start: startWorkerd, coordinates: BY_PLATFORM },
];

describe.each(RUNTIMES)("two regions behind one entry on $name", ({ start, coordinates }) => {
  let server: Server;
  const frozen = new Set<RegionName>();
  let query = 0;

  /** Returns when the process stands still: on a busy machine its threads stop one after the other. */
  const freeze = async (region: RegionName): Promise<void> => {
    const { pid } = world.ledgers[region].sqld;
    frozen.add(region);
    process.kill(pid, "SIGSTOP");
    const threads = (): string[] =>
      readdirSync(`/proc/${pid}/task`).map((thread) => readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8"));
    await until("the store to stand still", () => threads().every((stat) => /\) [Tt] /.test(stat)), 30_000);
  };
  const thaw = (): void => {
    for (const region of frozen) process.kill(world.ledgers[region].sqld.pid, "SIGCONT");
    frozen.clear();
  };
  const ask = async (path: string, init: RequestInit & { headers?: Record<string, string> } = {}) => {
    const startedMs = performance.now();
    const headers = { authorization: `Bearer ${world.known.tokens.operator}`, ...init.headers };
    const response = await askServer(server, path, { ...init, headers });
    const text = await response.text();
    return {
      status: response.status,
      region: response.headers.get("x-portolan-region"),
      text,
      ms: performance.now() - startedMs,
      response,
    };
  };
  /** A list that nobody asked for before, so that no cache has it. */
  const fresh = (): string => `/v1/services?state=all&limit=${++query}`;
  const pin = (region: RegionName) => ({ headers: { "x-portolan-region": region } });

  beforeAll(async () => {
    server = await start(world.environment("eu"));
    // The first request of a process is slow by nature.
    for (const region of ["eu", "us"] as const) await ask(fresh(), pin(region));
  }, 90_000);

  // What a test froze must thaw whatever became of the test, and rest no longer when the next one begins.
  afterEach(async () => {
    thaw();
    await until("the own region to lead again", async () => (await ask(fresh())).region === "eu", 30_000);
  });

  afterAll(async () => {
    thaw();
    await server?.stop();
  });

  test("the region nearest to the caller answers, and the own one who tells no place", async () => {
    const regionAt = async (headers: Record<string, string>): Promise<string | null> => (await ask(fresh(), { headers })).region;
    expect(await regionAt({})).toBe("eu");
    expect(await regionAt(coordinates("40.7,-74"))).toBe("us");
    expect(await regionAt(coordinates("52.5,13.4"))).toBe("eu");
    expect(await regionAt(coordinates("north,pole"))).toBe("eu");
    expect(await regionAt({ ...coordinates("52.5,13.4"), ...pin("us").headers })).toBe("us");
  });

  test("a read whose region is frozen is answered by the next one within 2 s, lists and pages alike", async () => {
    await freeze("eu");
    const list = await ask(fresh());
    expect([list.status, list.region]).toEqual([200, "us"]);
    expect(list.ms).toBeLessThan(2_000);
    expect(list.text).toContain('"address":"192.0.2.1"');
    const page = await ask(`/?state=all&port=${++query}`, { headers: { cookie: `portolan_token=${world.known.tokens.viewer}` } });
    expect([page.status, page.region]).toEqual([200, "us"]);
    expect(page.ms).toBeLessThan(2_000);
  });

  test("a write never moves on to another region: it is refused in time, by its own", async () => {
    const commands = async (): Promise<unknown> => {
      const database = httpDatabase({ url: world.ledgers.us.sqld.url });
      const [rows] = await database.batch([{ sql: "select count(*) as n from inbox" }], "read");
      database.close();
      return rows?.[0]?.["n"];
    };
    const before = await commands();
    await freeze("eu");
    const start = await ask(`/v1/plans/${PLAN}/jobs`, { method: "POST" });
    expect([start.status, start.region, JSON.parse(start.text)]).toMatchObject([503, "eu", { code: "unavailable" }]);
    expect(await commands()).toBe(before);
  });

  test("who pins the frozen region, or asks about its state, is told the truth about it in time", async () => {
    await freeze("eu");
    const pinned = await ask(fresh(), pin("eu"));
    expect([pinned.status, pinned.region, pinned.response.headers.get("retry-after")]).toEqual([503, "eu", "2"]);
    expect(pinned.ms).toBeLessThan(2_500);
    const ready = await ask("/readyz", pin("eu"));
    expect([ready.status, ready.region]).toEqual([503, "eu"]);
  });

  test("when no region answers, that is said in time", async () => {
    await freeze("eu");
    await freeze("us");
    const list = await ask(fresh());
    expect([list.status, JSON.parse(list.text)]).toMatchObject([503, { code: "unavailable" }]);
    expect(list.ms).toBeLessThan(2_500);
    const page = await ask(`/?state=all&port=${++query}`, { headers: { cookie: `portolan_token=${world.known.tokens.viewer}` } });
    expect(page.status).toBe(503);
    expect(page.ms).toBeLessThan(2_500);
  });
});
