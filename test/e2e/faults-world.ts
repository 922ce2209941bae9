import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Api, openApi } from "../../src/local/demo/api.ts";
import { createLoopback } from "../../src/local/lab/loopback.ts";
import type { Playground } from "../../src/local/lab/playground.ts";
import { makeLayout, readPorts } from "../../src/local/layout.ts";
import type { RuntimeName } from "../../src/local/options.ts";
import { type Regions, startRegions } from "../../src/local/regions.ts";
import { type RegionName, REGIONS, type Way } from "./faults-draw.ts";
import { Link } from "./faults-links.ts";

/** Three regions with ways between them that can be cut, and targets with known truth. */
export type World = {
  readonly dir: string;
  readonly regions: Regions;
  readonly playground: Playground;
  api(region: RegionName): Api;
  /** All that goes from one region to another: its message server's port, and its registry's replication port. */
  links(way: Way): readonly Link[];
  /** Ends every process, also stopped ones, and removes all files. Repeatable. */
  destroy(): Promise<void>;
};

/** Name of the plan whose job all scanners share, and of those that one region's scanners have for themselves. */
export const SHARED_PLAN = "shared";
export const ownPlan = (region: RegionName): string => `own-${region}`;

const RUNTIMES: Readonly<Record<RegionName, RuntimeName>> = { eu: "node", us: "deno", ap: "workerd" };
const SCANNERS = 2;
const RATE_PPS = 60;

/** Starts everything and adds the plans. Throws as the parts do; nothing is left then. */
export async function startWorld(seed: number): Promise<World> {
  const dir = await mkdtemp(join(tmpdir(), "portolan-faults-"));
  const ends: (() => Promise<void>)[] = [() => rm(dir, { recursive: true, force: true })];
  const destroy = async (): Promise<void> => {
    for (const end of ends.splice(0).toReversed()) await end();
  };
  try {
    const playground = await createLoopback({ seed, scanners: SCANNERS, prefix4: 26, open4: 120, open6: 0, portCount: 6 });
    ends.push(playground.destroy);
    const links = await openLinks(join(dir, "data"));
    for (const both of links.values()) for (const link of both) ends.push(() => link.stop());
    const regions = await startRegions({
      dir: join(dir, "data"),
      regions: REGIONS.map((name, place) => part(name, place, links)),
      // A busy machine must not turn an open port into a time-out.
      keeper: { tickMs: 100, waitS: 1, connectTimeoutMs: 10_000 },
      backups: false,
    });
    ends.push(async () => {
      resumeAll(regions);
      await regions.stop();
    });
    const api = (region: RegionName): Api => openApi(regions.region(region).apiUrl, regions.adminToken);
    await addPlans(api("eu"), playground);
    return { dir, regions, playground, api, destroy, links: (way) => links.get(keyOf(way)) ?? [] };
  } catch (error) {
    await destroy();
    throw error;
  }
}

const keyOf = ({ from, to }: Way): string => `${from} ${to}`;

async function openLinks(dir: string): Promise<Map<string, [nats: Link, registry: Link]>> {
  const links = new Map<string, [Link, Link]>();
  for (const from of REGIONS)
    for (const to of REGIONS) {
      if (from === to) continue;
      const port = (name: "nats" | "registryGrpc"): number => readPorts(makeLayout(join(dir, to)), to)[name] ?? 1;
      links.set(keyOf({ from, to }), [await Link.open(() => port("nats")), await Link.open(() => port("registryGrpc"))]);
    }
  return links;
}

function part(name: RegionName, place: number, links: ReadonlyMap<string, readonly [Link, Link]>) {
  const peers = REGIONS.flatMap((to) => {
    const way = links.get(keyOf({ from: name, to }));
    return way === undefined ? [] : [[to, { natsUrl: `nats://127.0.0.1:${way[0].port}`, registryPort: way[1].port }] as const];
  });
  const scanners = Array.from({ length: SCANNERS }, (_, k) => ({ name: `${name}-${k + 1}`, addresses: [`127.0.${place}.${k + 1}`] }));
  return { name, scanners, runtime: RUNTIMES[name], latitude: 0, longitude: place * 90, peers: Object.fromEntries(peers) };
}

async function addPlans(api: Api, playground: Playground): Promise<void> {
  // One complete look closes at once: so a tile that counts without having been scanned whole shows itself.
  const common = {
    ranges: playground.ranges,
    ports: playground.ports.join(),
    engine: "connect",
    closeAfter: 1,
    confirm: false,
    pairsMax: 200,
  };
  await api.post("/v1/plans", { ...common, name: SHARED_PLAN, rateLimitPps: RATE_PPS, home: "eu" });
  for (const region of REGIONS) {
    const group = `scanners-${region}`;
    const members = Array.from({ length: SCANNERS }, (_, k) => ({ scanner: `${region}-${k + 1}` }));
    await api.post("/v1/groups", { name: group, members });
    await api.post("/v1/plans", { ...common, name: ownPlan(region), rateLimitPps: RATE_PPS, home: region, group });
  }
}

function resumeAll(regions: Regions): void {
  for (const { children } of regions.regions)
    for (const { pid } of children) {
      try {
        if (pid !== null) process.kill(pid, "SIGCONT");
      } catch {
        // It has just ended.
      }
    }
}
