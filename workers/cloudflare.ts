import type { ExecutionContext, Hono } from "hono";
import { composeApp } from "./compose.ts";
import { readConfig } from "./config.ts";

type Env = Readonly<Record<string, unknown>>;

// One app for each isolate: it keeps the registry's last version in memory.
let app: Hono | undefined;

/** Entry for workerd; the platform serves `src/web/public/` itself. */
export default {
  fetch(request: Request, env: Env, context: ExecutionContext): Response | Promise<Response> {
    const log = (line: string): void => globalThis.console.log(line);
    try {
      app ??= composeApp(readConfig(env), { log });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      log(JSON.stringify({ level: "error", event: "config", msg: why }));
      return new Response(`${why}\n`, { status: 500, headers: { "content-type": "text/plain; charset=utf-8" } });
    }
    return app.fetch(request, env, context);
  },
};
