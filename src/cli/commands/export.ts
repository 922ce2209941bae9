import { open, rename, rm } from "node:fs/promises";
import { once } from "node:events";
import { basename, dirname, join, resolve } from "node:path";
import { type Command, Option } from "commander";
import { EXPORT_FORMATS, type ExportFormat } from "../../api/export-formats.ts";
import { PortolanError } from "../../core/errors.ts";
import type { Context, Session } from "../context.ts";
import { download } from "../download.ts";
import { EXIT, type Sink } from "../io.ts";
import { FILTER_HELP, filterText } from "./service-filter.ts";

const EXAMPLES = `
Examples:
  portolan export --format csv -o services.csv
  portolan export --format txt group:edge -known:only > targets.txt
  portolan export --format nmap.xml 192.0.2.0/24 -o edge.xml

csv guards against spreadsheet formulas; txt is one address:port a line; a file appears whole or not at all.

${FILTER_HELP}`;

type Options = { readonly format: ExportFormat; readonly output?: string };

/** `portolan export`: the register, or a part of it, as a file. */
export function registerExport(program: Command, session: Session): void {
  program
    .command("export [filter...]")
    .description("all services that a filter matches, as a file")
    .allowUnknownOption()
    .addOption(new Option("--format <name>", "how").choices([...EXPORT_FORMATS]).default("csv"))
    .option("-o, --output <file>", "write there instead of to standard output")
    .addHelpText("after", EXAMPLES)
    .action(async (words: string[], options: Options) =>
      session.finish(await exportServices(session.context(), filterText(words), options)),
    );
}

async function exportServices(context: Context, q: string, { format, output }: Options): Promise<number> {
  const query = q === "" ? "" : `?${new URLSearchParams({ q }).toString()}`;
  const pieces = download(context, `/v1/services.${format}${query}`);
  if (output === undefined || output === "-") {
    await toSink(context.io.stdout, pieces);
    return EXIT.ok;
  }
  const file = resolve(context.io.cwd, output);
  await toFile(file, pieces);
  context.output.note(`Written to ${file}.`);
  return EXIT.ok;
}

async function toSink(sink: Sink, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const utf8 = new TextDecoder();
  for await (const piece of pieces) {
    if (sink.stream === null) sink.write(utf8.decode(piece, { stream: true }));
    else if (!sink.stream.write(piece)) await once(sink.stream, "drain");
  }
}

/** Under another name first: a file that stands there already stays as it is until the new one is whole and on disk. */
async function toFile(file: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  const partial = join(dirname(file), `.${basename(file)}.${process.pid}.part`);
  try {
    const handle = await open(partial, "wx", 0o600);
    try {
      for await (const piece of pieces) await handle.writeFile(piece);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(partial, file);
  } catch (error) {
    await rm(partial, { force: true });
    if (error instanceof PortolanError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? "error";
    throw new PortolanError("invalid", `cannot write ${file} (${code}); check the folder and its rights`, { cause: error });
  }
}
