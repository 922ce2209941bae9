import { Hono, type Context, type ExecutionContext } from "hono";
import { createApp, isApiPath } from "../src/api/app.ts";
import { createResponseCache, type ResponseCache } from "../src/api/cache.ts";
import { isLegacyRequest } from "../src/api/legacy-path.ts";
import { databaseRevision } from "../src/api/revision.ts";
import { PortolanError } from "../src/core/errors.ts";
import { VERSION } from "../src/core/version.ts";
import { openLedger } from "../src/ledger/ledger.ts";
import { openRegistry } from "../src/registry/registry.ts";
import { createWeb, notFoundPage, problemPage, type WebDeps } from "../src/web/app.tsx";
import { sessionTokenOf } from "../src/web/security.ts";
import type { ApiConfig, RegionPlace } from "./config.ts";
import { REGION_HEADER, type RegionApp } from "./router.ts";

const STORE_TIMEOUT_MS = 1_500;
const REVISION_TIMEOUT_MS = 500;
const PAGE_WITHIN_MS = 1_900;

/** What a runtime adds to the app of a region. */
export type Runtime = {
  /** zstd, for history: stored sightings are compressed. */
  readonly decompress: (bytes: Uint8Array) => Uint8Array;
  /** Writes one line of the log. */
  readonly log: (line: string) => void;
};

/** API, pages and cache of one region; its cache is handed out because a write through another region of this process empties it too. */
export function composeRegion(place: RegionPlace, config: ApiConfig, runtime: Runtime): RegionApp & { readonly cache: ResponseCache } {
  const clock = (): number => Date.now();
  const registry = openRegistry({
    url: place.registryUrl,
    clock,
    ...optional("authToken", place.registryToken),
    ...optional("primaryUrl", config.PORTOLAN_REGISTRY_PRIMARY_URL),
    ...optional("primaryAuthToken", config.PORTOLAN_REGISTRY_PRIMARY_TOKEN),
  });
  const ledger = openLedger({
    url: place.ledgerUrl,
    region: place.name,
    timeoutMs: STORE_TIMEOUT_MS,
    decompress: runtime.decompress,
    ...optional("authToken", place.ledgerToken),
  });
  const onBug = (error: unknown, requestId: string): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const line = {
      ts: new Date(clock()).toISOString(),
      level: "error",
      event: "bug",
      region: place.name,
      request_id: requestId,
      msg: text,
    };
    runtime.log(JSON.stringify(line));
  };
  const api = createApp({
    registry,
    ledger,
    clock,
    version: VERSION,
    region: place.name,
    onBug,
    legacyFromScanners: config.PORTOLAN_LEGACY_FROM_SCANNERS === "1",
  });
  const app = mount(api, {
    ledger,
    registry,
    authenticate: async (token) => (await registry.tokens.verify(token)) !== null,
    callApi: (request: Request) => api.fetch(request),
    now: clock,
    region: place.name,
    onBug: (error) => onBug(error, "page"),
  });
  const cache = createResponseCache({
    clock,
    sessionTokenOf,
    verify: (token) => registry.tokens.verify(token),
    revision: () => revisionOf(place),
    headers: { [REGION_HEADER]: place.name },
  });
  const { name, latitude, longitude } = place;
  const fetch: RegionApp["fetch"] = (request, { env, context }) =>
    cache.fetch(request, () => app.fetch(request, env as object | undefined, context as ExecutionContext | undefined));
  return { name, latitude, longitude, cache, fetch };
}

/** API and pages under one roof. */
function mount(api: ReturnType<typeof createApp>, webDeps: WebDeps): Hono {
  const web = createWeb(webDeps);
  web.notFound((c) => notFoundPage(c, webDeps));
  const app = new Hono();
  app.onError((error, c) => problemPage(c, webDeps, error));
  app.all("*", (c) => {
    const part = isApiPath(c.req.path) || isLegacyRequest(c.req.raw, c.req.path) ? api : web;
    const answer = part.fetch(c.req.raw, c.env, executionContext(c));
    // The API keeps its own time, and forms wait for the keeper.
    return part === api || c.req.method === "POST" ? answer : inTime(answer);
  });
  return app;
}

/** Stores that hang must not hang the page. */
async function inTime(answer: Response | Promise<Response>): Promise<Response> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    const problem = new PortolanError("unavailable", "The stores of this region did not answer in time. Reload the page in a moment.");
    timer = setTimeout(() => reject(problem), PAGE_WITHIN_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function revisionOf(place: RegionPlace): Promise<string | null> {
  const timeoutMs = REVISION_TIMEOUT_MS;
  const [ledger, registry] = await Promise.all([
    databaseRevision({ url: place.ledgerUrl, authToken: place.ledgerToken, timeoutMs }),
    databaseRevision({ url: place.registryUrl, authToken: place.registryToken, timeoutMs }),
  ]);
  return ledger === null || registry === null ? null : `${ledger} ${registry}`;
}

/** Only workerd has one. */
function executionContext(c: Context): ExecutionContext | undefined {
  try {
    return c.executionCtx;
  } catch {
    return undefined;
  }
}

function optional<K extends string>(key: K, value: string | undefined): { [P in K]?: string } {
  const object: { [P in K]?: string } = {};
  if (value !== undefined) object[key] = value;
  return object;
}
