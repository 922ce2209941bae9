import type { Hono } from "hono";
import { helloApp } from "./app.ts";

let app: Hono | undefined;

export default {
  fetch(request: Request, env: Readonly<Record<string, unknown>>): Response | Promise<Response> {
    app ??= helloApp(env);
    return app.fetch(request, env);
  },
};
