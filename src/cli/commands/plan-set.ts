import type { Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { checkDuration, checkEngine, checkPorts, collect, collectCanary, wholeNumber } from "../arguments.ts";
import { bodyOf } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { summaryOf } from "./plan-common.ts";

const EXAMPLES = `
Examples:
  portolan plan set office --close-after 3
  portolan plan set office --every 12h --rate 2000
  portolan plan set office --canary 192.0.2.1:443 --canary 192.0.2.2:22
  portolan plan set office --disabled

What is not named stays as it is. A job that runs keeps the settings it began with. The ranges of a plan are changed in
their range group: portolan range add office 198.51.100.0/24`;

type Canary = { readonly address: string; readonly port: number };
type SetOptions = {
  readonly include?: readonly string[];
  readonly exclude?: readonly string[] | false;
  readonly ports?: string;
  readonly every?: string;
  readonly cron?: string;
  readonly timeZone?: string;
  readonly onRequest?: true;
  readonly rate?: number;
  readonly retries?: number;
  readonly group?: string;
  readonly engine?: "auto" | "masscan" | "connect";
  readonly deadline?: string;
  readonly closeAfter?: number;
  readonly confirm?: boolean;
  readonly home?: readonly string[];
  readonly takeoverAfter?: string;
  readonly canary?: readonly Canary[] | false;
  readonly enabled?: true;
  readonly disabled?: true;
};

/** `portolan plan set`: changes some settings of a plan. */
export function registerPlanSet(plan: Command, session: Session): void {
  plan
    .command("set <name>")
    .description("change settings of a plan")
    .option("-p, --ports <ports>", "ports, like 22,80-90,443,U:53", checkPorts)
    .option("--include <group>", "range group to scan; repeat it: these replace the present ones", collectFrom<string>(collect))
    .option("--exclude <group>", "range group to leave out; repeat it: these replace the present ones", collectFrom<string>(collect))
    .option("--no-exclude", "leave no range group out any more")
    .option("--every <duration>", "repeat, like 90m, 6h, 1d", checkDuration)
    .option("--on-request", "do not repeat any more")
    .option("--cron <pattern>", 'five fields, like "30 3 * * 1-5", instead of --every')
    .option("--time-zone <zone>", "time zone of the pattern, like Europe/Berlin (default: UTC)")
    .option("--rate <pps>", "packets per second of each scanner", wholeNumber)
    .option("--retries <count>", "how often masscan repeats an unanswered probe", wholeNumber)
    .option("--group <group>", "scanner group that shares the work")
    .option("--engine <engine>", "auto, masscan or connect", checkEngine)
    .option("--deadline <duration>", "end a job after this time, complete or not", checkDuration)
    .option("--close-after <misses>", "complete looks in sequence that must miss a port before it closes", wholeNumber)
    .option("--confirm", "close a port only when a probe has confirmed it as well")
    .option("--no-confirm", "close a port without a confirming probe")
    .option(
      "--home <region>",
      "region whose keeper plans the jobs; repeat it for who takes over: these replace the present ones",
      collectFrom<string>(collect),
    )
    .option("--takeover-after <duration>", "how long nothing may come from a home before the next one plans", checkDuration)
    .option(
      "--canary <address:port>",
      "port known to be open; repeat it: these replace the present ones",
      collectFrom<Canary>(collectCanary),
    )
    .option("--no-canary", "no canaries any more")
    .option("--enabled", "start jobs again")
    .option("--disabled", "start no jobs any more")
    .addHelpText("after", EXAMPLES)
    .action(async (name: string, options: SetOptions) => session.finish(await setPlan(session.context(), name, options)));
}

async function setPlan(context: Context, name: string, options: SetOptions): Promise<number> {
  const changes = changesOf(options);
  if (Object.keys(changes).length === 0)
    throw new PortolanError("invalid", `nothing to change; name a setting of plan "${name}", like --close-after 3`);
  const plan = await bodyOf(context.api().v1.plans[":name"].$patch({ param: { name }, json: changes }));
  const lines = [`Plan ${plan.name}, revision ${plan.revision}: ${plan.enabled ? "" : "disabled; "}${summaryOf(plan)}.`];
  if (plan.problem !== null) lines.push(`No job can be planned now: ${plan.problem}`);
  context.output.one(plan, lines);
  return EXIT.ok;
}

function changesOf(options: SetOptions) {
  if (options.enabled === true && options.disabled === true) throw contradiction("--enabled", "--disabled");
  if (options.every !== undefined && options.onRequest === true) throw contradiction("--every", "--on-request");
  return {
    ...(options.ports === undefined ? {} : { ports: options.ports }),
    ...(options.include === undefined ? {} : { include: [...options.include] }),
    ...(options.exclude === undefined ? {} : { exclude: listOf(options.exclude) }),
    ...(options.every === undefined ? {} : { every: options.every }),
    ...(options.cron === undefined ? {} : { cron: options.cron }),
    ...(options.timeZone === undefined ? {} : { timeZone: options.timeZone }),
    ...(options.onRequest === undefined ? {} : { every: null }),
    ...(options.rate === undefined ? {} : { rateLimitPps: options.rate }),
    ...(options.retries === undefined ? {} : { retries: options.retries }),
    ...(options.group === undefined ? {} : { group: options.group }),
    ...(options.engine === undefined ? {} : { engine: options.engine }),
    ...(options.deadline === undefined ? {} : { deadline: options.deadline }),
    ...(options.closeAfter === undefined ? {} : { closeAfter: options.closeAfter }),
    ...(options.confirm === undefined ? {} : { confirm: options.confirm }),
    ...(options.home === undefined ? {} : { homes: [...options.home] }),
    ...(options.takeoverAfter === undefined ? {} : { takeoverAfter: options.takeoverAfter }),
    ...(options.canary === undefined ? {} : { canaries: listOf(options.canary) }),
    ...(options.enabled === undefined ? {} : { enabled: true }),
    ...(options.disabled === undefined ? {} : { enabled: false }),
  };
}

function listOf<T>(given: readonly T[] | false): T[] {
  return given === false ? [] : [...given];
}

/** Without a default, so that "not named" stays apart from "none". */
function collectFrom<T>(
  add: (value: string, previous: readonly T[]) => T[],
): (value: string, previous: readonly T[] | boolean | undefined) => T[] {
  return (value, previous) => add(value, typeof previous === "object" ? previous : []);
}

function contradiction(one: string, other: string): PortolanError {
  return new PortolanError("invalid", `${one} and ${other} contradict each other; give one of them`);
}
