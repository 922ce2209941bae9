import type { Io } from "./io.ts";
import { asCalled, visible, visibleLines } from "./text.ts";

export type Tone = "good" | "warn" | "bad" | "quiet";

/** One column of a table; `value` may hold anything, it is escaped here. */
export type Column<T> = {
  readonly title: string;
  readonly value: (row: T) => string;
  readonly isNumber?: boolean;
  readonly tone?: (row: T) => Tone | null;
};

export type Format = "table" | "json" | "ndjson";

const COLOURS: Readonly<Record<Tone, string>> = { good: "\x1b[32m", warn: "\x1b[33m", bad: "\x1b[31m", quiet: "\x1b[2m" };

/** Where results go: data to stdout in the format that was asked for, all else to stderr. */
export type Output = {
  readonly format: Format;
  /** A list. As JSON it is one document `{ items, next_cursor }`, as NDJSON one line for each row. */
  list<T>(
    rows: readonly T[],
    options: { readonly columns: readonly Column<T>[]; readonly empty: string; readonly next?: string | null },
  ): void;
  /** One thing: the document for programs, the lines for people. */
  one(document: unknown, lines: readonly string[]): void;
  /** For the person in front of it; left out with --quiet. */
  note(text: string): void;
};

export function createOutput(io: Io, options: { readonly format: Format; readonly isQuiet: boolean; readonly color: ColorChoice }): Output {
  const { format, isQuiet, color } = options;
  const paintsData = format === "table" && usesColour(io, { color, isTTY: io.stdout.isTTY });
  return {
    format,
    list: (rows, { columns, empty, next = null }) => {
      if (format === "json") return io.stdout.write(`${JSON.stringify({ items: rows, next_cursor: next })}\n`);
      if (format === "ndjson") return rows.forEach((row) => io.stdout.write(`${JSON.stringify(row)}\n`));
      if (rows.length === 0) {
        if (!isQuiet && empty !== "") io.stderr.write(`${asCalled(empty, io.env)}\n`);
        return undefined;
      }
      for (const line of tableLines(rows, { columns, paints: paintsData })) io.stdout.write(`${line}\n`);
      if (next !== null && !isQuiet) io.stderr.write("More follow; --all lists everything.\n");
      return undefined;
    },
    one: (document, lines) => {
      if (format !== "table") return io.stdout.write(`${JSON.stringify(document)}\n`);
      for (const line of lines) io.stdout.write(`${visible(line)}\n`);
      return undefined;
    },
    note: (text) => {
      if (!isQuiet) io.stderr.write(`${visibleLines(asCalled(text, io.env))}\n`);
    },
  };
}

export type ColorChoice = "auto" | "always" | "never";

/** NO_COLOR and FORCE_COLOR as their authors meant them; a dumb terminal gets none. */
function usesColour({ env }: Io, { color, isTTY }: { readonly color: ColorChoice; readonly isTTY: boolean }): boolean {
  if (color !== "auto") return color === "always";
  if ((env["NO_COLOR"] ?? "") !== "") return false;
  const forced = env["FORCE_COLOR"];
  if (forced !== undefined) return forced !== "0" && forced !== "false";
  return isTTY && env["TERM"] !== "dumb";
}

function paint(text: string, tone: Tone): string {
  return `${COLOURS[tone]}${text}\x1b[0m`;
}

function tableLines<T>(rows: readonly T[], options: { readonly columns: readonly Column<T>[]; readonly paints: boolean }): string[] {
  const { columns, paints } = options;
  const cells = rows.map((row) => columns.map((column) => visible(column.value(row))));
  const widths = columns.map((column, index) => Math.max(column.title.length, ...cells.map((line) => width(line[index] ?? ""))));
  const align = (text: string, index: number): string => {
    const space = " ".repeat(Math.max(0, (widths[index] ?? 0) - width(text)));
    return columns[index]?.isNumber === true ? space + text : text + space;
  };
  const line = (texts: readonly string[], tones: readonly (Tone | null)[]): string => {
    const aligned = texts.map((text, index) => {
      const tone = tones[index] ?? null;
      return paints && tone !== null ? paint(align(text, index), tone) : align(text, index);
    });
    return aligned.join("  ").trimEnd();
  };
  const header = columns.map((column) => column.title.toUpperCase());
  return [
    line(
      header,
      header.map(() => "quiet"),
    ),
    ...rows.map((row, index) =>
      line(
        cells[index] ?? [],
        columns.map((column) => column.tone?.(row) ?? null),
      ),
    ),
  ];
}

function width(text: string): number {
  return [...text].length;
}

/** Lines `Name   value` with the values below each other. */
export function factLines(facts: readonly (readonly [name: string, value: string])[]): string[] {
  const widest = Math.max(...facts.map(([name]) => name.length));
  return facts.map(([name, value]) => `${name.padEnd(widest)}  ${visible(value)}`.trimEnd());
}
