import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { zstdDecompressSync } from "node:zlib";
import { type HttpBindings, serve } from "@hono/node-server";
import { serveStatic } from "@hono/node-server/serve-static";
import { PortolanError } from "../src/core/errors.ts";
import { composeApp } from "./compose.ts";
import { type ApiConfig, CONFIG_NAMES, readConfig } from "./config.ts";

/** Each variable may come from a file instead: `PORTOLAN_LEDGER_TOKEN_FILE=/run/credentials/…`. */
function configFromEnvironment(): ApiConfig {
  const values = CONFIG_NAMES.map((name) => {
    const file = process.env[`${name}_FILE`];
    return [name, file === undefined ? process.env[name] : readFileSync(file, "utf8").trim()];
  });
  return readConfig(Object.fromEntries(values));
}

/** Of the connection; an IPv4 address of a socket for both kinds is written as IPv6. */
function addressOf(env: object): string | null {
  const socket = "incoming" in env ? (env as HttpBindings).incoming.socket : null;
  return socket?.remoteAddress ?? null;
}

function listenAddress(): { hostname: string; port: number } {
  const port = Number(process.env["PORT"] ?? "8787");
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new PortolanError("invalid", `PORT is "${process.env["PORT"]}"; give a number from 0 to 65535 (0: any free one)`);
  }
  return { hostname: process.env["HOST"] ?? "127.0.0.1", port };
}

function start(): void {
  const log = (line: string): void => void process.stdout.write(`${line}\n`);
  const staticFiles = serveStatic({ root: fileURLToPath(new URL("../src/web/public", import.meta.url)) });
  const app = composeApp(configFromEnvironment(), { staticFiles, log, decompress: (bytes) => zstdDecompressSync(bytes) });
  const { hostname, port } = listenAddress();
  const server = serve({ fetch: (request, env) => app.fetch(request, { address: addressOf(env) }), hostname, port }, (address) => {
    const host = address.family === "IPv6" ? `[${address.address}]` : address.address;
    log(JSON.stringify({ event: "listening", url: `http://${host}:${address.port}` }));
  });
  server.on("error", (error) => {
    process.stderr.write(`cannot listen on ${hostname}:${port}: ${error.message}; choose another HOST or PORT\n`);
    process.exit(2);
  });
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.once(signal, () => {
      server.close(() => process.exit(0));
      // Open requests get a moment; idle connections would otherwise keep the process for ever.
      setTimeout(() => process.exit(0), 3_000).unref();
    });
  }
}

try {
  start();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(2);
}
