import { randomInt } from "node:crypto";
import { createServer } from "node:net";
import { PortolanError } from "../core/errors.ts";

// Below the range that the system takes ports of outgoing connections from (32,768 up on Linux): a server that is stopped and started again
// would otherwise find its port taken by somebody's connection.
const FIRST = 15_000;
const LAST = 32_000;
const TRIES = 200;

/** A TCP port on 127.0.0.1 that was free a moment ago, 15,000 to 32,000. Another process may still take it: callers that fail to bind ask again. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < TRIES; attempt += 1) {
    const port = randomInt(FIRST, LAST + 1);
    if (await isFree(port)) return port;
  }
  throw new PortolanError("internal", `the system has no free TCP port among ${TRIES} tried from ${FIRST} to ${LAST}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
