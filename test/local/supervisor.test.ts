import { spawn } from "node:child_process";
import { afterEach, expect, test } from "vitest";
import { Child, type ChildEvent, type Running } from "../../src/local/supervisor.ts";
import type { ProcessExit } from "../../src/local/sqld.ts";

const children: Child[] = [];
afterEach(async () => {
  await Promise.all(children.splice(0).map((child) => child.stop()));
});

/** A process that does nothing until it is ended. */
function sleeper(): Running {
  const child = spawn("sleep", ["60"], { stdio: "ignore" });
  const exited = new Promise<ProcessExit>((resolve) => child.once("exit", (code, signal) => resolve({ code, signal })));
  const end = (signal: NodeJS.Signals): Promise<ProcessExit> => {
    child.kill(signal);
    return exited;
  };
  return { pid: child.pid ?? -1, exited, stop: () => end("SIGTERM"), kill9: () => end("SIGKILL") };
}

function supervise(start: () => Promise<Running>): { child: Child; events: ChildEvent[] } {
  const events: ChildEvent[] = [];
  const child = new Child({ name: "sleeper", start }, (event) => events.push(event));
  children.push(child);
  return { child, events };
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

test("a child that is killed comes back with another process id", async () => {
  const { child, events } = supervise(async () => sleeper());
  await child.start();
  const before = child.pid;
  await child.kill9();
  await expect.poll(() => child.pid).toEqual(expect.any(Number));
  await expect.poll(() => child.starts).toBe(2);
  expect(child.pid).not.toBe(before);
  expect(events.map((event) => event.kind)).toEqual(["started", "ended", "started"]);
  expect(events[1]?.detail).toBe("killed by SIGKILL");
});

test("a child that was stopped stays down and can be started again", async () => {
  const { child } = supervise(async () => sleeper());
  await child.start();
  const pid = child.pid ?? -1;
  await child.stop();
  expect(isAlive(pid)).toBe(false);
  expect(child.pid).toBeNull();
  await child.start();
  expect(isAlive(child.pid ?? -1)).toBe(true);
});

test("a child killed with stayDown stays down until it is started", async () => {
  const { child } = supervise(async () => sleeper());
  await child.start();
  await child.kill9({ stayDown: true });
  expect(child.pid).toBeNull();
  await expect(child.ready(50)).rejects.toThrow("did not come back within 50 ms");
  await child.start();
  await child.ready(50);
});

test("restarts that fail are repeated until one succeeds", async () => {
  let failures = 0;
  let isFirst = true;
  const { child, events } = supervise(async () => {
    if (isFirst || failures === 2) {
      isFirst = false;
      return sleeper();
    }
    failures += 1;
    throw new Error("not now");
  });
  await child.start();
  await child.kill9();
  await expect.poll(() => child.starts).toBe(2);
  expect(events.filter((event) => event.kind === "failed")).toHaveLength(2);
});

test("the first start that fails is the caller's to handle and leaves nothing running", async () => {
  const { child } = supervise(async () => {
    throw new Error("port taken");
  });
  await expect(child.start()).rejects.toThrow("port taken");
  expect(child.pid).toBeNull();
  await child.stop();
});

test("a stop during a restart leaves nothing running", async () => {
  const started: Running[] = [];
  let release = (): void => undefined;
  const gate = new Promise<void>((resolve) => (release = resolve));
  const { child } = supervise(async () => {
    if (started.length > 0) await gate;
    const running = sleeper();
    started.push(running);
    return running;
  });
  await child.start();
  await child.kill9();
  const stopping = child.stop();
  release();
  await stopping;
  expect(started.filter((running) => isAlive(running.pid))).toEqual([]);
});
