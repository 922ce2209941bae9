import { basename, resolve } from "node:path";
import { type Command, Option } from "commander";
import { createImporter, IMPORT_FORMATS, type ImportFormat } from "../../core/import/importer.ts";
import type { ImportCounts } from "../../core/import/tally.ts";
import { formatCount, plural } from "../../web/format.ts";
import type { Context, Session } from "../context.ts";
import { openImport } from "../import-file.ts";
import { EXIT } from "../io.ts";
import { createSender } from "../upload.ts";
import { registerLegacyDb } from "./import-legacy-db.ts";

const HELP = `
Reads masscan's -oJ (also broken or cut ones), -oD, -oL, -oX and -oB, nmap's XML, and lines like 192.0.2.1:443. What is imported can open a
service and never close one: only jobs of Portolan's own scanners prove that something is closed. The same file a second time changes nothing.

  portolan import scan.json --dry-run
  portolan import scan.json --source old-server`;

type Options = { readonly format?: ImportFormat | "binary"; readonly source?: string; readonly region?: string };

/** `portolan import …`: results of other programs. */
export function registerImport(program: Command, session: Session): void {
  const command = program
    .command("import [file]")
    .description("take results of masscan, nmap or other programs into the register")
    .addOption(new Option("--format <format>", "default: told from the file").choices([...IMPORT_FORMATS, "binary"]))
    .option("--source <name>", "who saw it (default: the file's name)")
    .option("--region <name>", "the region that takes it (default: the nearest)")
    .addHelpText("after", HELP)
    .action(async (file: string | undefined, options: Options) => {
      if (file === undefined) return command.help({ error: true });
      return session.finish(await importFile(session.context(), file, options));
    });
  registerLegacyDb(command, session);
}

async function importFile(context: Context, file: string, options: Options): Promise<number> {
  const path = resolve(context.io.cwd, file);
  const { format, atS, text } = openImport(path, options.format ?? null);
  const source = options.source ?? basename(path).slice(0, 100);
  const sender = context.isDryRun ? null : createSender(context, { source, region: options.region });
  const importer = createImporter({ format, defaultAtS: atS, onSighting: (sighting) => sender?.add(sighting) });
  for await (const piece of text) {
    importer.push(piece);
    await sender?.flush();
  }
  importer.end();
  await sender?.finish();
  const counts = importer.counts();
  context.output.one({ file: path, format, source, dryRun: context.isDryRun, ...counts }, linesOf(counts, context.isDryRun));
  return counts.refused === 0 ? EXIT.ok : EXIT.partial;
}

function linesOf({ read, sightings, notOpen, banners, refused, reasons, examples }: ImportCounts, isDryRun: boolean): string[] {
  const verb = isDryRun ? "would be imported" : "imported";
  return [
    `${plural(read, "entry", "entries")} read: ${formatCount(sightings)} open ports ${verb}, ${formatCount(notOpen)} not open, ${formatCount(banners)} banners, ${formatCount(refused)} refused.`,
    ...Object.entries(reasons).map(([reason, count]) => `  ${formatCount(count)} × ${reason}`),
    ...examples.slice(0, 5).map(({ line, reason }) => `  line ${line}: ${reason}`),
  ];
}
