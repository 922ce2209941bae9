import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { plural } from "../../web/format.ts";
import { bodyOf, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { download } from "../download.ts";
import { EXIT } from "../io.ts";

type List = "range-groups" | "exclusions" | "known-good" | "scanners" | "groups" | "plans";
type Format = "csv" | "ndjson" | "txt";
type ImportOptions = {
  readonly format?: string;
  readonly replace?: true;
  readonly into?: string;
  readonly owner?: string;
  readonly reason?: string;
};

const FORMATS: readonly Format[] = ["csv", "ndjson", "txt"];
const TYPES: Readonly<Record<Format, string>> = { csv: "text/csv", ndjson: "application/x-ndjson", txt: "text/plain" };
const FILE_BYTES_MAX = 2 * 1024 * 1024;
const SHOWN_MAX = 20;

/** `… import FILE` and `… export` of one list. */
export function registerBulk(noun: Command, list: List, session: Session): void {
  const hasOwner = list === "exclusions" || list === "known-good";
  const importing = noun
    .command("import <file>")
    .description("take the list from a file (CSV, NDJSON, or plain ranges); with --dry-run only tell what would change")
    .option("--format <format>", `${FORMATS.join(", ")} (default: by the file's name)`)
    .option("--replace", "also remove what the file does not name");
  importing.addHelpText("after", () => importExamples(noun.name(), list));
  if (list === "range-groups") importing.option("--into <group>", "range group of lines that name none");
  if (hasOwner)
    importing.option("--owner <name>", "owner of lines that name none").option("--reason <text>", "reason of lines that name none");
  importing.action(async (file: string, options: ImportOptions) =>
    session.finish(await importFile(session.context(), list, { file, options })),
  );
  const exporting = noun
    .command("export")
    .description("write the list to standard output")
    .option("--format <format>", FORMATS.join(", "), "csv");
  exporting.addHelpText("after", `\nExample:\n  portolan ${noun.name()} export --format ndjson > ${list}.ndjson`);
  if (list === "range-groups") exporting.option("--only <group>", "this range group only");
  exporting.action(async (options: { readonly format: string; readonly only?: string }) => {
    const context = session.context();
    const query = options.only === undefined ? "" : `?group=${encodeURIComponent(options.only)}`;
    const decoder = new TextDecoder();
    for await (const piece of download(context, `/v1/${list}.${formatOf(options.format)}${query}`)) {
      context.io.stdout.write(decoder.decode(piece, { stream: true }));
    }
    session.finish(EXIT.ok);
  });
}

function importExamples(noun: string, list: List): string {
  const more = list === "range-groups" ? " --into office" : "";
  return `
Examples:
  portolan ${noun} import ${list}.csv${more} --dry-run      only tell what would change
  portolan ${noun} import ${list}.csv${more} --replace      make the list exactly what the file says

The columns are those of "portolan ${noun} export". A line that is refused refuses the whole file.`;
}

async function importFile(context: Context, list: List, { file, options }: { file: string; options: ImportOptions }): Promise<number> {
  const format = options.format === undefined ? guessFormat(file) : formatOf(options.format);
  const text = readText(file);
  const query = {
    format,
    dryRun: context.isDryRun ? ("true" as const) : ("false" as const),
    mode: options.replace === true ? ("replace" as const) : ("add" as const),
    ...(options.into === undefined ? {} : { group: options.into }),
    ...(options.owner === undefined ? {} : { owner: options.owner }),
    ...(options.reason === undefined ? {} : { reason: options.reason }),
  };
  // A rehearsal asks the API what would happen: it is sent.
  const api = context.api({ sendsAnyway: true });
  const init = { init: { body: text, headers: { "content-type": TYPES[format] } } };
  const diff = await send(api, list, query, init);
  const { added, changed, removed, unchanged, refused } = diff;
  const verb = diff.written ? "" : "would be ";
  const lines = [
    `${added.length} ${verb}added, ${changed.length} ${verb}changed, ${removed.length} ${verb}removed, ${unchanged} unchanged, ${plural(refused.length, "line")} refused.`,
    ...shown("+", added),
    ...shown("~", changed),
    ...shown("-", removed),
    ...refused.slice(0, SHOWN_MAX).map(({ line, reason }) => (line === 0 ? `! ${reason}` : `! line ${line}: ${reason}`)),
  ];
  context.output.one(diff, lines);
  return refused.length > 0 ? EXIT.usage : EXIT.ok;
}

type Query = {
  readonly format: Format;
  readonly dryRun: "true" | "false";
  readonly mode: "add" | "replace";
  readonly group?: string;
  readonly owner?: string;
  readonly reason?: string;
};

async function send(api: Api, list: List, query: Query, init: object) {
  return bodyOf(api.v1[list].import.$post({ query }, init));
}

function shown(mark: string, keys: readonly string[]): string[] {
  const rest = keys.length - SHOWN_MAX;
  return [...keys.slice(0, SHOWN_MAX).map((key) => `${mark} ${key}`), ...(rest > 0 ? [`${mark} and ${rest} more`] : [])];
}

function guessFormat(file: string): Format {
  if (/\.(nd)?jsonl?$/i.test(file)) return "ndjson";
  return /\.csv$/i.test(file) ? "csv" : "txt";
}

function formatOf(text: string): Format {
  const format = FORMATS.find((known) => known === text);
  if (format !== undefined) return format;
  throw new PortolanError("invalid", `"${text}" is no format of a list; it is one of ${FORMATS.join(", ")}`);
}

/** The text of a file; `-` is standard input. */
function readText(file: string): string {
  let text: string;
  try {
    text = readFileSync(file === "-" ? 0 : file, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    throw new PortolanError("invalid", `cannot read ${file} (${code}); check the path`, { cause: error });
  }
  if (Buffer.byteLength(text) <= FILE_BYTES_MAX) return text;
  throw new PortolanError("too-large", `${file} has over ${FILE_BYTES_MAX / 1024 / 1024} MiB; split it`);
}
