import type { Command } from "commander";
import { formatUtc, shortId } from "../../web/format.ts";
import { PortolanError } from "../../core/errors.ts";
import { checkDuration, checkPorts, collectRanges } from "../arguments.ts";
import { allRows, bodyOf, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";

const EXAMPLES = `
Examples:
  portolan deny add 192.0.2.17 --reason "abuse report 4711"
  portolan deny add 192.0.2.0/28 -p 9100 --reason "printers run out of paper" --for 12h
  portolan deny lift 3f9c0a1b2d4e --reason "settled with the owner"

A deny is for emergencies: it works in every region, without the registry, and also on jobs that run.
For what is never to be probed, add an exclusion as well: portolan exclude add`;

/** `portolan deny …`: what nobody may probe from now on. */
export function registerDeny(program: Command, session: Session): void {
  const deny = program.command("deny").description("emergencies: what nobody may probe from now on");
  deny
    .command("add <ranges...>")
    .description("deny addresses, or ports of them, at once and everywhere")
    .option("-p, --ports <ports>", "only these ports, like 22,80-90,U:53", checkPorts)
    .requiredOption("--reason <text>", "why")
    .option("--for <duration>", "how long it holds, like 12h or 30d (default: until it is lifted)", checkDuration)
    .addHelpText("after", EXAMPLES)
    .action(async (ranges: readonly string[], options: AddOptions) => session.finish(await addDeny(session.context(), ranges, options)));
  deny
    .command("ls")
    .description("list what is denied")
    .option("--all", "also what has ended")
    .action(async (options: { readonly all?: boolean }) => session.finish(await listDenies(session.context(), options.all === true)));
  deny
    .command("lift <id>")
    .description("end a deny; the beginning of its id is enough")
    .requiredOption("--reason <text>", "why")
    .action(async (id: string, { reason }: { readonly reason: string }) => {
      const context = session.context();
      const api = context.api();
      const lifted = await bodyOf(api.v1.deny[":id"].lift.$post({ param: { id: await wholeId(api, id) }, json: { reason } }));
      context.output.one(lifted, [`Deny ${shortId(lifted.id)} of ${lifted.ranges.join(", ")} has ended.`]);
      session.finish(EXIT.ok);
    });
}

type AddOptions = { readonly ports?: string; readonly reason: string; readonly for?: string };
type Deny = Awaited<ReturnType<typeof allDenies>>[number];

async function addDeny(context: Context, given: readonly string[], options: AddOptions): Promise<number> {
  const ranges = given.reduce<string[]>((all, range) => collectRanges(range, all), []);
  const deny = await bodyOf(
    context.api().v1.deny.$post({ json: { ranges, ports: options.ports ?? null, reason: options.reason, for: options.for ?? null } }),
  );
  context.output.one(deny, [`Deny ${shortId(deny.id)}: ${whatOf(deny)} is not probed any more, from this moment on.`]);
  return EXIT.ok;
}

function whatOf({ ranges, ports }: Deny): string {
  return ports === null ? ranges.join(", ") : `ports ${ports} of ${ranges.join(", ")}`;
}

async function allDenies(api: Api, state: "all" | "in-force") {
  return allRows((cursor) => bodyOf(api.v1.deny.$get({ query: { state, ...(cursor === undefined ? {} : { cursor }) } })));
}

async function listDenies(context: Context, all: boolean): Promise<number> {
  context.output.list(await allDenies(context.api(), all ? "all" : "in-force"), {
    columns: [
      { title: "id", value: (row) => shortId(row.id) },
      { title: "addresses", value: (row) => row.ranges.join(", ") },
      { title: "ports", value: (row) => row.ports ?? "all" },
      { title: "by", value: (row) => row.by },
      { title: "reason", value: (row) => row.reason },
      { title: "since", value: (row) => formatUtc(row.atMs) },
      { title: "until", value: (row) => (row.expiresAtMs === null ? "" : formatUtc(row.expiresAtMs)) },
      { title: "", value: (row) => (row.lifted !== null ? `lifted by ${row.lifted.by}` : row.inForce ? "" : "ended") },
    ],
    empty: "Nothing is denied.",
  });
  return EXIT.ok;
}

async function wholeId(api: Api, start: string): Promise<string> {
  if (/^[0-9a-f]{64}$/.test(start)) return start;
  const matches = (await allDenies(api, "all")).filter(({ id }) => id.startsWith(start));
  const [only] = matches;
  if (only !== undefined && matches.length === 1) return only.id;
  const problem = only === undefined ? `there is no deny ${start}` : `${matches.length} denies begin with ${start}`;
  throw new PortolanError(only === undefined ? "not-found" : "invalid", `${problem}; "portolan deny ls --all" lists them`);
}
