import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { promoteStopped } from "../../src/local/promote-stopped.ts";
import { House, type RegionsOptions } from "../../src/local/regions.ts";
import { primaryFrame, replicatedFrame } from "../../src/local/registry-child.ts";
import { openRegistry, type Registry } from "../../src/registry/registry.ts";
import { until } from "../bus/until.ts";

// The registries of three regions, without the rest of them.

const NAMES = ["eu", "us", "ap"];
const DEADLINE_MS = 60_000;
let dir = "";
let house: House | null = null;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "portolan-promote-"));
});
afterEach(async () => {
  await house?.stop();
  house = null;
  rmSync(dir, { recursive: true, force: true });
});

async function start(): Promise<House> {
  const regions = NAMES.map((name) => ({ name, scanners: [], latitude: 0, longitude: 0 }));
  const options: RegionsOptions = { dir: join(dir, "data"), regions, backups: false };
  house = await House.open(options);
  await house.startRegistries();
  return house;
}

/** A registry as the API of a region opens it: reads here, edits at the primary. */
async function withRegistry<T>(name: string, work: (registry: Registry) => Promise<T>): Promise<T> {
  const at = house?.part(name).places.registryUrl ?? "";
  const primaryUrl = house?.part(house.home).places.registryUrl ?? "";
  const registry = openRegistry({ url: at, primaryUrl, timeoutMs: 1_500 });
  try {
    return await work(registry);
  } finally {
    registry.close();
  }
}

const addGroup = (at: string, name: string): Promise<unknown> =>
  withRegistry(at, (registry) => registry.addRangeGroup({ name, ranges: ["192.0.2.0/24"] }));

/** Names of the range groups in each region, and the home that each knows, once all are the same. */
async function everywhere(...names: string[]): Promise<string[]> {
  const homes: string[] = [];
  for (const region of NAMES) {
    const look = (): Promise<string | null> =>
      withRegistry(region, async (registry) => {
        const { rangeGroups, home } = await registry.state();
        return JSON.stringify(rangeGroups.map((group) => group.name).toSorted()) === JSON.stringify(names.toSorted()) ? home : null;
      }).catch(() => null);
    const at = house?.part(region).places;
    const primary = house?.part(house.home).places;
    // A replica that has not copied everything yet answers by asking the primary.
    const holds = async (): Promise<boolean> =>
      at === primary || replicatedFrame(at?.layout.registry ?? "") >= (await primaryFrame(primary?.registryAdminUrl ?? ""));
    await until(`${region} holds all frames itself`, holds, DEADLINE_MS);
    homes.push(await until(`${region} has ${names.join(", ")}`, look, DEADLINE_MS));
  }
  return homes;
}

test("while the old home runs, a promotion loses nothing, and edits work from everywhere again", async () => {
  const now = await start();
  await addGroup("ap", "before");
  expect(await now.promote("us")).toMatchObject({ home: "us", was: "eu", caughtUp: true });
  for (const name of NAMES) await addGroup(name, `from-${name}`);
  expect(await everywhere("before", "from-eu", "from-us", "from-ap")).toEqual(["us", "us", "us"]);
  expect(await now.promote("us")).toMatchObject({ home: "us", was: "us", caughtUp: true });
});

test("with the old home dead the new one goes on with all that had reached it, and the old one comes back as a replica", async () => {
  const now = await start();
  await addGroup("eu", "shared");
  await everywhere("shared");
  const home = now.part("eu").child("registry");
  await home.kill9({ stayDown: true });
  await expect(addGroup("ap", "refused")).rejects.toMatchObject({ code: "unavailable" });
  expect(await now.promote("ap")).toMatchObject({ home: "ap", was: "eu", caughtUp: false });
  await addGroup("us", "after");
  await home.start();
  expect(await everywhere("shared", "after")).toEqual(["ap", "ap", "ap"]);
  const kept = readdirSync(join(dir, "data/eu")).filter((name) => name.startsWith("registry-before-"));
  expect(kept.map((name) => existsSync(join(dir, "data/eu", name, "dbs/default/data")))).toEqual([true]);
});

test("a replica that starts while the primary is away serves what it had, takes no edits, and follows again when the primary is back", async () => {
  const now = await start();
  await addGroup("eu", "known");
  await everywhere("known");
  const [primary, replica] = [now.part("eu").child("registry"), now.part("us").child("registry")];
  await primary.kill9({ stayDown: true });
  const starts = replica.starts;
  await replica.kill9();
  await until("the copy", () => replica.starts > starts && replica.pid !== null, DEADLINE_MS);
  const direct = openRegistry({ url: now.part("us").places.registryUrl, timeoutMs: 1_500 });
  expect((await direct.state()).rangeGroups.map(({ name }) => name)).toEqual(["known"]);
  await expect(direct.addRangeGroup({ name: "lost", ranges: ["192.0.2.0/24"] })).rejects.toMatchObject({ code: "unavailable" });
  direct.close();
  await primary.start();
  await addGroup("eu", "new");
  expect(await everywhere("known", "new")).toEqual(["eu", "eu", "eu"]);
});

test("a primary that is frozen keeps no replica from starting with what it had", async () => {
  const now = await start();
  await addGroup("eu", "known");
  await everywhere("known");
  const [primary, replica] = [now.part("eu").child("registry"), now.part("us").child("registry")];
  const pid = primary.pid ?? 0;
  process.kill(pid, "SIGSTOP");
  try {
    const starts = replica.starts;
    await replica.kill9();
    await until("the copy", () => replica.starts > starts && replica.pid !== null, DEADLINE_MS);
    const names = (await withRegistry("us", (registry) => registry.state())).rangeGroups.map(({ name }) => name);
    expect(names).toEqual(["known"]);
  } finally {
    process.kill(pid, "SIGCONT");
  }
  await until(
    "it takes edits again",
    () =>
      addGroup("us", "new").then(
        () => true,
        () => false,
      ),
    DEADLINE_MS,
  );
  expect(await everywhere("known", "new")).toEqual(["eu", "eu", "eu"]);
});

test("regions that do not run are promoted for their next start, which remembers the home", async () => {
  await start();
  await addGroup("eu", "kept");
  await everywhere("kept");
  await expect(promoteStopped(join(dir, "data"), "us")).rejects.toThrow("already in use by a running portolan");
  await house?.stop();
  expect(await promoteStopped(join(dir, "data"), "us")).toMatchObject({ home: "us", was: "eu", caughtUp: true });
  await expect(promoteStopped(join(dir, "data"), "moon")).rejects.toThrow('there is no region "moon"');
  const again = await start();
  expect(again.home).toBe("us");
  await addGroup("eu", "more");
  expect(await everywhere("kept", "more")).toEqual(["us", "us", "us"]);
});
