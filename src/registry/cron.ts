import { Cron } from "croner";
import { quoted } from "../core/address.ts";
import { PortolanError } from "../core/errors.ts";

/** When a plan repeats: every so many seconds, or by a cron pattern read in a time zone; both null: only on request. */
export type Rhythm = { readonly intervalS: number | null; readonly cron: string | null; readonly timeZone: string };

const PATTERN_CHARS_MAX = 200;
const PARSED_MAX = 1_000;
/** Runs that are looked at to find the longest pause between two. */
const RUNS_LOOKED_AT = 400;
/** Monday, 1 January 2024: a leap year follows, and every time zone's changes lie ahead. */
const REFERENCE_MS = Date.UTC(2024, 0, 1);

const parsed = new Map<string, Cron>();
const gaps = new Map<string, number>();

/** Throws `invalid` unless the pattern has five fields (or is `@daily` and the like), comes to pass at all, and the time zone exists. */
export function checkCron(pattern: string, timeZone: string): void {
  if (pattern.length > PATTERN_CHARS_MAX) throw new PortolanError("invalid", `a cron pattern has at most ${PATTERN_CHARS_MAX} characters`);
  if (nextRunMs(pattern, timeZone, REFERENCE_MS) !== null) return;
  throw new PortolanError("invalid", `cron pattern ${quoted(pattern)} never comes to pass; correct its day and month`);
}

/**
 * The first time strictly after `afterMs` (milliseconds of the Unix epoch) at which the pattern comes to pass, null when it never does. A
 * local time that a clock change leaves out comes to pass an hour later, one that it repeats comes to pass once. Throws `invalid`.
 */
export function nextRunMs(pattern: string, timeZone: string, afterMs: number): number | null {
  try {
    return parse(pattern, timeZone).nextRun(new Date(afterMs))?.getTime() ?? null;
  } catch (error) {
    if (error instanceof PortolanError) throw error;
    throw refusal(pattern, timeZone, error);
  }
}

/** The longest pause between two runs, in seconds; null for what runs on request only. */
export function longestPauseS({ intervalS, cron, timeZone }: Rhythm): number | null {
  if (cron === null || cron === undefined) return intervalS;
  const key = `${timeZone} ${cron}`;
  const known = gaps.get(key);
  if (known !== undefined) return known;
  let longestMs = 60_000;
  let lastMs = nextRunMs(cron, timeZone, REFERENCE_MS);
  for (let run = 0; run < RUNS_LOOKED_AT && lastMs !== null; run++) {
    const nextMs = nextRunMs(cron, timeZone, lastMs);
    if (nextMs !== null) longestMs = Math.max(longestMs, nextMs - lastMs);
    lastMs = nextMs;
  }
  if (gaps.size >= PARSED_MAX) gaps.clear();
  gaps.set(key, Math.ceil(longestMs / 1_000));
  return Math.ceil(longestMs / 1_000);
}

/** When the next run after one at `lastMs` is due, by interval or pattern; null: only on request. */
export function dueAfterMs(rhythm: Rhythm, lastMs: number): number | null {
  if (rhythm.intervalS !== null) return lastMs + rhythm.intervalS * 1_000;
  if (rhythm.cron === null || rhythm.cron === undefined) return null;
  return nextRunMs(rhythm.cron, rhythm.timeZone, lastMs);
}

function parse(pattern: string, timeZone: string): Cron {
  const key = `${timeZone} ${pattern}`;
  const known = parsed.get(key);
  if (known !== undefined) return known;
  let cron: Cron;
  try {
    // Nothing is scheduled here: it only does the sums.
    cron = new Cron(pattern.trim(), { timezone: timeZone, mode: "5-part", paused: true });
  } catch (error) {
    throw refusal(pattern, timeZone, error);
  }
  if (parsed.size >= PARSED_MAX) parsed.clear();
  parsed.set(key, cron);
  return cron;
}

function refusal(pattern: string, timeZone: string, cause: unknown): PortolanError {
  const why = cause instanceof Error ? cause.message : String(cause);
  if (/time ?zone/i.test(why)) {
    return new PortolanError("invalid", `there is no time zone ${quoted(timeZone)}; write it like Europe/Berlin or UTC`, { cause });
  }
  const detail = why.replace(/^CronPattern: /, "").slice(0, 200);
  return new PortolanError("invalid", `${quoted(pattern)} is no cron pattern (${detail}); write five fields, like "30 3 * * 1-5"`, {
    cause,
  });
}
