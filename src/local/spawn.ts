import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { PortolanError } from "../core/errors.ts";
import type { ProcessExit } from "./sqld.ts";
import type { Running } from "./supervisor.ts";
import { findTool, ROOT } from "./tools.ts";

/** How to run a program as a child. */
export type ProcessOptions = {
  readonly name: string;
  /** The program and its arguments. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Asked every few milliseconds until it says true. */
  readonly isReady: () => Promise<boolean>;
  readonly readyTimeoutMs: number;
  readonly onOutput: (chunk: string) => void;
};

const OUTPUT_TAIL_CHARS = 2_000;
const STOP_MS_MAX = 20_000;

/** `spawnProcess` with the Node that runs this. `args`: options of Node, the program, its arguments. */
export function spawnNode({ args, ...options }: Omit<ProcessOptions, "argv"> & { readonly args: readonly string[] }): Promise<Running> {
  return spawnProcess({ ...options, argv: [process.execPath, ...args] });
}

/**
 * Starts a program that dies with this process, and returns when it is ready.
 * Throws `unavailable` with the program's last words when it ends or is not ready in time.
 */
export async function spawnProcess(options: ProcessOptions): Promise<Running> {
  const child = start(options);
  const output = collect(child, options.onOutput);
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
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
    return exited.finally(() => clearTimeout(timer));
  };
  const deadline = performance.now() + options.readyTimeoutMs;
  const hasEnded = (): boolean => ended !== null;
  while (!(await options.isReady().catch(() => false))) {
    if (!hasEnded() && performance.now() < deadline) {
      await delay(20);
      continue;
    }
    const why = hasEnded() ? "ended while starting" : `was not ready within ${options.readyTimeoutMs} ms`;
    await end("SIGKILL");
    throw new PortolanError("unavailable", `${options.name} ${why}${said(output())}`);
  }
  return { pid: child.pid ?? -1, exited, stop: () => end("SIGTERM"), kill9: () => end("SIGKILL") };
}

function said(text: string): string {
  const trimmed = text.trim();
  return trimmed === "" ? "" : `; it said: ${trimmed}`;
}

function start(options: ProcessOptions): ChildProcess {
  const setpriv = findTool("setpriv");
  // setpriv replaces itself by the program: one process, one pid.
  const argv = [...(setpriv === null ? [] : [setpriv, "--pdeathsig", "TERM"]), ...options.argv];
  const env = {
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    HOME: process.env["HOME"] ?? "/",
    TZ: process.env["TZ"] ?? "",
    ...options.env,
  };
  // A session of its own: Ctrl-C in the terminal reaches the supervisor alone, which then stops the children in order.
  return spawn(argv[0] ?? process.execPath, argv.slice(1), { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
}

function collect(child: ChildProcess, onOutput: (chunk: string) => void): () => string {
  let tail = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding("utf8");
    stream?.on("data", (chunk: string) => {
      tail = (tail + chunk).slice(-OUTPUT_TAIL_CHARS);
      onOutput(chunk);
    });
  }
  return () => tail;
}
