import { InvalidArgumentError, type Command } from "commander";
import { formatUtc } from "../../web/format.ts";
import { checkPorts, collectRanges } from "../arguments.ts";
import { allRows, bodyOf } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { registerBulk } from "./bulk.ts";
import { registerRuleSet } from "./rule-set.ts";
import { durationS } from "../text.ts";

const EXAMPLES = `
Examples:
  portolan exclude add 192.0.2.17 --reason "fragile controller" --owner "plant team"
  portolan exclude add 192.0.2.0/28 -p 9100 --reason "printers print what they are sent" --owner it --for 30d

Without ports the addresses are never probed at all. Exclusions win over every plan.`;

/** `portolan exclude …`: what is never probed. */
export function registerExclude(program: Command, session: Session): void {
  const exclude = program.command("exclude").description("addresses, or addresses and ports, that are never probed");
  exclude
    .command("add <ranges...>")
    .description("exclude addresses, or ports of them")
    .option("-p, --ports <ports>", "only these ports, like 22,80-90,U:53", checkPorts)
    .requiredOption("--reason <text>", "why")
    .requiredOption("--owner <name>", "who asked for it")
    .option("--for <duration>", "how long it holds, like 12h or 30d (default: for ever)", toSeconds)
    .addHelpText("after", EXAMPLES)
    .action(async (ranges: readonly string[], options: AddOptions) =>
      session.finish(await addExclusion(session.context(), ranges, options)),
    );
  exclude
    .command("ls")
    .description("list the exclusions")
    .action(async () => session.finish(await listExclusions(session.context())));
  exclude
    .command("rm <id>")
    .description("delete an exclusion: from the next job on it may be probed again")
    .action(async (id: string) => {
      const context = session.context();
      const gone = await bodyOf(context.api().v1.exclusions[":id"].$delete({ param: { id } }));
      context.output.one(gone, [`Exclusion ${gone.deleted} is deleted; from the next job on it may be probed again.`]);
      session.finish(EXIT.ok);
    });
  registerBulk(exclude, "exclusions", session);
  registerRuleSet(exclude, session, async (context, id, changes) => {
    const rule = await bodyOf(context.api().v1.exclusions[":id"].$patch({ param: { id }, json: changes }));
    context.output.one(rule, [
      `Exclusion ${rule.id}: ${rule.ports === null ? "" : `ports ${rule.ports} of `}${rule.ranges.join(", ")} will not be probed.`,
    ]);
    return EXIT.ok;
  });
}

type AddOptions = { readonly ports?: string; readonly reason: string; readonly owner: string; readonly for?: number };

async function addExclusion(context: Context, given: readonly string[], options: AddOptions): Promise<number> {
  const ranges = given.reduce<string[]>((all, range) => collectRanges(range, all), []);
  const expiresAt = options.for === undefined ? null : new Date(context.io.now() + options.for * 1_000).toISOString();
  const exclusion = await bodyOf(
    context
      .api()
      .v1.exclusions.$post({ json: { ranges, ports: options.ports ?? null, reason: options.reason, owner: options.owner, expiresAt } }),
  );
  const what = exclusion.ports === null ? exclusion.ranges.join(", ") : `ports ${exclusion.ports} of ${exclusion.ranges.join(", ")}`;
  context.output.one(exclusion, [`Exclusion ${exclusion.id}: ${what} will not be probed.`]);
  return EXIT.ok;
}

async function listExclusions(context: Context): Promise<number> {
  const api = context.api();
  const exclusions = await allRows((cursor) => bodyOf(api.v1.exclusions.$get({ query: cursor === undefined ? {} : { cursor } })));
  context.output.list(exclusions, {
    columns: [
      { title: "id", value: (row) => row.id },
      { title: "addresses", value: (row) => row.ranges.join(", ") },
      { title: "ports", value: (row) => row.ports ?? "all" },
      { title: "owner", value: (row) => row.owner },
      { title: "reason", value: (row) => row.reason },
      {
        title: "until",
        value: (row) => (row.expiresAtMs === null ? "" : formatUtc(row.expiresAtMs)),
        tone: (row) => (row.expired ? "quiet" : null),
      },
      { title: "", value: (row) => (row.expired ? "expired" : "") },
    ],
    empty: "Nothing is excluded.",
  });
  return EXIT.ok;
}

function toSeconds(text: string): number {
  const seconds = durationS(text);
  if (seconds === null) throw new InvalidArgumentError("write it like 12h or 30d.");
  return seconds;
}
