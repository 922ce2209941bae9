import { createHash } from "node:crypto";
import { realpathSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { PortolanError } from "../core/errors.ts";

/** A claim on one data folder; the kernel gives it up when this process ends, however it ends. */
export type Lock = { release(): Promise<void> };

/**
 * Claims a data folder for this process. An abstract Unix socket is used, because unlike a lock file it cannot outlive its
 * holder. Throws `conflict` when another process of this machine holds it.
 */
export async function lockFolder(dir: string): Promise<Lock> {
  const path = realpathSync(dir);
  const name = `\0portolan-${createHash("sha256").update(path).digest("hex").slice(0, 40)}`;
  const server = createServer((socket) => socket.end(`${process.pid}\n`));
  await listen(server, name, path);
  server.unref();
  return { release: () => new Promise((resolve) => server.close(() => resolve())) };
}

function listen(server: Server, name: string, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE") return reject(error);
      reject(
        new PortolanError(
          "conflict",
          `${path} is already in use by a running portolan; stop that one first, or choose another folder with --dir`,
        ),
      );
    });
    server.listen(name, () => resolve());
  });
}
