import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { until } from "../bus/until.ts";
import { type RegionName, REGIONS } from "./faults-draw.ts";
import { startWorld, type World } from "./faults-world.ts";

// The region that holds the registry's primary goes away: what the others do meanwhile, with real processes.

const DEADLINE_MS = 120_000;
const EVERY_S = 2;
/** Two seconds are promised; the rest is the test machine's. */
const EDIT_MS_MAX = 4_000;
const OTHERS = REGIONS.filter((name) => name !== "eu");
let world: World;

beforeAll(async () => {
  world = await startWorld(2);
  for (const name of OTHERS) {
    const plan = { name: `beat-${name}`, ranges: ["127.18.0.0/30"], ports: world.playground.ports.join(), engine: "connect", home: name };
    await world.api("eu").post("/v1/plans", { ...plan, group: `scanners-${name}`, every: EVERY_S, rateLimitPps: 1_000, confirm: false });
  }
});
afterAll(async () => {
  await world?.destroy();
});

async function ask(region: RegionName, path: string, body?: unknown): Promise<Response> {
  const { regions } = world;
  const headers = { authorization: `Bearer ${regions.adminToken}`, "content-type": "application/json", "cache-control": "no-cache" };
  const init = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
  return fetch(`${regions.region(region).apiUrl}${path}`, { ...init, signal: AbortSignal.timeout(30_000) });
}

const jobsSchema = z.object({ items: z.array(z.object({ id: z.string() })) });

/** Complete jobs of the region's own timed plan. */
async function jobsOf(region: RegionName): Promise<number> {
  const response = await ask(region, `/v1/jobs?plan=beat-${region}&state=complete&limit=1000`);
  return jobsSchema.parse(await response.json()).items.length;
}

async function scansGoOn(): Promise<void> {
  const before = new Map<RegionName, number>();
  for (const name of OTHERS) before.set(name, await jobsOf(name));
  for (const name of OTHERS) await until(`${name} scans on`, async () => (await jobsOf(name)) >= (before.get(name) ?? 0) + 2, DEADLINE_MS);
}

async function readsWorkAndEditsWait(): Promise<void> {
  for (const name of OTHERS) {
    for (const path of ["/v1/services?limit=10", "/v1/plans", "/v1/regions"])
      expect([path, (await ask(name, path)).status]).toEqual([path, 200]);
    const beganMs = performance.now();
    const refused = await ask(name, "/v1/range-groups", { name: `late-${name}`, ranges: ["192.0.2.0/24"] });
    expect(performance.now() - beganMs).toBeLessThan(EDIT_MS_MAX);
    expect(refused.status).toBe(503);
    expect(refused.headers.get("retry-after")).toMatch(/^\d+$/);
    expect(await refused.json()).toMatchObject({ code: "unavailable" });
  }
}

test("while the registry's primary hangs, scans go on by schedule, reads work, and edits are refused at once", async () => {
  const pid = world.regions.region("eu").child("registry").pid ?? -1;
  process.kill(pid, "SIGSTOP");
  try {
    await readsWorkAndEditsWait();
    await scansGoOn();
    await readsWorkAndEditsWait();
  } finally {
    process.kill(pid, "SIGCONT");
  }
});

test("with the whole home region dead the others scan and answer, and take edits again when it is back", async () => {
  const { children } = world.regions.region("eu");
  for (const child of children) await child.kill9({ stayDown: true });
  await delay(100);
  await readsWorkAndEditsWait();
  await scansGoOn();
  for (const child of children) await child.start();
  await until("edits work", async () => (await ask("ap", "/v1/range-groups", { name: "back", ranges: ["192.0.2.0/24"] })).ok, DEADLINE_MS);
});
