/** A pause that a ring ends early; a ring while nobody waits ends the next pause at once. For one waiter. */
export type Doorbell = {
  ring(): void;
  /** Resolves after `timeoutMs`, a ring, or when `signal` aborts. */
  wait(timeoutMs: number, signal: AbortSignal): Promise<void>;
};

/** Makes a doorbell that nobody has rung. */
export function createDoorbell(): Doorbell {
  let rung = false;
  let wake: (() => void) | null = null;
  return {
    ring: () => {
      rung = true;
      wake?.();
    },
    wait: (timeoutMs, signal) =>
      new Promise((resolve) => {
        const done = (): void => {
          clearTimeout(timer);
          signal.removeEventListener("abort", done);
          wake = null;
          rung = false;
          resolve();
        };
        const timer = setTimeout(done, timeoutMs);
        wake = done;
        signal.addEventListener("abort", done, { once: true });
        if (rung || signal.aborted) done();
      }),
  };
}
