import { groupNameSchema, nameSchema } from "../../core/messages/common.ts";
import { PortolanError } from "../../core/errors.ts";
import type { Query } from "../query.ts";
import type { Plan, RegistryState } from "../types.ts";

/** What a rule decided on one state: no statements when everything already is as asked. */
export type Change<T> = { readonly value: T; readonly statements: readonly Query[] };

/** Bounds of the whole registry: it is read as a whole. */
export const LIMITS = {
  rangesTotal: 50_000,
  rangesPerRequest: 10_000,
  rangeGroups: 1_000,
  regions: 256,
  scanners: 1_000,
  addressesPerScanner: 16,
  scannerGroups: 1_000,
  exclusions: 2_000,
  rangesPerExclusion: 1_000,
  knownGood: 2_000,
  rangesPerKnownGood: 1_000,
  plans: 1_000,
  groupsPerPlan: 100,
  canaries: 16,
  tokens: 1_000,
  webhooks: 100,
} as const;

// sqld sends at most 10 MB in one response, and the registry is read in one: together these stay well below.
export const TEXT_CHARS_MAX = {
  ranges: 4_000_000,
  exclusions: 1_000_000,
  "known-good rules": 1_000_000,
  plans: 1_000_000,
  members: 500_000,
} as const;

/** Everything already is as asked. */
export function unchanged<T>(value: T): Change<T> {
  return { value, statements: [] };
}

/** Throws `invalid` unless `name` can be a NATS subject token and a file name. `what` is the word for the person. */
export function checkName(what: string, name: string): void {
  const parsed = nameSchema.safeParse(name);
  if (!parsed.success)
    throw new PortolanError(
      "invalid",
      `"${clip(name)}" cannot be the name of a ${what}: use ${parsed.error.issues[0]?.message ?? "another"}`,
    );
}

/** Throws `invalid` for wrong or built-in names of range and scanner groups. */
export function checkGroupName(what: string, name: string): void {
  const parsed = groupNameSchema.safeParse(name);
  if (!parsed.success)
    throw new PortolanError(
      "invalid",
      `"${clip(name)}" cannot be the name of a ${what}: use ${parsed.error.issues[0]?.message ?? "another"}`,
    );
  if (name.startsWith("@"))
    throw new PortolanError("invalid", `"${name}" cannot be the name of a ${what}: names with @ are built in; choose one without`);
}

/** Throws `conflict` when one more would pass the limit. */
export function checkLimit(what: string, count: number, max: number): void {
  if (count > max) throw new PortolanError("conflict", `the registry holds at most ${max} ${what}; delete some that are no longer needed`);
}

/** Throws `conflict` when rows of one kind together would be too much to be read as a whole. */
export function checkTextSize(what: keyof typeof TEXT_CHARS_MAX, rows: unknown): void {
  const chars = JSON.stringify(rows).length;
  if (chars <= TEXT_CHARS_MAX[what]) return;
  throw new PortolanError(
    "conflict",
    `the registry's ${what} would take ${chars} characters (at most ${TEXT_CHARS_MAX[what]}); merge some or delete what is no longer needed`,
  );
}

/** Throws `not-found` with the command that lists what there is. */
export function notFound(what: string, name: string, listCommand: string): PortolanError {
  return new PortolanError("not-found", `there is no ${what} "${clip(name)}"; list them with "${listCommand}"`);
}

/** Plans that include or exclude this range group. */
export function plansWithRangeGroup(state: RegistryState, name: string): Plan[] {
  return state.plans.filter((plan) => plan.include.includes(name) || plan.exclude.includes(name));
}

/** Names for a message, at most five. */
export function nameList(things: readonly { readonly name: string }[]): string {
  const shown = things.slice(0, 5).map((thing) => `"${thing.name}"`);
  return things.length > 5 ? `${shown.join(", ")} and ${things.length - 5} more` : shown.join(", ");
}

/** User text in messages stays short. */
export function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
