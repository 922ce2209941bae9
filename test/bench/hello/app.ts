import { Hono } from "hono";

/** The least that a runtime can do: a greeting, and one query fetched bare from sqld, its answer handed on as it is. */
export function helloApp(env: Readonly<Record<string, unknown>>): Hono {
  const app = new Hono();
  app.get("/", (c) => c.text("hello, world"));
  app.get("/healthz", (c) => c.text("ok"));
  app.get("/bare", async (c) => {
    const answer = await fetch(`${String(env["BARE_URL"])}/v2/pipeline`, { method: "POST", body: String(env["BARE_BODY"]) });
    return c.body(await answer.text(), 200, { "content-type": "application/json" });
  });
  return app;
}
