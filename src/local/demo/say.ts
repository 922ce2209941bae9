const BAR_CELLS = 20;

/** Progress for people, on standard error: standard output belongs to the result. */
export type Say = {
  /** A line that stays. */
  readonly line: (text: string) => void;
  /** A line that the next one replaces on a terminal; elsewhere it appears only when `key` has changed. */
  readonly live: (text: string, key: string) => void;
};

/** `████░░░░` for 0 … 100 percent. */
export function bar(percent: number): string {
  const full = Math.round((Math.min(100, Math.max(0, percent)) / 100) * BAR_CELLS);
  return "█".repeat(full) + "░".repeat(BAR_CELLS - full);
}

/** Tells progress on a stream. */
export function makeSay(out: NodeJS.WriteStream, nowMs: () => number): Say {
  const startedMs = nowMs();
  let liveShown = false;
  let lastKey = "";
  const clock = (): string => `${((nowMs() - startedMs) / 1_000).toFixed(0).padStart(4)} s  `;
  return {
    line: (text) => {
      if (liveShown) out.write("\r\x1b[K");
      liveShown = false;
      out.write(`${clock()}${text}\n`);
    },
    live: (text, key) => {
      if (out.isTTY) {
        out.write(`\r\x1b[K${clock()}${text}`.slice(0, out.columns + 5));
        liveShown = true;
      } else if (key !== lastKey) out.write(`${clock()}${text}\n`);
      lastKey = key;
    },
  };
}
