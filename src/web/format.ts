const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `12345` as `12 345`, grouped by narrow no-break spaces, which no reader takes for a decimal sign. */
export function formatCount(count: number): string {
  return Math.trunc(count)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

/** One word for one, another for all else: `plural(1, "port")` is `1 port`. */
export function plural(count: number, one: string, many: string = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** `2026-11-20 13:05:12 UTC`. */
export function formatUtc(timeMs: number): string {
  return `${new Date(timeMs).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

/** Short for tables: `just now`, `12 min ago`, `5 h ago`, and from one day on the date, `2026-11-20`. */
export function formatWhen(timeMs: number, nowMs: number): string {
  const agoMs = nowMs - timeMs;
  if (agoMs < -MINUTE_MS || agoMs >= DAY_MS) return new Date(timeMs).toISOString().slice(0, 10);
  if (agoMs < MINUTE_MS) return "just now";
  if (agoMs < HOUR_MS) return `${Math.floor(agoMs / MINUTE_MS)} min ago`;
  return `${Math.floor(agoMs / HOUR_MS)} h ago`;
}

/** Two units at most: `45 s`, `3 min 20 s`, `2 h 5 min`, `3 d 4 h`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const units = [
    { size: 86_400, name: "d" },
    { size: 3_600, name: "h" },
    { size: 60, name: "min" },
    { size: 1, name: "s" },
  ];
  const first = units.findIndex((unit) => whole >= unit.size);
  if (first === -1) return "0 s";
  const parts: string[] = [];
  let rest = whole;
  for (const unit of units.slice(first, first + 2)) {
    const count = Math.floor(rest / unit.size);
    rest -= count * unit.size;
    if (count > 0) parts.push(`${count} ${unit.name}`);
  }
  return parts.join(" ");
}

/** Packets per second: `850 pps`, `9.9 kpps`, `1.2 Mpps`. */
export function formatRate(ratePps: number): string {
  if (ratePps >= 1_000_000) return `${(ratePps / 1_000_000).toFixed(1)} Mpps`;
  if (ratePps >= 10_000) return `${(ratePps / 1_000).toFixed(1)} kpps`;
  return `${formatCount(Math.round(ratePps))} pps`;
}

/** `41 %`; never `100 %` for anything below 100, so that a running shard does not look finished. */
export function formatPercent(percent: number): string {
  return `${percent >= 100 ? 100 : Math.min(99, Math.floor(percent))} %`;
}

/** First twelve digits of a record id: enough for people, links carry all of it. */
export function shortId(id: string): string {
  return id.slice(0, 12);
}
