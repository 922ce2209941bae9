import { serve } from "@hono/node-server";
import { serveStatic } from "@hono/node-server/serve-static";
import { Hono } from "hono";
import type { AddressInfo } from "node:net";

export type Served = { readonly url: string; close(): Promise<void> };

/** The pages with their assets on a free loopback port, as an entry serves them. */
export async function servePages(web: Hono): Promise<Served> {
  const app = new Hono();
  app.use("/static/*", serveStatic({ root: new URL("../../src/web/public", import.meta.url).pathname }));
  app.route("/", web);
  return new Promise((resolve) => {
    const server = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, (info: AddressInfo) =>
      resolve({
        url: `http://127.0.0.1:${info.port}`,
        close: () => new Promise((closed) => server.close(() => closed())),
      }),
    );
  });
}
