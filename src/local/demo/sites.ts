import type { RuntimeName } from "../options.ts";
import type { Playground } from "../lab/playground.ts";
import type { Region } from "../region.ts";
import { type Regions, startRegions } from "../regions.ts";
import { type Api, openApi } from "./api.ts";
import { openRecords, type Records } from "./records.ts";

/** One of the demo's regions, with a client of its own API. */
export type Site = {
  readonly name: string;
  readonly runtime: RuntimeName;
  readonly region: Region;
  /** Answers come from this region only, and are never older than the question. */
  readonly api: Api;
  readonly records: Records;
};

const SCANNERS_EACH = 2;

/** The first one is the registry's home, and the home of all plans. */
const PLACES = [
  { name: "eu", runtime: "workerd", latitude: 50.1, longitude: 8.7 },
  { name: "us", runtime: "deno", latitude: 39, longitude: -77.5 },
  { name: "ap", runtime: "node", latitude: 1.35, longitude: 103.8 },
] as const;

/** Scanners of all regions together. */
export const SCANNERS = PLACES.length * SCANNERS_EACH;

/** A region's scanners are called `eu-1`, `eu-2`. */
export function scannerNames(region: string): string[] {
  return Array.from({ length: SCANNERS_EACH }, (_, i) => `${region}-${i + 1}`);
}

/** Starts all regions, two of the playground's scanners in each. */
export async function startSites(
  dir: string,
  playground: Playground,
): Promise<{ readonly regions: Regions; readonly sites: readonly [home: Site, ...Site[]] }> {
  const regions = await startRegions({
    dir,
    regions: PLACES.map((place, index) => ({
      ...place,
      scanners: playground.scanners.slice(index * SCANNERS_EACH, (index + 1) * SCANNERS_EACH).map(({ launcher, adapter }, i) => ({
        name: `${place.name}-${i + 1}`,
        addresses: adapter === null ? [`127.0.${index}.${i + 1}`] : [adapter.ipv4, adapter.ipv6],
        launcher: [...launcher],
        ...(adapter === null ? {} : { adapter, labMode: true }),
      })),
    })),
    keeper: { tickMs: 250, waitS: 3 },
    backups: false,
  });
  const site = ({ name, runtime }: (typeof PLACES)[number]): Site => {
    const region = regions.region(name);
    const api = openApi(region.apiUrl, regions.adminToken, { region: name, fresh: true });
    return { name, runtime, region, api, records: openRecords(region.ledgerUrl) };
  };
  const [home, ...others] = PLACES;
  return { regions, sites: [site(home), ...others.map(site)] };
}
