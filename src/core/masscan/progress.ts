/** What one status line of masscan tells; `remainingS` while it sends, `waitingS` (also negative) while it waits for late answers. */
export type MasscanProgress = {
  /** 0 … 100. */
  readonly percent: number;
  readonly ratePps: number;
  readonly remainingS: number | null;
  readonly waitingS: number | null;
  readonly found: number;
};

const STATUS =
  /^rate:\s*(\d+(?:[.,]\d+)?)-kpps,\s*(\d+(?:[.,]\d+)?)% done,\s*(?:(\d{1,7}):(\d\d):(\d\d) remaining|waiting (-?\d{1,9})-secs), found=(\d{1,15})\s*$/;

/**
 * Reads one status line of masscan, without the carriage return that ends it; null for any other text. Never throws.
 *
 * Two formats: `rate:  1.99-kpps, 30.47% done,   0:00:13 remaining, found=7` and, after the last probe,
 * `rate:  0.00-kpps, 100.00% done, waiting 2-secs, found=24`.
 */
export function parseProgress(line: string): MasscanProgress | null {
  if (line.length > 200) return null;
  const match = STATUS.exec(line);
  if (match === null) return null;
  const [, kpps = "0", percent = "0", hours, minutes, seconds, waiting, found = "0"] = match;
  return {
    percent: Math.min(100, decimal(percent)),
    ratePps: Math.round(decimal(kpps) * 1_000),
    remainingS: hours === undefined ? null : Number(hours) * 3_600 + Number(minutes) * 60 + Number(seconds),
    waitingS: waiting === undefined ? null : Number(waiting),
    found: Number(found),
  };
}

/** Meaning of one piece of masscan's stderr, cut at line feeds and carriage returns. */
export type MasscanNotice =
  | { readonly kind: "progress"; readonly progress: MasscanProgress }
  | { readonly kind: "error" | "resume-saved" | "other"; readonly text: string };

/** Sorts one piece of stderr: status line, refusal (`CONF:`, `ERROR:`, `FAIL:`), saved resume file, or harmless. Never throws. */
export function parseNotice(line: string): MasscanNotice {
  const progress = parseProgress(line);
  if (progress !== null) return { kind: "progress", progress };
  const text = line.trim().slice(0, 500);
  if (/saving resume file/.test(line)) return { kind: "resume-saved", text };
  return { kind: isErrorLine(line) ? "error" : "other", text };
}

/** Whether a line of stderr says that masscan refused something; it may go on all the same, with other values. */
export function isErrorLine(line: string): boolean {
  return /(?:CONF|ERROR|FAIL):/.test(line);
}

function decimal(text: string): number {
  return Number(text.replace(",", "."));
}
