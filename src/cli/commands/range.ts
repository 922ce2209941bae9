import type { Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { plural } from "../../web/format.ts";
import { collectRanges, readRanges } from "../arguments.ts";
import { allRows, bodyOf, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { registerBulk } from "./bulk.ts";

const EXAMPLES = `
Examples:
  portolan range add dmz 192.0.2.0/25 192.0.2.200-192.0.2.210 2001:db8:1::/120
  portolan range add dmz --file ranges.txt
  portolan range ls dmz
  portolan range rm dmz 192.0.2.0/25        one range
  portolan range rm dmz                     the whole group

The built-in group @scanners holds the addresses of all scanners.`;

/** `portolan range-group …`, also `range`: named sets of addresses. */
export function registerRange(program: Command, session: Session): void {
  const range = program.command("range-group").alias("range").description("named sets of addresses").addHelpText("after", EXAMPLES);
  range
    .command("add <group> [ranges...]")
    .description("add ranges to a range group, which is made if it is not there")
    .option("--file <file>", "ranges from a file, one a line; # begins a comment")
    .option("--allow-special-purpose", "a new group may hold private and other special-purpose blocks that plans are to scan")
    .action(async (group: string, ranges: readonly string[], options: AddOptions) =>
      session.finish(
        await addRanges(
          session.context(),
          { name: group, ranges: [...check(ranges), ...(options.file === undefined ? [] : readRanges(options.file))] },
          options,
        ),
      ),
    );
  range
    .command("ls [group]")
    .description("list the range groups, or the ranges of one")
    .action(async (group: string | undefined) => session.finish(await listRanges(session.context(), group)));
  range
    .command("rm <group> [ranges...]")
    .description("remove ranges from a group, or the whole group")
    .action(async (group: string, ranges: readonly string[]) =>
      session.finish(await removeRanges(session.context(), group, check(ranges))),
    );
  registerBulk(range, "range-groups", session);
}

function check(ranges: readonly string[]): string[] {
  return ranges.reduce<string[]>((all, range) => collectRanges(range, all), []);
}

type AddOptions = { readonly file?: string; readonly allowSpecialPurpose?: boolean };

async function addRanges(
  context: Context,
  { name, ranges }: { readonly name: string; readonly ranges: readonly string[] },
  { allowSpecialPurpose = false }: AddOptions,
): Promise<number> {
  const api = context.api();
  const isThere = (await readGroups(api)).some((group) => group.name === name);
  if (isThere && ranges.length === 0) throw new PortolanError("invalid", `give the ranges to add: portolan range add ${name} 192.0.2.0/24`);
  const group = isThere
    ? await bodyOf(api.v1["range-groups"][":name"].ranges.$post({ param: { name }, json: { ranges: [...ranges] } }))
    : await bodyOf(
        api.v1["range-groups"].$post({ json: { name, ranges: [...ranges], ...(allowSpecialPurpose ? { allowSpecialPurpose } : {}) } }),
      );
  context.output.one(group, [`Range group ${group.name}: ${plural(group.ranges, "range")}, ${group.addresses} addresses.`]);
  return EXIT.ok;
}

async function readGroups(api: Api) {
  return allRows((cursor) => bodyOf(api.v1["range-groups"].$get({ query: cursor === undefined ? {} : { cursor } })));
}

async function listRanges(context: Context, name: string | undefined): Promise<number> {
  const api = context.api();
  if (name === undefined) {
    context.output.list(await readGroups(api), {
      columns: [
        { title: "range group", value: (group) => group.name },
        { title: "ranges", value: (group) => String(group.ranges), isNumber: true },
        { title: "addresses", value: (group) => group.addresses, isNumber: true },
        { title: "plans", value: (group) => group.plans.join(", ") },
      ],
      empty: "No range group yet. Make one: portolan range add office 192.0.2.0/24",
    });
    return EXIT.ok;
  }
  const ranges = await allRows((cursor) =>
    bodyOf(
      api.v1["range-groups"][":name"].ranges.$get({
        param: { name },
        query: { limit: "1000", ...(cursor === undefined ? {} : { cursor }) },
      }),
    ),
  );
  context.output.list(ranges, {
    columns: [
      { title: "range", value: (entry) => entry.range },
      { title: "as typed", value: (entry) => (entry.text === entry.range ? "" : entry.text) },
    ],
    empty: `Range group ${name} is empty.`,
  });
  return EXIT.ok;
}

async function removeRanges(context: Context, name: string, ranges: readonly string[]): Promise<number> {
  const group = context.api().v1["range-groups"][":name"];
  if (ranges.length === 0) {
    const gone = await bodyOf(group.$delete({ param: { name } }));
    context.output.one(gone, [`Range group ${gone.deleted} is deleted.`]);
    return EXIT.ok;
  }
  const left = await bodyOf(group.ranges.$delete({ param: { name }, query: { range: [...ranges] } }));
  context.output.one(left, [`Range group ${left.name} has ${plural(left.ranges, "range")} left.`]);
  return EXIT.ok;
}
