import { createServer, connect, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** What a link does: carries bytes, swallows them while connections stay, or refuses new connections beside that. */
export type LinkState = "open" | "silent" | "refused";

const LISTEN_TRIES_MAX = 100;
const LISTEN_PAUSE_MS = 50;

type Carried = { readonly near: Socket; far: Socket | null };

/** A way for TCP from one region to a port of another one, which a test can interrupt. One direction of dialling: what is dialled back goes another way. */
export class Link {
  readonly #targetPort: () => number;
  readonly #carried = new Set<Carried>();
  #server: Server | null = null;
  #state: LinkState = "open";
  #port = 0;

  private constructor(targetPort: () => number) {
    this.#targetPort = targetPort;
  }

  /** Listens at once; the target is asked at each connection, because it may not be known yet. */
  static async open(targetPort: () => number): Promise<Link> {
    const link = new Link(targetPort);
    await link.#listen();
    return link;
  }

  get port(): number {
    return this.#port;
  }

  /** From now on no byte passes, the end of a connection included. */
  async cut(state: "silent" | "refused"): Promise<void> {
    this.#state = state;
    for (const { near, far } of this.#carried) {
      if (far !== null) near.unpipe(far);
      far?.unpipe(near);
      near.pause();
      far?.pause();
    }
    if (state === "refused") await this.#close();
  }

  /** Carries again: what stood still goes on, as after a short loss of packets, or is reset. */
  async heal(how: "resume" | "reset"): Promise<void> {
    this.#state = "open";
    for (const one of this.#carried) {
      if (how === "reset" || one.near.destroyed || one.far?.destroyed === true) this.#drop(one);
      else this.#carry(one);
    }
    await this.#listen();
  }

  async stop(): Promise<void> {
    for (const one of this.#carried) this.#drop(one);
    await this.#close();
  }

  #accept(near: Socket): void {
    const one: Carried = { near, far: null };
    this.#carried.add(one);
    this.#watch(one, near);
    if (this.#state === "open") this.#carry(one);
    else near.pause();
  }

  #carry(one: Carried): void {
    if (one.far === null) {
      one.far = connect({ host: "127.0.0.1", port: this.#targetPort(), noDelay: true });
      this.#watch(one, one.far);
    }
    one.near.pipe(one.far);
    one.far.pipe(one.near);
  }

  #watch(one: Carried, socket: Socket): void {
    socket.setNoDelay(true);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      if (this.#state === "open") this.#drop(one);
    });
  }

  #drop(one: Carried): void {
    this.#carried.delete(one);
    one.near.destroy();
    one.far?.destroy();
  }

  async #listen(): Promise<void> {
    if (this.#server !== null) return;
    for (let tries = 1; ; tries += 1) {
      const server = createServer((near) => this.#accept(near));
      const problem = await new Promise<Error | null>((resolve) => {
        server.once("error", resolve);
        server.listen(this.#port, "127.0.0.1", () => resolve(null));
      });
      const address = server.address();
      if (problem === null && address !== null && typeof address !== "string") {
        this.#server = server;
        this.#port = address.port;
        return;
      }
      if (tries === LISTEN_TRIES_MAX) throw problem ?? new Error("no port");
      await delay(LISTEN_PAUSE_MS);
    }
  }

  async #close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    // Its callback waits for all connections; the port is free at once.
    server.close();
    await delay(0);
  }
}
