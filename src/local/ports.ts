import { createServer } from "node:net";
import { PortolanError } from "../core/errors.ts";

/** A TCP port on 127.0.0.1 that was free a moment ago. Another process may still take it: callers that fail to bind ask again. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => {
        if (address === null || typeof address === "string") reject(new PortolanError("internal", "the system gave no TCP port"));
        else resolve(address.port);
      });
    });
  });
}
