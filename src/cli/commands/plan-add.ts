import { InvalidArgumentError, type Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { shortId } from "../../web/format.ts";
import { checkDuration, checkEngine, checkPorts, collect, collectCanary, collectRanges, readRanges, wholeNumber } from "../arguments.ts";
import { bodyOf, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { showPreview } from "./plan-preview.ts";
import { SCANNER_ADDRESSES } from "../../registry/types.ts";
import { runningJob, startJob, summaryOf, type Plan } from "./plan-common.ts";
import { answeringRegion } from "./region.ts";

const ADD_EXAMPLES = `
Examples:
  portolan plan add office --range 192.0.2.0/24 -p 1-1024 --every 6h
  portolan plan add edge --range 198.51.100.0/24 --range 2001:db8:1::/120 -p 22,80,443,U:53 --every 1d --rate 5000
  portolan plan add --template scanners            what is open on the scanners themselves, but for known-good ports
  portolan plan add office --range 192.0.2.0/24 -p 1-1024 --dry-run     size, time and packets per network; nothing is saved
  portolan plan add dmz --include dmz-ranges --exclude printers -p 1-65535 --group frankfurt --no-start

Ports are written as nmap and masscan do; U: stands before each UDP port or run of them.
A first job starts at once. "portolan job watch" follows it.`;

type AddOptions = {
  readonly range: readonly string[];
  readonly rangeFile?: string;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly ports?: string;
  readonly template?: "scanners";
  readonly every?: string;
  readonly cron?: string;
  readonly timeZone?: string;
  readonly rate?: number;
  readonly retries?: number;
  readonly group?: string;
  readonly engine?: "auto" | "masscan" | "connect";
  readonly deadline?: string;
  readonly closeAfter?: number;
  readonly confirm: boolean;
  readonly home: readonly string[];
  readonly takeoverAfter?: string;
  readonly canary: readonly { address: string; port: number }[];
  readonly start: boolean;
};

/** `portolan plan add`: one command from nothing to a running scan. */
export function registerPlanAdd(plan: Command, session: Session): void {
  plan
    .command("add [name]")
    .description("make a plan and start its first job")
    .option("-p, --ports <ports>", "ports, like 22,80-90,443,U:53", checkPorts)
    .option(
      "--template <template>",
      "ready plan, to which other options add; scanners: all ports of all scanners, once a day",
      checkTemplate,
    )
    .option("-r, --range <range>", "CIDR, first-last or address; repeat it, or separate with commas", collectRanges, [])
    .option("--range-file <file>", "ranges from a file, one a line; # begins a comment")
    .option("--include <group>", "range group to scan; may be repeated", collect, [])
    .option("--exclude <group>", "range group to leave out; may be repeated", collect, [])
    .option("--every <duration>", "repeat, like 90m, 6h, 1d; without it only on request", checkDuration)
    .option("--cron <pattern>", 'five fields, like "30 3 * * 1-5", instead of --every')
    .option("--time-zone <zone>", "time zone of the pattern, like Europe/Berlin (default: UTC)")
    .option("--rate <pps>", "packets per second of each scanner", wholeNumber)
    .option("--retries <count>", "how often masscan repeats an unanswered probe", wholeNumber)
    .option("--group <group>", "scanner group that shares the work (default: @all)")
    .option("--engine <engine>", "auto, masscan or connect", checkEngine)
    .option("--deadline <duration>", "end a job after this time, complete or not", checkDuration)
    .option("--close-after <misses>", "complete looks in sequence that must miss a port before it closes", wholeNumber)
    .option("--no-confirm", "close a port without a probe that confirms it")
    .option(
      "--home <region>",
      "region whose keeper plans the jobs (default: the one that answers); repeated: the next one takes over",
      collect,
      [],
    )
    .option("--takeover-after <duration>", "how long nothing may come from a home before the next one plans (default: 15m)", checkDuration)
    .option("--canary <address:port>", "port known to be open; a scanner that cannot reach it is blind; may be repeated", collectCanary, [])
    .option("--no-start", "do not start a first job now")
    .addHelpText("after", ADD_EXAMPLES)
    .action(async (name: string | undefined, options: AddOptions) => session.finish(await addPlan(session.context(), name, options)));
}

/** Who scans is a target as well: what its owner expects there is known-good, anything else is news. */
const SCANNERS_TEMPLATE = { name: "scanners", include: [SCANNER_ADDRESSES], ports: "1-65535", every: "1d", rateLimitPps: 500 };

function checkTemplate(text: string): "scanners" {
  if (text === "scanners") return text;
  throw new InvalidArgumentError("the one ready plan is: scanners.");
}

async function addPlan(context: Context, givenName: string | undefined, given: AddOptions): Promise<number> {
  const template = given.template === undefined ? null : SCANNERS_TEMPLATE;
  const name = givenName ?? template?.name;
  const ports = given.ports ?? template?.ports;
  if (name === undefined)
    throw new PortolanError("invalid", "give the plan a name: portolan plan add office --range 192.0.2.0/24 -p 1-1024");
  if (ports === undefined) throw new PortolanError("invalid", "give the plan its ports: --ports 22,80-90,443,U:53");
  const options: AddOptions = { ...given, include: [...new Set([...(template?.include ?? []), ...given.include])] };
  const ranges = [...options.range, ...(options.rangeFile === undefined ? [] : readRanges(options.rangeFile))];
  if (ranges.length === 0 && options.include.length === 0) {
    throw new PortolanError(
      "invalid",
      "a plan needs something to scan; give --range 192.0.2.0/24, or --include with the name of a range group",
    );
  }
  const api = context.api();
  const rhythm = template === null || options.cron !== undefined ? {} : { every: template.every };
  const json = {
    ...(template === null ? {} : { ...rhythm, rateLimitPps: template.rateLimitPps }),
    name,
    ranges,
    include: [...options.include],
    exclude: [...options.exclude],
    ports,
    homes: options.home.length > 0 ? [...options.home] : [await answeringRegion(api)],
    ...(options.takeoverAfter === undefined ? {} : { takeoverAfter: options.takeoverAfter }),
    canaries: [...options.canary],
    ...pick(options),
  };
  if (context.isDryRun) return showPreview(context, await bodyOf(api.v1.plans.preview.$post({ json })));
  const plan = await bodyOf(api.v1.plans.$post({ json }));
  const lines = [`Plan ${plan.name}: ${summaryOf(plan)}.`];
  if (plan.problem !== null) lines.push(`No job can be planned yet: ${plan.problem}`);
  if (!options.start) {
    context.output.one({ plan, job: null }, lines);
    context.output.note(`Start it with: portolan plan start ${plan.name}`);
    return EXIT.ok;
  }
  const job = await startFirst(context, api, plan);
  context.output.one({ plan, job }, [...lines, `Job ${shortId(job)} has started.`]);
  context.output.note(`Follow it with: portolan job watch ${shortId(job)}`);
  return EXIT.ok;
}

function pick(options: AddOptions) {
  return {
    ...(options.every === undefined ? {} : { every: options.every }),
    ...(options.cron === undefined ? {} : { cron: options.cron }),
    ...(options.timeZone === undefined ? {} : { timeZone: options.timeZone }),
    ...(options.rate === undefined ? {} : { rateLimitPps: options.rate }),
    ...(options.retries === undefined ? {} : { retries: options.retries }),
    ...(options.group === undefined ? {} : { group: options.group }),
    ...(options.engine === undefined ? {} : { engine: options.engine }),
    ...(options.deadline === undefined ? {} : { deadline: options.deadline }),
    ...(options.confirm ? {} : { confirm: false }),
    ...(options.closeAfter === undefined ? {} : { closeAfter: options.closeAfter }),
  };
}

async function startFirst(context: Context, api: Api, plan: Plan): Promise<string> {
  try {
    return await startJob(api, plan.name);
  } catch (error) {
    if (!(error instanceof PortolanError)) throw error;
    // The keeper may have been faster: a new plan with a rhythm is due at once.
    const running = error.code === "conflict" ? await runningJob(api, plan.name) : undefined;
    if (running !== undefined) return running;
    context.output.note(
      `Plan ${plan.name} is there, but its first job has not started. When that is mended: portolan plan start ${plan.name}`,
    );
    throw error;
  }
}
