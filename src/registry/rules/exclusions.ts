import { eq } from "drizzle-orm";
import { PortolanError } from "../../core/errors.ts";
import { build } from "../query.ts";
import { exclusion as table } from "../schema.ts";
import type { Exclusion, RegistryState } from "../types.ts";
import { type AddressRuleChanges, type AddressRuleInput, changedRule, freeId, normaliseRule, sameRule } from "./address-rule.ts";
import { type Change, LIMITS, checkLimit, checkTextSize, notFound, unchanged } from "./change.ts";

/** An exclusion as a person asks for it. `ports` null excludes the addresses altogether. */
export type ExclusionInput = AddressRuleInput;

const KIND = { what: "exclusion", rangesMax: LIMITS.rangesPerExclusion };

/** Canonical form, checked. Throws `invalid` or `too-large`. */
export function normaliseExclusion(input: ExclusionInput, nowMs: number): ExclusionInput {
  return normaliseRule(KIND, input, nowMs);
}

/** `id` follows from the content; a repeat finds the first one. */
export function addExclusion(state: RegistryState, input: { id: string; exclusion: ExclusionInput; nowMs: number }): Change<Exclusion> {
  const existing = state.exclusions.find((candidate) => sameRule(candidate, input.exclusion));
  if (existing !== undefined) return unchanged(existing);
  checkLimit("exclusions", state.exclusions.length + 1, LIMITS.exclusions);
  const value: Exclusion = { id: freeId(state.exclusions, input.id), ...input.exclusion, createdAtMs: input.nowMs };
  checkTextSize("exclusions", [...state.exclusions, value]);
  return { value, statements: [build.insert(table).values(value)] };
}

/** Changes some of it; what is left out stays. Throws `not-found`, `invalid`, or `conflict` when another one says the same. */
export function changeExclusion(
  state: RegistryState,
  input: { id: string; changes: AddressRuleChanges; nowMs: number },
): Change<Exclusion> {
  const existing = state.exclusions.find((candidate) => candidate.id === input.id);
  if (existing === undefined) throw notFound("exclusion", input.id, "portolan exclude ls");
  const value: Exclusion = changedRule(KIND, existing, input);
  if (sameRule(value, existing)) return unchanged(existing);
  const twin = state.exclusions.find((candidate) => candidate !== existing && sameRule(candidate, value));
  if (twin !== undefined) throw new PortolanError("conflict", `exclusion "${twin.id}" says the same already; delete one of the two`);
  checkTextSize("exclusions", [...state.exclusions.filter((candidate) => candidate !== existing), value]);
  return { value, statements: [build.update(table).set(value).where(eq(table.id, value.id))] };
}

/** Throws `not-found`. */
export function deleteExclusion(state: RegistryState, id: string): Change<null> {
  if (!state.exclusions.some((candidate) => candidate.id === id)) throw notFound("exclusion", id, "portolan exclude ls");
  return { value: null, statements: [build.delete(table).where(eq(table.id, id))] };
}
