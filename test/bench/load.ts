import { connect, type Socket } from "node:net";

/** What one run of requests gave. */
export type Load = { readonly requests: number; readonly seconds: number; readonly perSecond: number };

export type LoadOptions = {
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** How long, in milliseconds; no new request begins after that. */
  readonly forMs: number;
  readonly connections: number;
  /** Requests under way on each connection. */
  readonly depth: number;
};

const DRAIN_MS = 10_000;
const HEAD_END = Buffer.from("\r\n\r\n");

/**
 * Asks one URL again and again over a few kept connections and counts the answers. Plain sockets: a whole HTTP client would be what is
 * measured. Every answer needs a Content-Length and status 200, otherwise it throws.
 */
export async function load({ url, headers = {}, forMs, connections, depth }: LoadOptions): Promise<Load> {
  const { hostname, port, pathname, search } = new URL(url);
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const request = Buffer.from(`GET ${pathname}${search} HTTP/1.1\r\nhost: ${hostname}:${port}\r\n${lines.join("")}\r\n`);
  const begun = performance.now();
  const until = begun + forMs;
  const counts = await Promise.all(
    Array.from({ length: connections }, () => askOver(connect(Number(port), hostname), { request, depth, until })),
  );
  const seconds = (performance.now() - begun) / 1_000;
  const requests = counts.reduce((sum, count) => sum + count, 0);
  return { requests, seconds, perSecond: requests / seconds };
}

type Asking = { readonly request: Buffer; readonly depth: number; readonly until: number };

function askOver(socket: Socket, { request, depth, until }: Asking): Promise<number> {
  return new Promise((resolve, reject) => {
    let answers = 0;
    let underWay = depth;
    let head: Buffer = Buffer.alloc(0);
    let bodyLeft = 0;
    const end = (error?: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      if (error === undefined) resolve(answers);
      else reject(error);
    };
    const timer = setTimeout(() => end(new Error("the answers stopped coming")), until - performance.now() + DRAIN_MS);
    const answered = (): void => {
      answers++;
      if (performance.now() < until) socket.write(request);
      else if (--underWay === 0) end();
    };
    socket.setNoDelay(true);
    socket.on("error", end);
    socket.on("connect", () => socket.write(Buffer.concat(Array.from({ length: depth }, () => request))));
    socket.on("data", (chunk: Buffer) => {
      let rest: Buffer = chunk;
      while (rest.length > 0) {
        if (bodyLeft > 0) {
          const taken = Math.min(bodyLeft, rest.length);
          bodyLeft -= taken;
          rest = rest.subarray(taken);
          if (bodyLeft === 0) answered();
          continue;
        }
        head = head.length === 0 ? rest : Buffer.concat([head, rest]);
        const at = head.indexOf(HEAD_END);
        if (at < 0) return;
        const text = head.subarray(0, at).toString("latin1");
        const length = /^content-length: (\d+)/im.exec(text)?.[1];
        if (!text.startsWith("HTTP/1.1 200") || length === undefined)
          return end(new Error(`an answer that cannot be counted: ${text.slice(0, 300)}`));
        rest = head.subarray(at + HEAD_END.length);
        head = Buffer.alloc(0);
        bodyLeft = Number(length);
      }
    });
  });
}
