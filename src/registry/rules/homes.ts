import { PortolanError } from "../../core/errors.ts";
import type { Plan, RegistryState } from "../types.ts";
import type { PlanChanges, PlanInput } from "./plans.ts";
import { activeRegion, findRegion } from "./regions.ts";

const TAKEOVER_DEFAULT_S = 900;
const TAKEOVER_MIN_S = 60;
const HOMES_MAX = 16;
const TAKEOVER_MAX_S = 365 * 86_400;

/** A new first home goes before the others; a list of homes says the first one too. */
export function movedHome(existing: Plan, { home, homes }: PlanChanges): Pick<PlanInput, "home" | "homes"> {
  if (homes !== undefined && homes !== null) return { home: home ?? null, homes };
  if (home === undefined || home === null) return { home: existing.home, homes: existing.homes };
  return { home, homes: [home, ...existing.homes.filter((other) => other !== home && other !== existing.home)] };
}

/** The regions that plan: the home first, all of them active. */
export function homeRegions(state: RegistryState, input: PlanInput): Pick<Plan, "home" | "homes"> {
  const homes = [...new Set(input.homes ?? [])];
  const home = homes[0] ?? homeRegion(state, input.home);
  if (input.home !== null && input.home !== home) {
    throw new PortolanError(
      "invalid",
      `plan "${input.name}" has the home "${input.home}", but "${home}" is the first of its homes; put it first`,
    );
  }
  if (homes.length > HOMES_MAX) throw new PortolanError("invalid", `plan "${input.name}" names over ${HOMES_MAX} homes; name fewer`);
  // A disabled plan may keep the home that was retired under it.
  for (const name of homes.length === 0 ? [home] : homes) if (input.enabled !== false) activeRegion(state, name);
  return { home, homes: homes.length === 0 ? [home] : homes };
}

function homeRegion(state: RegistryState, home: string | null): string {
  if (home !== null) return findRegion(state, home).name;
  const active = state.regions.filter((region) => region.state === "active");
  const first = active.toSorted((a, b) => a.createdAtMs - b.createdAtMs || (a.name < b.name ? -1 : 1))[0];
  if (first !== undefined) return first.name;
  throw new PortolanError("conflict", `there is no region yet that could plan jobs; run "npm start" or add a region first`);
}

/** Seconds of silence after which the next home plans. */
export function takeover(input: PlanInput): number {
  const seconds = input.takeoverAfterS ?? TAKEOVER_DEFAULT_S;
  if (Number.isInteger(seconds) && seconds >= TAKEOVER_MIN_S && seconds <= TAKEOVER_MAX_S) return seconds;
  throw new PortolanError(
    "invalid",
    `plan "${input.name}" is taken over after ${seconds} s of silence; use a whole number of seconds from ${TAKEOVER_MIN_S} to ${TAKEOVER_MAX_S}`,
  );
}
