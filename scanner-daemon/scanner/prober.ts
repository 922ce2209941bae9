// Stand-alone child of the scanner: the only part, besides masscan, that touches the target network. It is started through
// the scanner's launcher, holds no keys, and imports nothing but Node, so that it runs as it is (`node prober.ts`).
import { createSocket } from "node:dgram";
import { existsSync, readFileSync, readlinkSync } from "node:fs";
import { createConnection } from "node:net";
import { createInterface } from "node:readline";
import type { ConnectAnswer, ProbePair, ProberReply, ProberRequest, ProberView } from "./prober-protocol.ts";

type ConnectRequest = Extract<ProberRequest, { op: "connect" }>;
type Batch = { readonly request: ConnectRequest; readonly answers: ConnectAnswer[]; tries: number; left: number; error: string | null };
type Probe = { readonly batch: Batch; readonly index: number; readonly pair: ProbePair; triesLeft: number };

/** The rate limiter lets this much be caught up after a late timer. */
const CATCH_UP_MS = 20;
const PROBES_WAITING_MAX = 100_000;

const waiting: Probe[] = [];
let active = 0;
let nextAtMs = 0;
let timer: NodeJS.Timeout | null = null;

function reply(message: ProberReply): void {
  process.stdout.write(`${JSON.stringify(message)}\n`);
}

function pump(): void {
  timer = null;
  for (;;) {
    const probe = waiting[0];
    if (probe === undefined || active >= probe.batch.request.parallel) return;
    const nowMs = performance.now();
    if (nowMs < nextAtMs) {
      timer = setTimeout(pump, Math.max(1, nextAtMs - nowMs));
      return;
    }
    nextAtMs = Math.max(nextAtMs, nowMs - CATCH_UP_MS) + 1_000 / probe.batch.request.ratePps;
    waiting.shift();
    active += 1;
    connect(probe);
  }
}

function connect(probe: Probe): void {
  const { batch, pair } = probe;
  batch.tries += 1;
  let done = false;
  // An error that comes before the event loop turns is the kernel's own (no route): nothing was sent.
  let local = true;
  setImmediate(() => {
    local = false;
  });
  const finish = (answer: ConnectAnswer, problem: string | null): void => {
    if (done) return;
    done = true;
    clearTimeout(limit);
    socket.destroy();
    active -= 1;
    settle(probe, answer, problem);
    if (timer === null) pump();
  };
  const socket = createConnection({ host: pair[0], port: pair[1], autoSelectFamily: false });
  const limit = setTimeout(() => finish("f", null), batch.request.timeoutMs);
  socket.on("connect", () => finish("o", null));
  socket.on("error", (error: NodeJS.ErrnoException) => finish(...answerOf(error, local)));
}

function answerOf(error: NodeJS.ErrnoException, local: boolean): [ConnectAnswer, string | null] {
  const code = error.code ?? "";
  if (code === "ECONNREFUSED" || code === "ECONNRESET") return ["c", null];
  if (code === "ETIMEDOUT") return ["f", null];
  // Routers and absent neighbours answer with ICMP; the same codes at once mean that this host has no route.
  if (!local && (code === "EHOSTUNREACH" || code === "ENETUNREACH" || code === "EPROTO")) return ["f", null];
  return ["e", error.message];
}

function settle(probe: Probe, answer: ConnectAnswer, problem: string | null): void {
  const { batch } = probe;
  if (answer === "f" && probe.triesLeft > 0) {
    probe.triesLeft -= 1;
    waiting.push(probe);
    return;
  }
  batch.answers[probe.index] = answer;
  batch.error ??= problem;
  batch.left -= 1;
  if (batch.left > 0) return;
  reply({ id: batch.request.id, op: "connect", answers: batch.answers.join(""), tries: batch.tries, error: batch.error });
}

function startBatch(request: ConnectRequest): void {
  if (waiting.length + request.pairs.length > PROBES_WAITING_MAX) throw new Error("too many connects are waiting");
  const batch: Batch = { request, answers: [], tries: 0, left: request.pairs.length, error: null };
  if (batch.left === 0) reply({ id: request.id, op: "connect", answers: "", tries: 0, error: null });
  request.pairs.forEach((pair, index) => waiting.push({ batch, index, pair, triesLeft: request.retries }));
  if (timer === null) pump();
}

function poke(request: Extract<ProberRequest, { op: "poke" }>): void {
  const socket = createSocket(request.address.includes(":") ? "udp6" : "udp4");
  const finish = (sent: boolean): void => {
    socket.close();
    reply({ id: request.id, op: "poke", sent });
  };
  socket.once("error", () => finish(false));
  socket.send("\n", request.port, request.address, (error) => {
    socket.removeAllListeners("error");
    socket.on("error", () => {});
    finish(error === null);
  });
}

function text(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}

function look(wanted: string | null): ProberView {
  const route = ipv4Route() ?? ipv6Route();
  const name = wanted ?? route?.name ?? null;
  const capabilities = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(text("/proc/self/status"))?.[1] ?? "0"}`);
  return {
    network: readlinkSync("/proc/self/ns/net"),
    rawSockets: ((capabilities >> 13n) & 1n) === 1n,
    ambientConfig: existsSync("/etc/masscan/masscan.conf"),
    interface: name,
    router: route?.router ?? null,
    drops: name === null ? 0 : dropsOf(name),
  };
}

type Route = { readonly name: string; readonly router: string };

/** Default route with a router from /proc/net/route: numbers in host byte order, as little-endian hex. */
function ipv4Route(): Route | null {
  for (const line of text("/proc/net/route").split("\n").slice(1)) {
    const [name, destination, gateway, , , , , mask] = line.split(/\s+/);
    if (name === undefined || destination !== "00000000" || mask !== "00000000" || gateway === undefined || gateway === "00000000")
      continue;
    const bytes = Buffer.from(gateway, "hex").reverse();
    return { name, router: [...bytes].join(".") };
  }
  return null;
}

function ipv6Route(): Route | null {
  for (const line of text("/proc/net/ipv6_route").split("\n")) {
    const [destination, length, , , next, , , , , name] = line.trim().split(/\s+/);
    if (name === undefined || name === "lo" || next === undefined || /^0+$/.test(next)) continue;
    if (length === "00" && destination !== undefined && /^0+$/.test(destination))
      return { name, router: (next.match(/.{4}/g) ?? []).join(":") };
  }
  return null;
}

/** Receive errors, drops and FIFO overruns of an interface. */
function dropsOf(name: string): number {
  const line = text("/proc/net/dev")
    .split("\n")
    .find((row) => row.trim().startsWith(`${name}:`));
  const fields = (line ?? "")
    .replace(/^[^:]*:/, "")
    .trim()
    .split(/\s+/)
    .map(Number);
  const sum = (fields[2] ?? 0) + (fields[3] ?? 0) + (fields[4] ?? 0);
  return Number.isFinite(sum) ? sum : 0;
}

function serve(line: string): void {
  const request = JSON.parse(line) as ProberRequest;
  try {
    if (request.op === "connect") startBatch(request);
    else if (request.op === "poke") poke(request);
    else reply({ id: request.id, op: "look", view: look(request.interface) });
  } catch (error) {
    reply({ id: request.id, op: "failed", problem: error instanceof Error ? error.message : String(error) });
  }
}

process.stdout.on("error", () => process.exit(1));
createInterface({ input: process.stdin })
  .on("line", serve)
  .on("close", () => process.exit(0));
