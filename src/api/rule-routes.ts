import { z } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import type { AddressRuleChanges, AddressRuleInput } from "../registry/rules/address-rule.ts";

const ranges = z.array(z.string().min(1).max(100)).min(1).max(1_000);
const ports = z.string().min(1).max(20_000).nullable();
const expiresAt = z.iso.datetime({ offset: true, error: "a time like 2027-01-31T12:00:00Z" }).nullable();

/** A rule about addresses, or addresses and ports, as lists show it. */
export function ruleSchema(noPorts: string) {
  return z.object({
    id: z.string(),
    ranges: z.array(z.string()).readonly(),
    ports: z.string().nullable().openapi({ description: noPorts }),
    owner: z.string(),
    reason: z.string(),
    expiresAtMs: z.int().nullable(),
    createdAtMs: z.int(),
    expired: z.boolean(),
  });
}

/** Bodies that make and change such a rule. */
export function ruleBodies(words: { readonly owner: string; readonly reason: string }) {
  const owner = z.string().trim().min(1, words.owner).max(200);
  const reason = z.string().trim().min(1, words.reason).max(500);
  return {
    input: z.strictObject({ ranges, ports: ports.default(null), owner, reason, expiresAt: expiresAt.default(null) }),
    changes: z.strictObject({
      ranges: ranges.optional(),
      ports: ports.optional().openapi({ description: "null: all ports" }),
      owner: owner.optional(),
      reason: reason.optional(),
      expiresAt: expiresAt.optional().openapi({ description: "null: it never ends" }),
    }),
  };
}

type Bodies = ReturnType<typeof ruleBodies>;

/** As the registry wants it. */
export function ruleInput({ expiresAt: until, ...input }: z.infer<Bodies["input"]>): AddressRuleInput {
  return { ...input, expiresAtMs: until === null ? null : timeOf(until) };
}

/** Only what is named changes. */
export function ruleChanges({ expiresAt: until, ...changes }: z.infer<Bodies["changes"]>): AddressRuleChanges {
  const given = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)) as AddressRuleChanges;
  return until === undefined ? given : { ...given, expiresAtMs: until === null ? null : timeOf(until) };
}

/** With the word whether it still holds. */
export function showRule<T extends { readonly expiresAtMs: number | null }>(rule: T, nowMs: number): T & { expired: boolean } {
  return { ...rule, expired: rule.expiresAtMs !== null && rule.expiresAtMs <= nowMs };
}

function timeOf(text: string): number {
  const timeMs = Date.parse(text);
  if (Number.isFinite(timeMs)) return timeMs;
  throw new PortolanError("invalid", `"${text}" is not a time; write it like 2027-01-31T12:00:00Z`);
}
