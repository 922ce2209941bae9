import { formatCount, formatDuration } from "../../web/format.ts";
import { bodyOf, type Api } from "../client.ts";

/** A plan as the API tells it. */
export type Plan = Awaited<ReturnType<typeof readPlan>>;

export async function readPlan(api: Api, name: string) {
  return bodyOf(api.v1.plans[":name"].$get({ param: { name } }));
}

/** Starts a job now; returns its id. Throws the keeper's refusal. */
export async function startJob(api: Api, name: string): Promise<string> {
  return (await bodyOf(api.v1.plans[":name"].jobs.$post({ param: { name } }))).job;
}

/** The id of the plan's job under way, if there is one. */
export async function runningJob(api: Api, plan: string): Promise<string | undefined> {
  return (await bodyOf(api.v1.jobs.$get({ query: { plan, state: "running", limit: "1" } }))).items[0]?.id;
}

/** One line about a plan: size, rhythm, who does it. */
export function summaryOf(plan: Plan): string {
  return `${sizeOf(plan)}, ${plan.intervalS === null ? rhythmOf(plan) : `every ${rhythmOf(plan)}`}, by scanner group ${plan.group}`;
}

/** When it repeats: a length of time, a cron pattern with its time zone, or "on request". */
export function rhythmOf({ intervalS, cron, timeZone }: Plan): string {
  if (cron !== null) return `cron ${cron} (${timeZone})`;
  return intervalS === null ? "on request" : formatDuration(intervalS);
}

/** How much one job is, and how long it takes. */
export function sizeOf({ pairs, expectedS }: Plan): string {
  if (pairs === null) return "nothing can be planned now";
  const takes = expectedS === null ? "" : ` (about ${formatDuration(Math.max(1, expectedS))} a job)`;
  return `${formatCount(pairs)} pairs of address and port${takes}`;
}
