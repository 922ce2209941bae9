import { Hono, type MiddlewareHandler } from "hono";
import { setCallerAddress } from "../src/api/caller.ts";
import { stamped } from "../src/api/cache.ts";
import { type ApiConfig, placesOf } from "./config.ts";
import { readPointHeader } from "./nearest.ts";
import { composeRegion, type Runtime } from "./region-app.ts";
import { type Call, createRouter, REGION_HEADER, type RegionApp } from "./router.ts";

export type { Runtime } from "./region-app.ts";

export type Served = {
  fetch(request: Request, call?: Partial<Call>): Response | Promise<Response>;
  /** One app for each region, the own one first. */
  readonly regions: readonly RegionApp[];
};

/** API and pages of all configured regions as one handler, the same in every runtime. */
export function composeApp(config: ApiConfig, runtime: Runtime & { readonly staticFiles?: MiddlewareHandler }): Served {
  const regions = placesOf(config).map((place) => composeRegion(place, config, runtime));
  const router = createRouter(regions, { clock: () => Date.now() });
  const own = { [REGION_HEADER]: config.PORTOLAN_REGION };
  const assets = runtime.staticFiles === undefined ? null : new Hono().use("/static/*", runtime.staticFiles);
  // A proxy adds its own view at the end; what stands before it anybody can write.
  const addressHeader = config.PORTOLAN_CLIENT_ADDRESS_HEADER;
  const coordinates = config.PORTOLAN_COORDINATES_HEADER;
  const forgetAll = (): void => {
    for (const { cache } of regions) cache.forget();
  };
  return {
    regions,
    fetch: (request, call = {}) => {
      if (assets !== null && request.url.includes("/static/") && new URL(request.url).pathname.startsWith("/static/")) {
        return Promise.resolve(assets.fetch(request)).then((response) => stamped(response, own));
      }
      const address = addressHeader === undefined ? call.address : request.headers.get(addressHeader)?.split(",").at(-1)?.trim();
      if (address !== undefined && address !== null) setCallerAddress(request, address);
      const point = call.point ?? (coordinates === undefined ? null : readPointHeader(request.headers.get(coordinates)));
      const answer = router.fetch(request, { ...call, point });
      if (request.method === "GET" || request.method === "HEAD" || regions.length === 1) return answer;
      // Each region's cache forgets what went through it; the registry, though, is everybody's.
      return Promise.resolve(answer).then((response) => {
        if (response.status < 400 || response.status >= 500) forgetAll();
        return response;
      });
    },
  };
}
