import { simulation, type Task } from "./engine.ts";

/**
 * Replaces the clocks, timers and randomness of this process by those of the simulation that runs: the code under test uses
 * the globals, and so needs no seams of its own. Only for processes that do nothing else.
 */
export function replaceGlobals(): void {
  process.on("unhandledRejection", (error) => simulation().fail(`a rejection that nobody handled: ${String(error)}`));
  Object.assign(globalThis, { setTimeout: startTimer, setInterval: startInterval, clearTimeout: stopTimer, clearInterval: stopTimer });
  performance.now = () => simulation().nowMs;
  Date.now = () => simulation().epochMs + (simulation().owners.getStore()?.skewMs() ?? 0);
  Math.random = () => simulation().random.below(2 ** 30) / 2 ** 30;
  crypto.randomUUID = () => {
    const hex = randomHex(16);
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20)}`;
  };
}

/** Random bytes in hexadecimal. */
export function randomHex(bytes: number): string {
  let text = "";
  for (let at = 0; at < bytes; at += 1) text += simulation().random.below(256).toString(16).padStart(2, "0");
  return text;
}

class Timer {
  task: Task | null = null;
  ref(): this {
    return this;
  }
  unref(): this {
    return this;
  }
}

function startTimer(act: (...args: unknown[]) => void, delayMs = 0, ...args: unknown[]): Timer {
  const timer = new Timer();
  const owner = simulation().owner();
  if (owner.alive) timer.task = simulation().after(Math.max(1, delayMs), owner, "timer", () => act(...args));
  return timer;
}

function startInterval(act: () => void, everyMs = 1): Timer {
  const timer = new Timer();
  const owner = simulation().owner();
  const again = (): void => {
    timer.task = simulation().after(Math.max(1, everyMs), owner, "interval", () => {
      again();
      act();
    });
  };
  if (owner.alive) again();
  return timer;
}

function stopTimer(timer: Timer | null | undefined): void {
  timer?.task?.cancel();
}
