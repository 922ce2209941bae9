import { createSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import { createInterface } from "node:readline";

/**
 * The process that answers in the lab. The first line of its standard input is the JSON of a `ListenerConfig`; it prints
 * `ready` when every port listens. Then each line gets one line of answer: `noise on`, `noise off`, `open
 * [{address, port} …]`, `close […]`, `forget` and `counts` (of accepted connections).
 * It ends when its standard input closes, so it never outlives the lab's owner.
 */
export type ListenerConfig = {
  /** Where to listen; `::` answers on every address that the namespace calls its own. */
  readonly sockets: readonly { readonly address: string; readonly port: number }[];
  /** IPv4 addresses that get one byte of UDP on port 9 every 200 ms: masscan notices its end only when a packet arrives. */
  readonly noiseTo: readonly string[];
  readonly noise: boolean;
};

const CONNECTION_TIMEOUT_MS = 5_000;
const NOISE_EVERY_MS = 200;
const BACKLOG = 4_096;

/** Servers by `address TAB port`, for closing them again. */
const servers = new Map<string, Server>();
/** How often each listening `address TAB port` was connected to. */
const accepted = new Map<string, number>();
let noise = false;

function answer(socket: Socket, port: number): void {
  socket.on("error", () => socket.destroy());
  socket.setTimeout(CONNECTION_TIMEOUT_MS, () => socket.destroy());
  if (port === 22) socket.end("SSH-2.0-OpenSSH_9.2p1 lab\r\n");
  // Quotes, markup, a backslash and a letter outside ASCII: every page has to escape them.
  else if (port === 21) socket.end('220 lab ftp "q" <x> \\ é\r\n');
  else if (port === 80 || port === 8080) {
    socket.once("data", () => socket.end("HTTP/1.0 200 OK\r\nServer: lab/1.0\r\nContent-Type: text/html\r\n\r\n<title>lab</title>\n"));
  } else socket.end();
}

function listen(address: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      const key = `${socket.localAddress ?? address}\t${port}`;
      accepted.set(key, (accepted.get(key) ?? 0) + 1);
      answer(socket, port);
    });
    server.once("error", reject);
    server.listen({ host: address, port, backlog: BACKLOG, ipv6Only: address === "::1" }, resolve);
    servers.set(`${address}\t${port}`, server);
  });
}

function unlisten(address: string, port: number): void {
  servers.get(`${address}\t${port}`)?.close();
  servers.delete(`${address}\t${port}`);
}

async function start(config: ListenerConfig): Promise<string> {
  noise = config.noise;
  await Promise.all(config.sockets.map((socket) => listen(socket.address, socket.port)));
  const udp = createSocket("udp4");
  udp.on("error", () => undefined);
  setInterval(() => {
    if (noise) for (const address of config.noiseTo) udp.send("n", 9, address, () => undefined);
  }, NOISE_EVERY_MS);
  return "ready";
}

type Place = ListenerConfig["sockets"][number];

/** Carries out one command and gives the line to answer with. */
async function obey(line: string): Promise<string> {
  const at = line.indexOf(" ");
  const [word, rest] = at < 0 ? [line, "[]"] : [line.slice(0, at), line.slice(at + 1)];
  if (word === "noise") noise = rest === "on";
  if (word === "open") await Promise.all((JSON.parse(rest) as Place[]).map(({ address, port }) => listen(address, port)));
  if (word === "close") for (const { address, port } of JSON.parse(rest) as Place[]) unlisten(address, port);
  if (line === "forget") accepted.clear();
  return line === "counts" ? JSON.stringify([...accepted]) : "ok";
}

let isOpen = false;
const input = createInterface({ input: process.stdin });
input.on("close", () => process.exit(0));
input.on("line", (line) => {
  const reply = isOpen ? obey(line) : start(JSON.parse(line) as ListenerConfig);
  isOpen = true;
  reply.then(
    (text) => process.stdout.write(`${text}\n`),
    (error: unknown) => {
      process.stderr.write(`${String(error)}\n`);
      process.exit(1);
    },
  );
});
