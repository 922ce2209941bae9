import { join, resolve } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { PortolanError } from "../../core/errors.ts";
import { type Backup, listBackups, STORES } from "../../local/backup.ts";
import { callControl } from "../../local/control.ts";
import { restoreBackup } from "../../local/restore.ts";
import { readTopology } from "../../local/topology.ts";
import { formatUtc } from "../../web/format.ts";
import { DryRun } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";

const DIR_HELP = "data folder of the supervisor on this machine";
const DUMP_MS_MAX = 3_600_000;
const RESTORE_HELP = `
Stop the region first. The database that is there is set aside, never deleted. What a dump lacks of a ledger, the keeper gets from the peers;
it begins a new log at once. A registry is restored in its home; replicas follow by themselves.

  portolan backup ls
  portolan restore data/backups/ledger-2026-01-31T12-00-00.000Z.sql.zst`;

const backupSchema = z.object({ store: z.enum(STORES), file: z.string(), takenAtMs: z.number(), bytes: z.number() });

type Options = { readonly dir: string; readonly region?: string };

/** `portolan backup …` and `portolan restore`: dumps of this machine's registry and ledgers. */
export function registerBackup(program: Command, session: Session): void {
  const backup = program.command("backup").description("dumps of registry and ledger, made every hour by themselves");
  backup
    .command("now")
    .description("make dumps now")
    .option("--dir <folder>", DIR_HELP, "data")
    .action(async (options: Options) => session.finish(await backupNow(session.context(), options)));
  backup
    .command("ls")
    .description("list the dumps, newest first")
    .option("--dir <folder>", DIR_HELP, "data")
    .action((options: Options) => session.finish(listAll(session.context(), options)));
  program
    .command("restore <file>")
    .description("make a database anew from a dump")
    .option("--dir <folder>", DIR_HELP, "data")
    .option("--region <name>", "which of several regions in that folder")
    .addHelpText("after", RESTORE_HELP)
    .action(async (file: string, options: Options) => session.finish(await restore(session.context(), file, options)));
}

async function backupNow(context: Context, options: Options): Promise<number> {
  const dir = resolve(context.io.cwd, options.dir);
  if (context.isDryRun) throw new DryRun({ method: "POST", path: "supervisor:backup", body: null });
  const answer = await callControl(dir, "backup", { timeoutMs: DUMP_MS_MAX });
  if (answer === null) throw new PortolanError("unavailable", `no supervisor runs in ${dir}; start it, or name its folder with --dir`);
  show(context, z.array(backupSchema).parse(answer.result), "Backups are switched off here.");
  return EXIT.ok;
}

function listAll(context: Context, options: Options): number {
  const dir = resolve(context.io.cwd, options.dir);
  const folders = readTopology(dir)?.regions.map((name) => join(dir, name)) ?? [dir];
  const backups = folders.flatMap((folder) => listBackups(join(folder, "backups"))).toSorted((a, b) => b.takenAtMs - a.takenAtMs);
  show(context, backups, 'No dumps yet; "portolan backup now" makes some.');
  return EXIT.ok;
}

function show(context: Context, backups: readonly Backup[], empty: string): void {
  context.output.list(backups, {
    columns: [
      { title: "taken", value: (backup) => formatUtc(backup.takenAtMs) },
      { title: "store", value: (backup) => backup.store },
      { title: "KiB", value: (backup) => String(Math.ceil(backup.bytes / 1_024)), isNumber: true },
      { title: "file", value: (backup) => backup.file },
    ],
    empty,
  });
}

async function restore(context: Context, file: string, options: Options): Promise<number> {
  if (context.isDryRun)
    throw new PortolanError("invalid", "restore has no dry run; it sets the old data aside, so it can be undone by hand");
  const top = resolve(context.io.cwd, options.dir);
  const topology = readTopology(top);
  const dir = topology === null ? top : join(top, regionOf(topology.regions, options.region));
  const input = { file: resolve(context.io.cwd, file), dir, nowMs: context.io.now() };
  const done = await restoreBackup(topology === null || topology.home === options.region ? input : { ...input, only: "ledger" });
  context.output.one(done, [
    `The ${done.store} in ${done.dir} is made anew from ${file}.`,
    ...(done.setAside === null ? [] : [`What was there before is in ${done.setAside}.`]),
    ...(done.store === "ledger" ? ["Its keeper begins a new log at the next start and gets from the peers what the dump lacks."] : []),
  ]);
  return EXIT.ok;
}

function regionOf(regions: readonly string[], name: string | undefined): string {
  if (name !== undefined && regions.includes(name)) return name;
  throw new PortolanError("invalid", `say which region with --region: ${regions.join(", ")}`);
}
