/** One line of the doctor. */
export type Finding = {
  /** What was looked at, like `api` or `masscan`. */
  readonly check: string;
  readonly state: "ok" | "warn" | "fail";
  /** What was found. */
  readonly detail: string;
  /** What to do; null when nothing has to be done. */
  readonly remedy: string | null;
};

/** All is well. */
export function ok(check: string, detail: string): Finding {
  return { check, state: "ok", detail, remedy: null };
}

/** It works, with a loss that a person should know of. */
export function warn(check: string, detail: string, remedy: string): Finding {
  return { check, state: "warn", detail, remedy };
}

/** It does not work. */
export function fail(check: string, detail: string, remedy: string): Finding {
  return { check, state: "fail", detail, remedy };
}

const CLOCK_WARN_MS = 2_000;
/** As far as that a keeper refuses to work. */
const CLOCK_FAIL_MS = 300_000;

/**
 * What a clock that differs by `offsetMs` (positive: theirs is ahead) means. `uncertainMs` is how exact that is; less than it is no difference.
 */
export function judgeClock(
  check: string,
  { whose, offsetMs, uncertainMs }: { whose: string; offsetMs: number; uncertainMs: number },
): Finding {
  const size = Math.abs(offsetMs);
  const seconds = (size / 1_000).toFixed(1);
  const text = `the clock of ${whose} is ${seconds} s ${offsetMs < 0 ? "behind" : "ahead of"} this one (±${(uncertainMs / 1_000).toFixed(1)} s)`;
  const remedy = "set both clocks by NTP, on Debian: apt-get install chrony";
  if (size - uncertainMs > CLOCK_FAIL_MS) return fail(check, text, `${remedy}; a keeper refuses to work so far off its peers`);
  if (size - uncertainMs > CLOCK_WARN_MS) return warn(check, text, `${remedy}; times in lists are wrong by that much, verdicts are not`);
  return ok(check, size <= uncertainMs ? `the clock of ${whose} agrees with this one (±${(uncertainMs / 1_000).toFixed(1)} s)` : text);
}
