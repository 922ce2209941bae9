import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

type Process = { readonly pid: number; readonly parent: number; readonly command: string };

/** Every process that this user may see, from /proc. */
function processes(): Process[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, "utf8"))?.[1];
        return [{ pid: Number(name), parent: Number(parent), command: readFileSync(`/proc/${name}/cmdline`, "utf8") }];
      } catch {
        return [];
      }
    });
}

/** What runs an assignment: masscan, or the prober of the connect engine. */
export type EngineProgram = "masscan" | "prober";

function findEngine(name: EngineProgram, ancestors: readonly number[]): number | null {
  const all = processes();
  const below = new Set(ancestors);
  for (let grew = true; grew;) {
    const found = all.filter((one) => below.has(one.parent) && !below.has(one.pid));
    for (const one of found) below.add(one.pid);
    grew = found.length > 0;
  }
  for (const { pid, command } of all) {
    if (!below.has(pid) || ancestors.includes(pid)) continue;
    const [program = "", ...rest] = command.split("\0");
    const found =
      program.endsWith("masscan") && rest.includes("-oD") ? "masscan" : rest.some((text) => text.endsWith("/prober.ts")) ? "prober" : null;
    if (found === name) return pid;
  }
  return null;
}

/** Kills one process of this program that descends from these, as soon as there is one; false when none came in time. */
export async function killEngine(name: EngineProgram, ancestors: readonly number[], waitMs: number): Promise<boolean> {
  const deadline = performance.now() + waitMs;
  while (performance.now() < deadline) {
    const pid = findEngine(name, ancestors);
    try {
      if (pid !== null) return process.kill(pid, "SIGKILL");
    } catch {
      // It has just ended by itself.
    }
    await delay(5);
  }
  return false;
}
