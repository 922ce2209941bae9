import { PortolanError } from "./errors.ts";

const UNIT_S: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** Seconds of a duration like `90s`, `30m`, `6h`, `1d`, `1w`, `1h30m`. Throws `invalid` for other spellings, for zero and for more than a year. */
export function parseDuration(duration: string | number): number {
  const seconds = typeof duration === "number" ? duration : sum(duration.trim());
  if (!Number.isInteger(seconds) || seconds < 1 || seconds > 31_536_000) {
    throw new PortolanError(
      "invalid",
      `"${String(duration).slice(0, 60)}" is not a length of time; write it like 90s, 30m, 6h, 1d or 1h30m, at most 365d`,
    );
  }
  return seconds;
}

function sum(text: string): number {
  if (!/^(\d{1,8}[smhdw]){1,10}$/.test(text)) return Number.NaN;
  return [...text.matchAll(/(\d+)([smhdw])/g)].reduce((total, [, count, unit]) => total + Number(count) * (UNIT_S[unit ?? ""] ?? 0), 0);
}
