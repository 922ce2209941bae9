import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { PortolanError } from "../src/core/errors.ts";

/** What a health check is told: whether the daemon can do its work now, and details for people. */
export type Health = { readonly ready: boolean; readonly details: unknown };

/** A health port that answers. */
export type HealthServer = { readonly port: number; close(): Promise<void> };

const REQUEST_TIMEOUT_MS = 2_000;

/**
 * `GET /healthz` (200 while the process lives) and `GET /readyz` (200 or 503, with details) on 127.0.0.1.
 * Port 0 lets the system choose. Throws `PortolanError("conflict")` when the port is taken.
 */
export async function startHealth(port: number, look: () => Health): Promise<HealthServer> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    const path = request.url?.split("?", 1)[0];
    const health = path === "/healthz" ? { ready: true, details: { status: "alive" } } : path === "/readyz" ? look() : null;
    response.writeHead(health === null ? 404 : health.ready ? 200 : 503, {
      "content-type": "application/json",
      "cache-control": "no-store",
    });
    response.end(`${JSON.stringify(health === null ? { status: "there is only /healthz and /readyz" } : health.details)}\n`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) =>
      reject(
        new PortolanError("conflict", `health port ${port} cannot be used: ${error.message}; set another healthPort`, { cause: error }),
      ),
    );
    server.listen(port, "127.0.0.1", resolve);
  });
  const address = server.address() as AddressInfo;
  return {
    port: address.port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
