// C0 and C1 controls, and the marks that reorder or hide text: what a host, a plan or a server says must not steer the terminal.
// oxlint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** The text with every control character spelled out, `\x1b` or `\u202e`: safe on any terminal, on one line. */
export function visible(text: string): string {
  return text.replace(UNSAFE, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** As `visible`, but keeps line breaks: for messages of several lines that we wrote ourselves. */
export function visibleLines(text: string): string {
  return text.split("\n").map(visible).join("\n");
}

const COMMAND =
  /(^|["\s])portolan (?=(?:(?:plan|job|scanner|services?|region|host|group|range|range-group|exclude|known|token|config|change|certificate|ledger|backup|nats|completion|import|export|deny|webhook) |changes\b|diff |doctor\b|restore ))/g;

/** Messages write commands as `portolan job ls`; the reader gets them with the name by which the program was called, to copy as they stand. */
export function asCalled(text: string, env: Readonly<Record<string, string | undefined>>): string {
  const name = env["PORTOLAN_CALLED_AS"];
  return name === undefined ? text : text.replace(COMMAND, (_, before: string) => `${before}${visible(name)} `);
}

const UNITS_S: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** Seconds of a duration as people write it: `90s`, `15m`, `6h`, `1d`, `2w`, `1h30m`. Null when it is none. */
export function durationS(text: string): number | null {
  if (!/^(\d{1,8}[smhdw])+$/.test(text)) return null;
  const seconds = [...text.matchAll(/(\d+)([smhdw])/g)].reduce(
    (sum, [, count, unit]) => sum + Number(count) * (UNITS_S[unit ?? ""] ?? 0),
    0,
  );
  return seconds > 0 ? seconds : null;
}
