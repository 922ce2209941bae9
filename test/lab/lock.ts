import { createServer, type Server } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

const WAIT_MS = 600_000;
const LOOK_EVERY_MS = 100;

function take(name: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? resolve(null) : reject(error)));
    // An abstract socket: the kernel frees it when its holder ends, however it ends, so no stale lock can remain.
    server.listen(`\0portolan-lab-${name}`, () => resolve(server));
  });
}

/**
 * Runs `body` while no other process of this machine holds the lock of this name: scans at 10,000 probes a second disturb
 * each other on a small machine. Throws when the lock is not free within 10 minutes.
 */
export async function withLabLock<Result>(name: string, body: () => Promise<Result>): Promise<Result> {
  const deadlineMs = Date.now() + WAIT_MS;
  let server = await take(name);
  while (server === null) {
    if (Date.now() > deadlineMs) throw new Error(`the lab lock "${name}" was not free for ${WAIT_MS / 1_000} s; another test run holds it`);
    await pause(LOOK_EVERY_MS);
    server = await take(name);
  }
  try {
    return await body();
  } finally {
    server.close();
  }
}
