import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Io } from "../../src/cli/io.ts";
import { run } from "../../src/cli/main.ts";
import type { Role } from "../../src/registry/types.ts";
import { type TestApi, startTestApi } from "../api/harness.ts";

export type Ran = { readonly exitCode: number; readonly stdout: string; readonly stderr: string; readonly sent: readonly string[] };
export type RunOptions = {
  readonly role?: Role;
  readonly env?: Record<string, string>;
  readonly signal?: AbortSignal;
  readonly isTTY?: boolean;
  /** Called wherever the command would pause; the default goes on at once. */
  readonly sleep?: () => Promise<void>;
};

/** The command line against the real API in this process, in a folder of its own. */
export type TestCli = {
  readonly api: TestApi;
  readonly cwd: string;
  /** Arguments are separated by spaces, or given one by one. */
  portolan(args: string | readonly string[], options?: RunOptions): Promise<Ran>;
  close(): Promise<void>;
};

export async function startTestCli(): Promise<TestCli> {
  const api = await startTestApi();
  const cwd = mkdtempSync(join(tmpdir(), "portolan-cli-"));
  const portolan: TestCli["portolan"] = async (args, options = {}) => {
    const sent: string[] = [];
    const output = { stdout: "", stderr: "" };
    const sink = (name: "stdout" | "stderr") => ({
      isTTY: options.isTTY === true,
      columns: 100,
      write: (text: string) => void (output[name] += text),
      stream: null,
    });
    const io: Io = {
      stdout: sink("stdout"),
      stderr: sink("stderr"),
      env: { PORTOLAN_URL: "http://portolan.test", PORTOLAN_TOKEN: api.tokens[options.role ?? "admin"], ...options.env },
      cwd,
      fetch: async (request) => {
        sent.push(`${request.method} ${new URL(request.url).pathname}`);
        return api.app.fetch(request);
      },
      now: () => api.store.clock.nowMs,
      sleep: options.sleep ?? (async () => undefined),
      signal: options.signal ?? new AbortController().signal,
    };
    const exitCode = await run(typeof args === "string" ? args.split(" ") : args, io);
    return { exitCode, ...output, sent };
  };
  return {
    api,
    cwd,
    portolan,
    close: async () => {
      rmSync(cwd, { recursive: true, force: true });
      await api.close();
    },
  };
}
