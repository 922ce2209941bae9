import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { natsServerConfig, type NatsServerOptions } from "../bus/server-config.ts";
import { PortolanError } from "../core/errors.ts";
import { freePort } from "./ports.ts";
import type { ProcessExit } from "./sqld.ts";
import { needTool } from "./tools.ts";

/** How to run one nats-server on 127.0.0.1. A port that is not given is chosen by the system. */
export type LocalNatsOptions = Omit<NatsServerOptions, "host" | "port" | "storeDir"> & {
  /** Directory of configuration and JetStream store; created when missing. One server at a time. */
  readonly dir: string;
  readonly host?: string;
  readonly port?: number;
  /** Lets everybody in without a key, with all rights. For tests of the bus only. */
  readonly open?: boolean;
  /** Milliseconds until it has to greet; default 10,000. */
  readonly readyTimeoutMs?: number;
  /** Receives what the server writes, for a log file. */
  readonly onOutput?: (chunk: string) => void;
};

/** Who may connect; the rest of the configuration needs a restart. */
export type NatsUsers = Pick<NatsServerOptions, "keepers" | "scanners" | "watchers" | "peers">;

/** A running nats-server that has greeted a client. */
export type LocalNats = {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Resolves when the process has ended, for whatever reason. Never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** Writes the configuration with these users and has the server read it (SIGHUP); takes effect within moments. */
  reload(users: NatsUsers): void;
  /** Ends it in order (SIGINT, exit code 0; SIGKILL after 5 s). Repeatable. */
  stop(): Promise<ProcessExit>;
  /** SIGKILL, as a crash would do. For tests. */
  kill9(): Promise<ProcessExit>;
};

const SETPRIV = ["/usr/bin/setpriv", "/bin/setpriv"].find((path) => existsSync(path));
const OUTPUT_TAIL_CHARS = 2_000;
const START_ATTEMPTS = 3;

/**
 * Starts nats-server with JetStream and the rights of `natsServerConfig`, and returns when it greets.
 * The child dies with this process (on Linux). Throws `unavailable` with the server's last words when it does not come up.
 */
export async function startNats(options: LocalNatsOptions): Promise<LocalNats> {
  const binary = needTool("nats-server");
  mkdirSync(options.dir, { recursive: true, mode: 0o700 });
  for (let attempt = 1; ; attempt++) {
    const port = options.port ?? (await freePort());
    try {
      return await startOnce(binary, options, port);
    } catch (error) {
      // A port that the system chose may have been taken in between.
      if (options.port !== undefined || attempt >= START_ATTEMPTS || !String(error).includes("in use")) throw error;
    }
  }
}

async function startOnce(binary: string, options: LocalNatsOptions, port: number): Promise<LocalNats> {
  const configFile = join(options.dir, "nats.conf");
  const write = (users: NatsUsers): void => writeFileSync(configFile, configText({ ...options, ...users }, port), { mode: 0o600 });
  write(options);
  const child = spawnServer(binary, configFile, options.dir);
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
  const server: LocalNats = {
    url: `nats://${dialHost(options.host)}:${port}`,
    port,
    pid: child.pid ?? -1,
    exited,
    reload: (users) => {
      write(users);
      if (ended === null) child.kill("SIGHUP");
    },
    // SIGTERM would end it too, but with exit code 1.
    stop: () => end("SIGINT"),
    kill9: () => end("SIGKILL"),
  };
  try {
    await becomeReady({ host: options.host, port }, options.readyTimeoutMs ?? 10_000, () => ended !== null);
    return server;
  } catch (error) {
    await end("SIGKILL");
    const said = output().trim();
    const problem = error instanceof Error ? error.message : String(error);
    throw new PortolanError(
      "unavailable",
      `nats-server in ${options.dir} did not start: ${problem}${said === "" ? "" : `; it said: ${said}`}`,
      { cause: error },
    );
  }
}

function configText(options: LocalNatsOptions, port: number): string {
  const place = { host: options.host ?? "127.0.0.1", port, storeDir: join(options.dir, "store") };
  const text = natsServerConfig({ ...options, ...place });
  if (options.open !== true) return text;
  // Everything before the accounts: no users, so everybody is in.
  return text.slice(0, text.indexOf("accounts {"));
}

function spawnServer(binary: string, configFile: string, dir: string): ChildProcess {
  const args = ["-c", configFile];
  // setpriv replaces itself by the server: one process, one pid.
  const [command, ...rest] = SETPRIV === undefined ? [binary, ...args] : [SETPRIV, "--pdeathsig", "INT", binary, ...args];
  return spawn(command ?? binary, rest, {
    cwd: dir,
    stdio: ["ignore", "pipe", "pipe"],
    // Ctrl-C in the terminal reaches the supervisor alone, which then stops its children in order.
    detached: true,
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
  });
}

function collectOutput(child: ChildProcess, onOutput: LocalNatsOptions["onOutput"]): () => string {
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

async function becomeReady(at: { host: string | undefined; port: number }, timeoutMs: number, hasEnded: () => boolean): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    if (hasEnded()) throw new PortolanError("unavailable", "the process ended");
    if (await greets(at)) return;
    if (performance.now() > deadline) throw new PortolanError("unavailable", `no greeting on port ${at.port} within ${timeoutMs} ms`);
    await delay(10);
  }
}

/** Where this machine itself reaches a server that listens on `host`. */
function dialHost(host = "127.0.0.1"): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}

/** Whether a NATS server says INFO on this port within a second. */
function greets({ host, port }: { host: string | undefined; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: dialHost(host).replace(/^\[|\]$/g, ""), port });
    const finish = (said: boolean): void => {
      socket.destroy();
      resolve(said);
    };
    socket.setTimeout(1_000, () => finish(false));
    socket.once("data", (data) => finish(data.subarray(0, 4).toString("latin1") === "INFO"));
    socket.once("error", () => finish(false));
    socket.once("close", () => finish(false));
  });
}
