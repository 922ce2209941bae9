import { execFile } from "node:child_process";
import { join } from "node:path";

const ROOT = new URL("../..", import.meta.url).pathname;
export const DEMO_MS_MAX = 600_000;

type DemoRun = { readonly code: number; readonly stdout: string; readonly stderr: string; readonly pid: number };

/** The demo as `npm run demo -- --once --json` runs it. */
export function runDemo(args: readonly string[]): Promise<DemoRun> {
  return new Promise((resolve) => {
    const argv = ["--import", "tsx", join(ROOT, "src/local/demo/main.ts"), "--once", "--json", ...args];
    const child = execFile(process.execPath, argv, { cwd: ROOT, timeout: DEMO_MS_MAX, maxBuffer: 64 << 20 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr, pid: child.pid ?? 0 });
    });
  });
}
