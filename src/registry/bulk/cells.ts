import { parse } from "csv-parse/browser/esm/sync";
import { stringify } from "csv-stringify/browser/esm/sync";
import { z } from "zod";
import { PortolanError } from "../../core/errors.ts";

/** How a list is written in a file. `txt`: one range a line, as masscan's and nmap's exclude files have it. */
export const BULK_FORMATS = ["csv", "ndjson", "txt"] as const;
export type BulkFormat = (typeof BULK_FORMATS)[number];

/** One entry as texts by column; several values of one cell are separated by spaces. `line` counts from 1. */
export type BulkRow = { readonly line: number; readonly cells: Readonly<Record<string, string>> };

/** A line that is not taken, with the remedy. */
export type Refusal = { readonly line: number; readonly reason: string };

/** What a file holds. */
export type BulkFile = { readonly rows: readonly BulkRow[]; readonly refused: readonly Refusal[] };

/** Rows of one file at most; more come in several. */
const BULK_ROWS_MAX = 50_000;
const CELL_CHARS_MAX = 60_000;
const REASON_CHARS_MAX = 300;

/** Reads a file into rows of the known columns. Never throws: what is wrong is refused with its line. */
export function readBulk(text: string, format: BulkFormat, columns: readonly string[]): BulkFile {
  const read = format === "csv" ? readCsv(text, columns) : format === "ndjson" ? readNdjson(text, columns) : readLines(text);
  if (read.rows.length <= BULK_ROWS_MAX) return read;
  const line = read.rows[BULK_ROWS_MAX]?.line ?? 0;
  return { rows: [], refused: [{ line, reason: `the file has over ${BULK_ROWS_MAX} entries; send it in several pieces` }] };
}

/** Writes rows in a format; `txt` takes the first column only. Spreadsheets find no formula in it. */
export function writeBulk(rows: readonly Readonly<Record<string, string>>[], format: BulkFormat, columns: readonly string[]): string {
  if (format === "csv") return stringify([[...columns], ...rows.map((row) => columns.map((column) => guarded(row[column] ?? "")))]);
  if (format === "ndjson")
    return rows.map((row) => `${JSON.stringify(Object.fromEntries(columns.map((column) => [column, row[column] ?? ""])))}\n`).join("");
  return rows.map((row) => `${row[columns[0] ?? ""] ?? ""}\n`).join("");
}

const FORMULA = /^['=+\-@\t\r]/;

function guarded(cell: string): string {
  return FORMULA.test(cell) ? `'${cell}` : cell;
}

function unguarded(cell: string): string {
  return cell.startsWith("'") && FORMULA.test(cell.slice(1)) ? cell.slice(1) : cell;
}

const recordsSchema = z.array(z.object({ record: z.array(z.string()), info: z.object({ lines: z.int() }) }));

function readCsv(text: string, columns: readonly string[]): BulkFile {
  let records: z.infer<typeof recordsSchema>;
  try {
    records = recordsSchema.parse(
      parse(text, { bom: true, info: true, relax_column_count: true, skip_empty_lines: true, max_record_size: 2 * CELL_CHARS_MAX }),
    );
  } catch (error) {
    return { rows: [], refused: [{ line: lineOf(error), reason: reasonOf(error) }] };
  }
  const [header, ...rest] = records;
  if (header === undefined)
    return { rows: [], refused: [{ line: 1, reason: `the file is empty; its first line names the columns: ${columns.join(",")}` }] };
  const names = header.record.map((name) => columnOf(unguarded(name.trim()), columns));
  const unknown = header.record.find((_, index) => names[index] === undefined);
  if (unknown !== undefined || new Set(names).size < names.length) {
    const what = unknown === undefined ? "a column stands there twice" : `there is no column "${unknown.slice(0, 60)}"`;
    return { rows: [], refused: [{ line: header.info.lines, reason: `${what}; the first line names some of ${columns.join(",")}` }] };
  }
  const file = collect();
  for (const { record, info } of rest) {
    if (record.length > names.length) {
      file.refuse(
        info.lines,
        `it has ${record.length} cells, but the first line names ${names.length} columns; put cells with commas in quotes`,
      );
      continue;
    }
    file.take(info.lines, Object.fromEntries(record.map((cell, index) => [names[index] ?? "", unguarded(cell.trim())])));
  }
  return file;
}

function readNdjson(text: string, columns: readonly string[]): BulkFile {
  const file = collect();
  for (const [index, raw] of text
    .replace(/^\uFEFF/, "")
    .split("\n")
    .entries()) {
    const line = index + 1;
    if (raw.trim() === "") continue;
    try {
      file.take(line, objectCells(JSON.parse(raw), columns));
    } catch (error) {
      file.refuse(line, error instanceof PortolanError ? error.message : "it is no JSON; write one object on each line");
    }
  }
  return file;
}

/** Ranges, several on a line too; what stands after `#` or `;` is a comment, and on a line of its own it holds for the lines below. */
function readLines(text: string): BulkFile {
  const file = collect();
  let heading = "";
  for (const [index, raw] of text
    .replace(/^\uFEFF/, "")
    .split(/\r?\n/)
    .entries()) {
    const at = raw.search(/[#;]/);
    const comment =
      at < 0
        ? ""
        : raw
            .slice(at)
            .replace(/^[#;\s]+/, "")
            .trim();
    const ranges = (at < 0 ? raw : raw.slice(0, at)).split(/[\s,]+/).filter((range) => range !== "");
    if (ranges.length === 0) {
      heading = raw.trim() === "" ? "" : comment;
      continue;
    }
    for (const range of ranges) file.take(index + 1, { range, reason: (comment === "" ? heading : comment).slice(0, 500) });
  }
  return file;
}

function collect() {
  const rows: BulkRow[] = [];
  const refused: Refusal[] = [];
  const refuse = (line: number, reason: string): void => void refused.push({ line, reason: reason.slice(0, REASON_CHARS_MAX) });
  return {
    rows,
    refused,
    refuse,
    take: (line: number, cells: Readonly<Record<string, string>>): void => {
      const long = Object.entries(cells).find(([, cell]) => cell.length > CELL_CHARS_MAX);
      if (long === undefined) rows.push({ line, cells });
      else refuse(line, `its ${long[0]} has over ${CELL_CHARS_MAX} characters; split it`);
    },
  };
}

function objectCells(value: unknown, columns: readonly string[]): Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new PortolanError("invalid", "it is no JSON object; write one object on each line");
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, cell]) => {
      const column = columnOf(name, columns);
      if (column === undefined)
        throw new PortolanError("invalid", `there is no column "${name.slice(0, 60)}"; it is one of ${columns.join(", ")}`);
      return [column, cellText(column, cell)];
    }),
  );
}

function cellText(column: string, cell: unknown): string {
  if (cell === null) return "";
  if (typeof cell === "string") return cell.trim();
  if (typeof cell === "number" || typeof cell === "boolean") return String(cell);
  if (Array.isArray(cell) && cell.every((part) => typeof part === "string" || typeof part === "number")) return cell.join(" ");
  throw new PortolanError("invalid", `${column} is neither text, number, true or false, nor a list of texts`);
}

function columnOf(name: string, columns: readonly string[]): string | undefined {
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[\s_-]/g, "");
  return columns.find((column) => plain(column) === plain(name));
}

function lineOf(error: unknown): number {
  const lines = typeof error === "object" && error !== null && "lines" in error ? error.lines : 1;
  return typeof lines === "number" && lines > 0 ? lines : 1;
}

function reasonOf(error: unknown): string {
  const why = error instanceof Error ? error.message : String(error);
  return `it is no CSV (${why.slice(0, 200)}); put cells with commas, quotes or line ends in quotes`;
}
