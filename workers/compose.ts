import { VERSION } from "../src/core/version.ts";
import { type ExecutionContext, Hono, type Context, type MiddlewareHandler } from "hono";
import { createApp, isApiPath } from "../src/api/app.ts";
import { openLedger } from "../src/ledger/ledger.ts";
import { openRegistry } from "../src/registry/registry.ts";
import { createWeb, notFoundPage } from "../src/web/app.tsx";
import type { ApiConfig } from "./config.ts";

const STORE_TIMEOUT_MS = 1_500;

/** What a runtime adds to the app. */
export type Runtime = {
  /** Serves `/static/*`, where the platform itself does not. */
  readonly staticFiles?: MiddlewareHandler;
  /** zstd, for history: stored sightings are compressed. Without it the API says that history cannot be read here. */
  readonly decompress?: (bytes: Uint8Array) => Uint8Array;
  /** Writes one line of the log. */
  readonly log: (line: string) => void;
};

/** API and pages of one region as one app, the same in every runtime. */
export function composeApp(config: ApiConfig, runtime: Runtime): Hono {
  const clock = (): number => Date.now();
  const region = config.PORTOLAN_REGION;
  const registry = openRegistry({
    url: config.PORTOLAN_REGISTRY_URL,
    clock,
    ...optional("authToken", config.PORTOLAN_REGISTRY_TOKEN),
    ...optional("primaryUrl", config.PORTOLAN_REGISTRY_PRIMARY_URL),
    ...optional("primaryAuthToken", config.PORTOLAN_REGISTRY_PRIMARY_TOKEN),
  });
  const ledger = openLedger({
    url: config.PORTOLAN_LEDGER_URL,
    region,
    timeoutMs: STORE_TIMEOUT_MS,
    ...(runtime.decompress === undefined ? {} : { decompress: runtime.decompress }),
    ...optional("authToken", config.PORTOLAN_LEDGER_TOKEN),
  });
  const onBug = (error: unknown, requestId: string): void => {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    runtime.log(
      JSON.stringify({ ts: new Date(clock()).toISOString(), level: "error", event: "bug", region, request_id: requestId, msg: text }),
    );
  };
  const api = createApp({ registry, ledger, clock, version: VERSION, region, onBug });
  const authenticate = async (token: string): Promise<boolean> => (await registry.tokens.verify(token)) !== null;
  const webDeps = {
    ledger,
    registry,
    authenticate,
    callApi: (request: Request) => api.fetch(request),
    now: clock,
    region,
    onBug: (error: unknown): void => onBug(error, "page"),
  };
  const web = createWeb(webDeps);
  web.notFound((c) => notFoundPage(c, webDeps));
  const app = new Hono();
  if (runtime.staticFiles !== undefined) app.use("/static/*", runtime.staticFiles);
  app.all("*", (c) => (isApiPath(c.req.path) ? api : web).fetch(c.req.raw, c.env, executionContext(c)));
  return app;
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
