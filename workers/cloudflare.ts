import { zstdDecompressSync } from "node:zlib";
import type { ExecutionContext } from "hono";
import { composeApp, type Served } from "./compose.ts";
import { type ApiConfig, readConfig } from "./config.ts";
import { readPoint } from "./nearest.ts";
import { checkRegions } from "./scheduled.ts";

type Env = Readonly<Record<string, unknown>>;
type Incoming = Request & { readonly cf?: { readonly latitude?: unknown; readonly longitude?: unknown } };

// One app for each isolate: it keeps the registry's last version and the last second's answers in memory.
let served: { readonly config: ApiConfig; readonly app: Served } | undefined;

const log = (line: string): void => globalThis.console.log(line);

function serve(env: Env): { readonly config: ApiConfig; readonly app: Served } {
  const config = readConfig(env);
  return { config, app: composeApp(config, { log, decompress: (bytes) => zstdDecompressSync(bytes) }) };
}

/** Entry for workerd; the platform serves `src/web/public/` itself, and runs `scheduled` as `triggers.crons` in wrangler.toml says. */
export default {
  fetch(request: Incoming, env: Env, context: ExecutionContext): Response | Promise<Response> {
    try {
      served ??= serve(env);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      log(JSON.stringify({ level: "error", event: "config", msg: why }));
      return new Response(`${why}\n`, { status: 500, headers: { "content-type": "text/plain; charset=utf-8" } });
    }
    const point = readPoint(request.cf?.latitude, request.cf?.longitude);
    return served.app.fetch(request, { point, env, context, waitUntil: (work) => context.waitUntil(work) });
  },
  async scheduled(_controller: unknown, env: Env): Promise<void> {
    served ??= serve(env);
    await checkRegions(served.app.regions, { config: served.config, log, clock: () => Date.now() });
  },
};
