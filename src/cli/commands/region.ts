import type { Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { formatCount, formatWhen, plural } from "../../web/format.ts";
import { allRows, bodyOf, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { factsOf, type FactOptions, withFactOptions } from "./region-facts.ts";

const ADD_EXAMPLES = `
Examples:
  portolan region add us --nats tls://nats.us.example:4222 --api https://us.example --at 39.04,-77.49 --key UABC…
  portolan region add us                 takes a retired region back
  portolan region set us --api https://us.portolan.example

The other regions read its log from --nats and believe what a --key has signed.`;

/** `portolan region …`: the places that hold a ledger and scanners. */
export function registerRegion(program: Command, session: Session): void {
  const region = program.command("region").description("places with a ledger, an API and scanners");
  region
    .command("ls")
    .description("list the regions")
    .action(async () => session.finish(await listRegions(session.context())));
  region
    .command("show <name>")
    .description("everything about one region, as the one that answers sees it")
    .action(async (name: string) => session.finish(await showRegion(session.context(), name)));
  region
    .command("status")
    .description("contact, lag and alarms between the regions; exit code 1 when there is an alarm")
    .action(async () => session.finish(await statusOfRegions(session.context())));
  withFactOptions(region.command("add <name>").description("add a region, or take a retired one back"))
    .addHelpText("after", ADD_EXAMPLES)
    .action(async (name: string, options: FactOptions) => {
      const context = session.context();
      const added = await bodyOf(context.api().v1.regions.$post({ json: { name, ...factsOf(options) } }));
      context.output.one(added, [`Region ${added.name} is ${added.state}.`, ...factLines(added)]);
      session.finish(EXIT.ok);
    });
  withFactOptions(region.command("set <name>").description("change what is known of a region; what is not named stays"))
    .option("--force", "take keys off the list that are not named")
    .addHelpText("after", ADD_EXAMPLES)
    .action(async (name: string, options: FactOptions & { readonly force?: true }) => {
      const context = session.context();
      const facts = factsOf(options);
      if (Object.keys(facts).length === 0)
        throw new PortolanError("invalid", `nothing to change; name a fact of region "${name}", like --at 39.04,-77.49`);
      const changed = await bodyOf(
        context.api().v1.regions[":name"].$patch({ param: { name }, query: options.force === true ? { force: "true" } : {}, json: facts }),
      );
      context.output.one(changed, [`Region ${changed.name}:`, ...factLines(changed)]);
      session.finish(EXIT.ok);
    });
  region
    .command("remove <name>")
    .alias("rm")
    .description("retire a region; what it found stays, and so do its keys")
    .option("--force", "also when it has scanners or is the only home of a plan: these are disabled")
    .action(async (name: string, options: { readonly force?: true }) => {
      const context = session.context();
      const query = options.force === true ? { force: "true" as const } : {};
      const retired = await bodyOf(context.api().v1.regions[":name"].$delete({ param: { name }, query }));
      context.output.one(retired, [
        `Region ${retired.name} is retired; its findings stay. Take it back with: portolan region add ${retired.name}`,
      ]);
      session.finish(EXIT.ok);
    });
}

/** The region whose API answers. Throws `not-found` when the registry knows none. */
export async function answeringRegion(api: Api): Promise<string> {
  const regions = await readRegions(api);
  const region = regions.find((candidate) => candidate.answering) ?? regions[0];
  if (region === undefined) throw new PortolanError("not-found", 'there is no region yet; "npm start" makes the first one');
  return region.name;
}

type Region = Awaited<ReturnType<typeof readRegions>>[number];

async function readRegions(api: Api) {
  return allRows((cursor) => bodyOf(api.v1.regions.$get({ query: cursor === undefined ? {} : { cursor } })));
}

const EMPTY = 'No region yet; "npm start" makes the first one.';

async function listRegions(context: Context): Promise<number> {
  const regions = await readRegions(context.api());
  context.output.list(regions, {
    columns: [
      { title: "region", value: (region) => region.name },
      { title: "state", value: (region) => region.state, tone: ({ state }) => (state === "active" ? "good" : "quiet") },
      { title: "scanners", value: (region) => String(region.scanners), isNumber: true },
      { title: "api", value: (region) => region.apiUrl ?? "" },
      { title: "", value: notesOf },
    ],
    empty: EMPTY,
  });
  return EXIT.ok;
}

function notesOf({ answering, home }: Region): string {
  return [...(answering ? ["answers here"] : []), ...(home ? ["holds the registry"] : [])].join(", ");
}

async function statusOfRegions(context: Context): Promise<number> {
  const regions = await readRegions(context.api());
  const nowMs = context.io.now();
  const when = (timeMs: number | null | undefined): string => (typeof timeMs === "number" ? formatWhen(timeMs, nowMs) : "never");
  context.output.list(regions, {
    columns: [
      { title: "region", value: (region) => region.name },
      { title: "state", value: (region) => region.state, tone: ({ state }) => (state === "active" ? "good" : "quiet") },
      { title: "contact", value: ({ answering, live }) => (answering ? "answers here" : when(live?.contactMs)) },
      { title: "behind", value: ({ live }) => (live === null ? "" : formatCount(live.behind)), isNumber: true },
      { title: "proven equal", value: ({ answering, live }) => (answering ? "" : when(live?.equalAtMs)) },
      { title: "alarm", value: ({ live }) => live?.alarm ?? "", tone: () => "bad" },
    ],
    empty: EMPTY,
  });
  return regions.some(({ live }) => live !== null && live.alarm !== null) ? EXIT.findings : EXIT.ok;
}

async function showRegion(context: Context, name: string): Promise<number> {
  const region = await bodyOf(context.api().v1.regions[":name"].$get({ param: { name } }));
  const { live, logs } = region;
  const nowMs = context.io.now();
  const notes = notesOf(region);
  const seen =
    live === null
      ? []
      : [
          `Last contact: ${live.contactMs === null ? "never" : formatWhen(live.contactMs, nowMs)}, behind by ${plural(live.behind, "record")}`,
          `Last proven equal: ${live.equalAtMs === null ? "never" : formatWhen(live.equalAtMs, nowMs)}`,
          ...(live.alarm === null ? [] : [`Alarm: ${live.alarm}`]),
        ];
  context.output.one(region, [
    `Region ${region.name}: ${region.state}, ${plural(region.scanners, "scanner")}${notes === "" ? "" : `, ${notes}`}`,
    ...factLines(region),
    ...seen,
    ...logs.map(
      ({ log, prefix, highest }) => `Log ${log.slice(0, 12)}: held up to ${prefix}${highest > prefix ? `, hole before ${highest}` : ""}`,
    ),
  ]);
  return EXIT.ok;
}

function factLines({ natsUrl, apiUrl, keeperPublicKeys, latitude, longitude }: Omit<Region, "scanners">): string[] {
  return [
    ...(natsUrl === null ? [] : [`Message server: ${natsUrl}`]),
    ...(apiUrl === null ? [] : [`API: ${apiUrl}`]),
    ...(latitude === null || longitude === null ? [] : [`Place: ${latitude}, ${longitude}`]),
    ...keeperPublicKeys.map((key) => `Keeper key: ${key}`),
  ];
}
