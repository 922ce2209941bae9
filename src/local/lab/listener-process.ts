import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { PortolanError } from "../../core/errors.ts";
import type { ListenerConfig } from "./listeners.ts";

const ANSWER_TIMEOUT_MS = 20_000;
const STOP_TIMEOUT_MS = 3_000;

/** The running listeners: `ask` sends one line and waits for its answer, `stop` ends the process (also twice). */
export type ListenerProcess = { readonly pid: number; readonly ask: (line: string) => Promise<string>; readonly stop: () => Promise<void> };

/** Starts the listeners behind an argv prefix (empty on the host) and returns when all of them listen. */
export async function startListeners(launcher: readonly string[], config: ListenerConfig): Promise<ListenerProcess> {
  const [program, ...args] = [...launcher, process.execPath, new URL("./listeners.ts", import.meta.url).pathname];
  // Plain Node: whatever loader runs the owner is of no use to a file that needs none.
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, NODE_OPTIONS: "" } });
  const exited = once(child, "exit").catch(() => undefined);
  let problem = "";
  child.stderr.on("data", (chunk: Buffer) => (problem = `${problem}${chunk.toString()}`.slice(-2_000)));
  child.stdin.on("error", () => undefined);
  child.on("error", (error) => (problem += error.message));

  const waiting: ((line: string | null) => void)[] = [];
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => waiting.shift()?.(line));
  lines.on("close", () => waiting.splice(0).forEach((give) => give(null)));

  const ask = (line: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const fail = (why: string): void =>
        reject(new PortolanError("unavailable", `the lab's listeners ${why}: ${problem.trim() || "no reason given"}`));
      const timer = setTimeout(() => fail("did not answer in time"), ANSWER_TIMEOUT_MS);
      waiting.push((answer) => {
        clearTimeout(timer);
        if (answer === null) fail("ended");
        else resolve(answer);
      });
      child.stdin.write(`${line}\n`);
    });
  const stop = async (): Promise<void> => {
    child.stdin.end();
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(timer);
  };
  try {
    await ask(JSON.stringify(config));
  } catch (error) {
    await stop();
    throw error;
  }
  return { pid: child.pid ?? 0, ask, stop };
}
