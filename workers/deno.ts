import { zstdDecompressSync } from "node:zlib";
import { serveStatic } from "hono/deno";
import { composeApp } from "./compose.ts";
import { CONFIG_NAMES, readConfig } from "./config.ts";

/** The little of Deno that is used here. */
declare const Deno: {
  readonly env: { get(name: string): string | undefined };
  serve(
    options: { hostname: string; port: number; onListen: (address: { hostname: string; port: number }) => void },
    handler: (request: Request, connection: { remoteAddr: { hostname?: string } }) => Response | Promise<Response>,
  ): unknown;
};

const log = (line: string): void => globalThis.console.log(line);
const env = Object.fromEntries(CONFIG_NAMES.map((name) => [name, Deno.env.get(name)]));
const app = composeApp(readConfig(env), {
  staticFiles: serveStatic({ root: "./src/web/public" }),
  log,
  decompress: (bytes) => zstdDecompressSync(bytes),
});
const options = {
  hostname: Deno.env.get("HOST") ?? "127.0.0.1",
  port: Number(Deno.env.get("PORT") ?? "8787"),
  onListen: ({ hostname, port }: { hostname: string; port: number }): void =>
    log(JSON.stringify({ event: "listening", url: `http://${hostname}:${port}` })),
};
Deno.serve(options, (request, { remoteAddr }) => app.fetch(request, { address: remoteAddr.hostname ?? null }));
