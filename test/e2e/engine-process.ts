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

function findEngine(ancestors: readonly number[]): { pid: number; name: string } | null {
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
    if (program.endsWith("masscan") && rest.includes("-oD")) return { pid, name: "masscan" };
    if (rest.some((argument) => argument.endsWith("/prober.ts"))) return { pid, name: "prober" };
  }
  return null;
}

/** Kills one masscan or prober that descends from these processes, as soon as there is one; its name, or null when none came in time. */
export async function killEngine(ancestors: readonly number[], waitMs: number): Promise<string | null> {
  const deadline = performance.now() + waitMs;
  while (performance.now() < deadline) {
    const engine = findEngine(ancestors);
    if (engine !== null) {
      try {
        process.kill(engine.pid, "SIGKILL");
        return engine.name;
      } catch {
        // It has just ended by itself.
      }
    }
    await delay(5);
  }
  return null;
}
