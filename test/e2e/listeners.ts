import { createServer, type Server } from "node:net";

/** TCP listeners on loopback whose (address, port) pairs can be closed and opened again. */
export class Listeners {
  readonly #servers = new Map<string, Server>();

  /** Keys `address port` of all pairs that listen now, sorted. */
  get open(): string[] {
    return [...this.#servers.keys()].toSorted();
  }

  async listen(address: string, port: number): Promise<void> {
    const server = createServer((socket) => socket.on("error", () => undefined).end());
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, address, () => resolve());
    });
    this.#servers.set(`${address} ${port}`, server);
  }

  async close(address: string, port: number): Promise<void> {
    const key = `${address} ${port}`;
    const server = this.#servers.get(key);
    this.#servers.delete(key);
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  }

  async closeAll(): Promise<void> {
    for (const key of this.open) {
      const [address = "", port = ""] = key.split(" ");
      await this.close(address, Number(port));
    }
  }
}
