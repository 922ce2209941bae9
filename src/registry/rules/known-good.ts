import { eq } from "drizzle-orm";
import { PortolanError } from "../../core/errors.ts";
import { build } from "../query.ts";
import { knownGood as table } from "../schema.ts";
import type { KnownGood, RegistryState } from "../types.ts";
import { type AddressRuleChanges, type AddressRuleInput, changedRule, freeId, normaliseRule, sameRule } from "./address-rule.ts";
import { type Change, LIMITS, checkLimit, checkTextSize, notFound, unchanged } from "./change.ts";

/** A known-good rule as a person asks for it. `ports` null means every port of the addresses. */
export type KnownGoodInput = AddressRuleInput;

const KIND = { what: "known-good rule", rangesMax: LIMITS.rangesPerKnownGood };

/** Canonical form, checked. Throws `invalid` or `too-large`. */
export function normaliseKnownGood(input: KnownGoodInput, nowMs: number): KnownGoodInput {
  return normaliseRule(KIND, input, nowMs);
}

/** `id` follows from the content; a repeat finds the first one. */
export function addKnownGood(state: RegistryState, input: { id: string; rule: KnownGoodInput; nowMs: number }): Change<KnownGood> {
  const existing = state.knownGood.find((candidate) => sameRule(candidate, input.rule));
  if (existing !== undefined) return unchanged(existing);
  checkLimit("known-good rules", state.knownGood.length + 1, LIMITS.knownGood);
  const value: KnownGood = { id: freeId(state.knownGood, input.id), ...input.rule, createdAtMs: input.nowMs };
  checkTextSize("known-good rules", [...state.knownGood, value]);
  return { value, statements: [build.insert(table).values(value)] };
}

/** Changes some of it; what is left out stays. Throws `not-found`, `invalid`, or `conflict` when another one says the same. */
export function changeKnownGood(
  state: RegistryState,
  input: { id: string; changes: AddressRuleChanges; nowMs: number },
): Change<KnownGood> {
  const existing = state.knownGood.find((candidate) => candidate.id === input.id);
  if (existing === undefined) throw notFound("known-good rule", input.id, "portolan known ls");
  const value: KnownGood = changedRule(KIND, existing, input);
  if (sameRule(value, existing)) return unchanged(existing);
  const twin = state.knownGood.find((candidate) => candidate !== existing && sameRule(candidate, value));
  if (twin !== undefined) throw new PortolanError("conflict", `known-good rule "${twin.id}" says the same already; delete one of the two`);
  checkTextSize("known-good rules", [...state.knownGood.filter((candidate) => candidate !== existing), value]);
  return { value, statements: [build.update(table).set(value).where(eq(table.id, value.id))] };
}

/** Throws `not-found`. */
export function deleteKnownGood(state: RegistryState, id: string): Change<null> {
  if (!state.knownGood.some((candidate) => candidate.id === id)) throw notFound("known-good rule", id, "portolan known ls");
  return { value: null, statements: [build.delete(table).where(eq(table.id, id))] };
}
