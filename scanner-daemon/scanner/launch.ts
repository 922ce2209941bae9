import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from "node:child_process";

/** Programs that the scanner starts, by name or path. */
export type ScannerTools = {
  readonly masscan: string;
  readonly ethtool: string;
  readonly stdbuf: string;
  readonly setpriv: string;
  /** Node that runs the prober; the daemon's own by default. */
  readonly node?: string | undefined;
};

/** How anything that touches the target network is started. */
export type Launch = {
  /** Argv prefix, e.g. `["ip", "netns", "exec", "lab"]`; empty for the daemon's own place. */
  readonly launcher: readonly string[];
  readonly tools: ScannerTools;
};

/** How a finished child ended; `problem` tells why it could not be started. */
export type Finished = { readonly code: number | null; readonly signal: string | null; readonly problem: string | null };

/** What a short child said. */
export type Captured = Finished & { readonly stdout: string; readonly stderr: string; readonly timedOut: boolean };

const CAPTURE_CHARS_MAX = 8 * 1024 * 1024;

/**
 * Starts a program through the launcher, without a shell. It gets a killing parent-death signal, so that nothing keeps
 * probing when the daemon dies, and an environment of PATH only, so that it holds no secrets.
 */
export function launch(how: Launch, argv: readonly string[], options: { readonly cwd?: string } = {}): ChildProcessWithoutNullStreams {
  const [program = "", ...rest] = [...how.launcher, how.tools.setpriv, "--pdeathsig", "KILL", ...argv];
  const env = { PATH: process.env["PATH"] ?? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" };
  return spawn(program, rest, { stdio: "pipe", env, ...(options.cwd === undefined ? {} : { cwd: options.cwd }) });
}

/** Waits until a child and its streams have ended. Never rejects. */
export function ended(child: ChildProcess): Promise<Finished> {
  return new Promise((resolve) => {
    child.once("error", (error) => {
      if (child.pid === undefined) resolve({ code: null, signal: null, problem: error.message });
    });
    child.once("close", (code, signal) => resolve({ code, signal, problem: null }));
  });
}

/** Runs a short program to its end and keeps what it says (at most 8 Mi characters of each stream). Never rejects. */
export async function capture(
  how: Launch,
  argv: readonly string[],
  options: { readonly cwd?: string; readonly timeoutMs: number },
): Promise<Captured> {
  const child = launch(how, argv, options);
  const said = { stdout: "", stderr: "" };
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (chunk: string) => {
      if (said[stream].length < CAPTURE_CHARS_MAX) said[stream] += chunk;
    });
  }
  child.stdin.on("error", () => {});
  child.stdin.end();
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, options.timeoutMs);
  const finished = await ended(child);
  clearTimeout(timer);
  return { ...finished, ...said, timedOut };
}
