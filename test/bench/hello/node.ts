import { serve } from "@hono/node-server";
import { helloApp } from "./app.ts";

const app = helloApp(process.env);
serve({ fetch: app.fetch, hostname: "127.0.0.1", port: 0 }, ({ port }) => {
  process.stdout.write(`${JSON.stringify({ event: "listening", url: `http://127.0.0.1:${port}` })}\n`);
});
