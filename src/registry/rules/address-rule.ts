import { PortolanError } from "../../core/errors.ts";
import { formatPorts, parsePorts } from "../../core/port.ts";
import { normaliseRanges, parseRange, rangesText } from "../../core/range.ts";

/** What exclusions and known-good rules have in common, as a person asks for it. `ports` null: all of them. */
export type AddressRuleInput = {
  readonly ranges: readonly string[];
  readonly ports: string | null;
  readonly owner: string;
  readonly reason: string;
  /** Exclusive. */
  readonly expiresAtMs: number | null;
};

/** What a person changes of a rule; what is left out stays. */
export type AddressRuleChanges = Partial<AddressRuleInput>;

/** A rule as it is stored. */
export type AddressRule = AddressRuleInput & { readonly id: string; readonly createdAtMs: number };

type Kind = { readonly what: string; readonly rangesMax: number };

/** Canonical form, checked. Throws `invalid` or `too-large`. */
export function normaliseRule(kind: Kind, input: AddressRuleInput, nowMs: number): AddressRuleInput {
  if (input.expiresAtMs !== null && !(input.expiresAtMs > nowMs)) {
    const when = Number.isFinite(input.expiresAtMs) ? new Date(input.expiresAtMs).toISOString() : "a time that cannot be read";
    throw new PortolanError("invalid", `the ${kind.what} would already have expired at ${when}; give a later time or none`);
  }
  return { ...normaliseSpace(kind, input), owner: input.owner, reason: input.reason, expiresAtMs: input.expiresAtMs };
}

/** A stored rule with some of it changed. An expiry that is not changed may have passed. */
export function changedRule(
  kind: Kind,
  existing: AddressRule,
  { changes, nowMs }: { changes: AddressRuleChanges; nowMs: number },
): AddressRule {
  const wanted = { ...existing, ...changes };
  const isSameExpiry = wanted.expiresAtMs === existing.expiresAtMs;
  const content = normaliseRule(kind, isSameExpiry ? { ...wanted, expiresAtMs: null } : wanted, nowMs);
  return { ...existing, ...content, expiresAtMs: wanted.expiresAtMs };
}

/** Whether two rules say the same. */
export function sameRule(a: AddressRuleInput, b: AddressRuleInput): boolean {
  const essence = (rule: AddressRuleInput): string => JSON.stringify([rule.ranges, rule.ports, rule.owner, rule.reason, rule.expiresAtMs]);
  return essence(a) === essence(b);
}

/** `id`, or `id` with a number when an edited rule has it already. */
export function freeId(taken: readonly { readonly id: string }[], id: string): string {
  const ids = new Set(taken.map((rule) => rule.id));
  let free = id;
  for (let number = 2; ids.has(free) && number <= taken.length + 2; number++) free = `${id}-${number}`;
  return free;
}

function normaliseSpace({ what, rangesMax }: Kind, input: AddressRuleInput): Pick<AddressRuleInput, "ranges" | "ports"> {
  const article = /^[aeiou]/.test(what) ? "an" : "a";
  if (input.ranges.length === 0) throw new PortolanError("invalid", `${article} ${what} needs at least one range`);
  if (input.ranges.length > rangesMax)
    throw new PortolanError("too-large", `${article} ${what} holds at most ${rangesMax} ranges; split it`);
  return {
    ranges: rangesText(normaliseRanges(input.ranges.map((text) => parseRange(text.trim())))),
    ports: input.ports === null ? null : formatPorts(parsePorts(input.ports)),
  };
}
