import { InvalidArgumentError, type Command } from "commander";
import { allRows, bodyOf } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { registerBulk } from "./bulk.ts";
import type { Column } from "../output.ts";

const EXAMPLES = `
Examples:
  portolan group add frankfurt fra-1 fra-2
  portolan group add pinned fra-1=2 fra-2=1     fra-2 runs shard 1/2, fra-1 shard 2/2
  portolan group member frankfurt --add fra-3
  portolan group member frankfurt --remove fra-1

Members sorted by name get shard 1/n … n/n, unless all of them are pinned. The built-in group @all holds every scanner.`;

type Member = { readonly scanner: string; readonly pinned: number | null };

/** `portolan group …`: scanners that share the shards of a job. */
export function registerGroup(program: Command, session: Session): void {
  const group = program.command("group").description("scanners that share the work of a job").addHelpText("after", EXAMPLES);
  group
    .command("add <name> [scanners...]")
    .description("make a scanner group")
    .action(async (name: string, scanners: readonly string[]) =>
      session.finish(await addGroup(session.context(), name, scanners.map(memberOf))),
    );
  group
    .command("ls")
    .description("list the scanner groups")
    .action(async () => session.finish(await listGroups(session.context())));
  group
    .command("rm <name>")
    .description("delete a scanner group that no plan uses")
    .action(async (name: string) => {
      const context = session.context();
      const gone = await bodyOf(context.api().v1.groups[":name"].$delete({ param: { name } }));
      context.output.one(gone, [`Scanner group ${gone.deleted} is deleted.`]);
      session.finish(EXIT.ok);
    });
  group
    .command("member <name>")
    .description("add or remove one scanner of a group, or list its members")
    .option("--add <scanner>", "scanner, or scanner=place to pin it", memberOf)
    .option("--remove <scanner>", "scanner to take out")
    .addHelpText("after", EXAMPLES)
    .action(async (name: string, options: { readonly add?: Member; readonly remove?: string }) =>
      session.finish(await changeMembers(session.context(), name, options)),
    );
  registerBulk(group, "groups", session);
}

type Group = {
  readonly name: string;
  readonly members: readonly { readonly scanner: string; readonly pinned: number | null; readonly place: number }[];
  readonly plans: readonly string[];
};

async function addGroup(context: Context, name: string, members: readonly Member[]): Promise<number> {
  const group = await bodyOf(context.api().v1.groups.$post({ json: { name, members: [...members] } }));
  context.output.one(group, [`Scanner group ${group.name}: ${placesOf(group)}.`]);
  return EXIT.ok;
}

async function changeMembers(
  context: Context,
  name: string,
  options: { readonly add?: Member; readonly remove?: string },
): Promise<number> {
  const groups = context.api().v1.groups[":name"];
  if (options.add !== undefined) await bodyOf(groups.members.$post({ param: { name }, json: { ...options.add } }));
  if (options.remove !== undefined) await bodyOf(groups.members[":scanner"].$delete({ param: { name, scanner: options.remove } }));
  const group = await bodyOf(groups.$get({ param: { name } }));
  context.output.one(group, [`Scanner group ${group.name}: ${placesOf(group)}.`]);
  return EXIT.ok;
}

async function listGroups(context: Context): Promise<number> {
  const api = context.api();
  const groups = await allRows((cursor) => bodyOf(api.v1.groups.$get({ query: cursor === undefined ? {} : { cursor } })));
  const columns: Column<Group>[] = [
    { title: "group", value: (group) => group.name },
    { title: "shards", value: placesOf },
    { title: "plans", value: (group) => group.plans.join(", ") },
  ];
  context.output.list<Group>(groups, { columns, empty: "" });
  return EXIT.ok;
}

function placesOf({ members }: Pick<Group, "members">): string {
  if (members.length === 0) return "no members";
  return members
    .toSorted((a, b) => a.place - b.place)
    .map(({ scanner, place, pinned }) => `${place}/${members.length} ${scanner}${pinned === null ? "" : " (pinned)"}`)
    .join(", ");
}

function memberOf(text: string): Member {
  const match = /^([^=]+)(?:=(\d{1,4}))?$/.exec(text);
  if (match?.[1] === undefined) throw new InvalidArgumentError("write it like fra-1, or fra-1=2 to pin it to shard 2.");
  return { scanner: match[1], pinned: match[2] === undefined ? null : Number(match[2]) };
}
