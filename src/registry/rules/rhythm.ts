import { checkCron } from "../cron.ts";
import { PortolanError } from "../../core/errors.ts";
import type { Plan } from "../types.ts";
import type { PlanChanges, PlanInput } from "./plans.ts";

/** When a plan repeats. */
export function rhythmOf(input: PlanInput): Pick<Plan, "intervalS" | "cron" | "timeZone"> {
  const { name, intervalS, cron = null } = input;
  const timeZone = input.timeZone ?? "UTC";
  if (intervalS !== null && cron !== null) {
    throw new PortolanError("invalid", `plan "${name}" has both an interval and a cron pattern; give one of them`);
  }
  checkCron(cron ?? "@daily", timeZone);
  return { intervalS, cron: cron === null ? null : cron.trim().replaceAll(/\s+/g, " "), timeZone };
}

/** A new rhythm replaces the one of the other kind. */
export function movedRhythm(existing: Plan, { intervalS, cron }: PlanChanges): Partial<PlanInput> {
  if (intervalS !== undefined && intervalS !== null && cron === undefined) return { cron: null };
  if (cron !== undefined && cron !== null && intervalS === undefined) return { intervalS: null };
  return intervalS === null && cron === undefined && existing.cron !== null ? { cron: null } : {};
}
