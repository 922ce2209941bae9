import { resolve } from "node:path";
import type { Command } from "commander";
import { z } from "zod";
import { PortolanError } from "../../core/errors.ts";
import { callControl } from "../../local/control.ts";
import { promoteStopped } from "../../local/promote-stopped.ts";
import { formatCount } from "../../web/format.ts";
import { DryRun } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";

const DIR_HELP = "data folder of the supervisor on this machine";
const PROMOTE_MS_MAX = 180_000;
const REBUILD_MS_MAX = 180_000;
const LOOK_MS_MAX = 15_000;
const LOOK_EVERY_MS = 500;
const FILL_MS_MAX = 3_600_000;

const PROMOTE_HELP = `
Example:
  portolan region promote us

Moves the registry's primary, where all edits go, to another region. While the old home runs, its edits stop first and nothing is lost.
With the old home dead, the new one goes on with all that had reached it; what had not is kept beside the old home's data.
It works on the machine whose supervisor runs the regions, whether that runs or not. Regions on separate machines: docs/operations.md.`;
const REBUILD_HELP = `
Example:
  portolan region rebuild ap --yes

For a region whose ledger is lost or damaged. The old ledger is set aside, an empty one takes its place with a new log, and the keeper fills
it with the records of the other regions. What only this region held is in the folder that was set aside. Needs --yes.`;

const promotionSchema = z.object({ home: z.string(), was: z.string(), caughtUp: z.boolean(), version: z.int().nullable() });
const rebuildSchema = z.object({ region: z.string(), log: z.string(), setAside: z.string().nullable() });

type Options = { readonly dir: string };

/** `portolan region promote` and `portolan region rebuild`, beside the words that `registerRegion` has made: what only the machine itself can do. */
export function registerRegionMoves(program: Command, session: Session): void {
  const region = program.commands.find((command) => command.name() === "region");
  if (region === undefined) throw new PortolanError("internal", "the command region has to be registered first");
  region
    .command("promote <name>")
    .description("make a region the registry's home")
    .option("--dir <folder>", DIR_HELP, "data")
    .addHelpText("after", PROMOTE_HELP)
    .action(async (name: string, options: Options) => session.finish(await promoteRegion(session.context(), name, options)));
  region
    .command("rebuild <name>")
    .description("fill a region's ledger anew from its peers")
    .option("--dir <folder>", DIR_HELP, "data")
    .option("--yes", "really do it")
    .option("--no-wait", "do not wait until it is filled")
    .addHelpText("after", REBUILD_HELP)
    .action(async (name: string, options: RebuildOptions) => session.finish(await rebuildRegion(session.context(), name, options)));
}

async function promoteRegion(context: Context, name: string, options: Options): Promise<number> {
  const dir = resolve(context.io.cwd, options.dir);
  if (context.isDryRun) throw new PortolanError("invalid", "promote has no dry run: it asks the supervisor, not the API");
  const answer = await callControl(dir, "promote", { body: { region: name }, timeoutMs: PROMOTE_MS_MAX });
  const done = promotionSchema.parse(answer === null ? await promoteStopped(dir, name) : answer.result);
  const lines = [`Region ${done.home} is the registry's home now${done.was === done.home ? " (as before)" : `, after ${done.was}`}.`];
  if (!done.caughtUp) {
    lines.push(`Region ${done.was} could not be asked: edits of its last moments may be missing; its data is kept beside its registry.`);
  }
  if (answer === null) lines.push("Nothing runs here: it takes effect at the next start.");
  context.output.one(done, lines);
  return EXIT.ok;
}

type RebuildOptions = Options & { readonly yes?: boolean; readonly wait: boolean };

async function rebuildRegion(context: Context, name: string, options: RebuildOptions): Promise<number> {
  if (options.yes !== true) {
    throw new PortolanError(
      "invalid",
      `the ledger of region "${name}" is set aside and filled anew from its peers; say --yes when that is meant`,
    );
  }
  const dir = resolve(context.io.cwd, options.dir);
  if (context.isDryRun) throw new DryRun({ method: "POST", path: "supervisor:rebuild", body: { region: name } });
  const answer = await callControl(dir, "rebuild", { body: { region: name }, timeoutMs: REBUILD_MS_MAX });
  if (answer === null) throw new PortolanError("unavailable", `no supervisor runs in ${dir}; start it, or name its folder with --dir`);
  const begun = rebuildSchema.parse(answer.result);
  const aside = begun.setAside === null ? [] : [`The old ledger is in ${begun.setAside}.`];
  context.output.one(begun, [`Region ${begun.region} begins log ${begun.log}; its keeper fills the ledger from the peers.`, ...aside]);
  return options.wait ? showFilling(context, dir, name) : EXIT.ok;
}

/** Looks until nothing is behind with any peer. */
async function showFilling(context: Context, dir: string, name: string): Promise<number> {
  const deadlineMs = context.io.now() + FILL_MS_MAX;
  let said = "";
  while (!context.io.signal.aborted && context.io.now() < deadlineMs) {
    const answer = await callControl(dir, "filling", { body: { region: name }, timeoutMs: LOOK_MS_MAX });
    const behind = z
      .int()
      .nullable()
      .parse(answer?.result ?? null);
    const text = behind === null ? "waiting for a word of every peer" : `${formatCount(behind)} records behind`;
    if (behind === 0) {
      context.output.note(`Region ${name} holds all that its peers hold.`);
      return EXIT.ok;
    }
    if (text !== said) context.output.note(text);
    said = text;
    await context.io.sleep(LOOK_EVERY_MS);
  }
  return context.io.signal.aborted ? EXIT.interrupted : EXIT.unavailable;
}
