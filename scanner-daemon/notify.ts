import { spawn } from "node:child_process";

/** Tells a service manager how the daemon is; without one it does nothing. */
export type Notifier = {
  /** The daemon works. Say it once; from then on the watchdog is fed. */
  ready(status: string): void;
  /** One line for `systemctl status`. */
  status(text: string): void;
  /** The daemon ends in order, and the watchdog need not worry. */
  stopping(): void;
};

type Options = {
  /** `NOTIFY_SOCKET`, and `WATCHDOG_USEC` in microseconds. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Program that passes the words on; tests bring their own. */
  readonly program?: string;
  readonly onProblem: (text: string) => void;
};

const NOTIFY_TIMEOUT_MS = 5_000;
const STATUS_CHARS_MAX = 200;

/**
 * The protocol of sd_notify. Node has no datagram sockets of the local kind, so `systemd-notify` speaks for it: the unit needs
 * `NotifyAccess=all`. Signs of life come from the event loop itself, twice in each watchdog interval: a daemon that hangs is silent. One
 * that waits for NATS or a database is not: a new start would bring neither back.
 */
export function createNotifier({ env, program = "systemd-notify", onProblem }: Options): Notifier {
  if ((env["NOTIFY_SOCKET"] ?? "") === "") return { ready: () => undefined, status: () => undefined, stopping: () => undefined };
  let hasComplained = false;
  let last = "";
  const say = (...words: readonly string[]): void => {
    const child = spawn(program, words, { stdio: "ignore", env: { ...pick(env), PATH: env["PATH"] }, timeout: NOTIFY_TIMEOUT_MS });
    const complain = (why: string): void => {
      if (!hasComplained) onProblem(`${program} cannot tell the service manager how we are: ${why}`);
      hasComplained = true;
    };
    child.once("error", (error) => complain(error.message));
    child.once("exit", (code) => {
      if (code !== 0) complain(`it ended with ${code ?? "a signal"}`);
    });
  };
  let timer: NodeJS.Timeout | undefined;
  const status = (text: string): void => {
    const line = `STATUS=${[...text]
      .filter((character) => character >= " ")
      .join("")
      .slice(0, STATUS_CHARS_MAX)}`;
    if (line !== last) say(line);
    last = line;
  };
  return {
    ready: (text) => {
      say("READY=1", `STATUS=${text}`);
      const intervalMs = Number(env["WATCHDOG_USEC"] ?? "0") / 1_000;
      if (intervalMs > 0 && timer === undefined) timer = setInterval(() => say("WATCHDOG=1"), intervalMs / 2).unref();
    },
    status,
    stopping: () => {
      clearInterval(timer);
      say("STOPPING=1", "STATUS=stopping");
    },
  };
}

function pick(env: Options["env"]): Record<string, string> {
  return Object.fromEntries(["NOTIFY_SOCKET"].flatMap((name) => (env[name] === undefined ? [] : [[name, env[name]]])));
}
