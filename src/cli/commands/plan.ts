import type { Command } from "commander";
import { formatCount, formatDuration, formatRate, shortId } from "../../web/format.ts";
import { shorten } from "../arguments.ts";
import { allRows, bodyOf } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { registerBulk } from "./bulk.ts";
import { factLines, type Column } from "../output.ts";
import { readPlan, rhythmOf, sizeOf, startJob, type Plan } from "./plan-common.ts";
import { registerPlanAdd } from "./plan-add.ts";
import { registerPlanPreview } from "./plan-preview.ts";
import { registerPlanSet } from "./plan-set.ts";

/** `portolan plan …`: what to scan and how often. */
export function registerPlan(program: Command, session: Session): void {
  const plan = program.command("plan").description("what to scan and how often");
  registerPlanAdd(plan, session);
  registerPlanSet(plan, session);
  registerPlanPreview(plan, session);
  plan
    .command("ls")
    .description("list the plans")
    .action(async () => session.finish(await listPlans(session.context())));
  plan
    .command("show <name>")
    .description("one plan in full")
    .action(async (name: string) => session.finish(await showPlan(session.context(), name)));
  plan
    .command("start <name>")
    .description("start a job of a plan now")
    .action(async (name: string) => session.finish(await startPlan(session.context(), name)));
  plan
    .command("rm <name>")
    .description("delete a plan; what it found stays in the register, and nothing closes any more")
    .action(async (name: string) => session.finish(await removePlan(session.context(), name)));
  registerBulk(plan, "plans", session);
}

async function startPlan(context: Context, name: string): Promise<number> {
  const job = await startJob(context.api(), name);
  context.output.one({ job }, [`Job ${shortId(job)} of plan ${name} has started.`]);
  context.output.note(`Follow it with: portolan job watch ${shortId(job)}`);
  return EXIT.ok;
}

const COLUMNS: readonly Column<Plan>[] = [
  { title: "plan", value: (plan) => plan.name },
  { title: "every", value: rhythmOf },
  { title: "ports", value: (plan) => shorten(plan.ports, 30) },
  { title: "ranges", value: (plan) => shorten(plan.include.join(", "), 30) },
  { title: "scanners", value: (plan) => plan.group },
  { title: "rate", value: (plan) => formatRate(plan.rateLimitPps), isNumber: true },
  { title: "pairs", value: (plan) => (plan.pairs === null ? "–" : formatCount(plan.pairs)), isNumber: true },
  { title: "problem", value: (plan) => shorten(plan.problem ?? "", 60), tone: () => "warn" },
];

async function listPlans(context: Context): Promise<number> {
  const api = context.api();
  const plans = await allRows((cursor) => bodyOf(api.v1.plans.$get({ query: cursor === undefined ? {} : { cursor } })));
  const columns = plans.some((plan) => plan.problem !== null) ? COLUMNS : COLUMNS.slice(0, -1);
  context.output.list(plans, {
    columns,
    empty: "No plan yet. Make one: portolan plan add office --range 192.0.2.0/24 -p 1-1024 --every 6h",
  });
  return EXIT.ok;
}

async function showPlan(context: Context, name: string): Promise<number> {
  const plan = await readPlan(context.api(), name);
  context.output.one(
    plan,
    factLines([
      ["plan", `${plan.name}, revision ${plan.revision}${plan.enabled ? "" : ", disabled"}`],
      ["scans", plan.include.join(", ")],
      ["leaves out", plan.exclude.join(", ") || "nothing but the exclusions"],
      ["ports", plan.ports],
      ["every", rhythmOf(plan)],
      ["scanner group", plan.group],
      [
        "home",
        plan.homes.length > 1 ? `${plan.homes.join(", then ")} (after ${formatDuration(plan.takeoverAfterS)} of silence)` : plan.home,
      ],
      ["engine", plan.engine],
      ["rate", `${formatRate(plan.rateLimitPps)} of each scanner, ${plan.retries} retries`],
      ["closes after", `${plan.closeAfter} complete looks that miss a port${plan.confirm ? ", and a confirming probe" : ""}`],
      ["canaries", plan.canaries.map(canaryText).join(", ") || "none"],
      ["deadline", formatDuration(plan.deadlineS)],
      ["size", sizeOf(plan)],
      ...(plan.problem === null ? [] : [["problem", plan.problem] as const]),
    ]),
  );
  return EXIT.ok;
}

function canaryText({ address, port }: Plan["canaries"][number]): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

async function removePlan(context: Context, name: string): Promise<number> {
  const gone = await bodyOf(context.api().v1.plans[":name"].$delete({ param: { name } }));
  context.output.one(gone, [`Plan ${gone.deleted} is deleted. What it found stays in the register.`]);
  return EXIT.ok;
}
