import { eq } from "drizzle-orm";
import { PortolanError } from "../../core/errors.ts";
import { formatPorts, parsePorts } from "../../core/port.ts";
import { normaliseRanges, parseRange, rangesText } from "../../core/range.ts";
import { build } from "../query.ts";
import { knownGood as table } from "../schema.ts";
import type { KnownGood, RegistryState } from "../types.ts";
import { type Change, LIMITS, checkLimit, checkTextSize, notFound, unchanged } from "./change.ts";

/** A known-good rule as a person asks for it. `ports` null means every port of the addresses. */
export type KnownGoodInput = {
  readonly ranges: readonly string[];
  readonly ports: string | null;
  readonly owner: string;
  readonly reason: string;
  /** Exclusive. */
  readonly expiresAtMs: number | null;
};

/** Canonical form, checked. Throws `invalid` or `too-large`. */
export function normaliseKnownGood(input: KnownGoodInput, nowMs: number): KnownGoodInput {
  if (input.ranges.length === 0) throw new PortolanError("invalid", "a known-good rule needs at least one range");
  if (input.ranges.length > LIMITS.rangesPerKnownGood) {
    throw new PortolanError("too-large", `a known-good rule holds at most ${LIMITS.rangesPerKnownGood} ranges; split it`);
  }
  if (input.expiresAtMs !== null && input.expiresAtMs <= nowMs) {
    throw new PortolanError(
      "invalid",
      `the known-good rule would already have expired at ${new Date(input.expiresAtMs).toISOString()}; give a later time or none`,
    );
  }
  return {
    ranges: rangesText(normaliseRanges(input.ranges.map((text) => parseRange(text.trim())))),
    ports: input.ports === null ? null : formatPorts(parsePorts(input.ports)),
    owner: input.owner,
    reason: input.reason,
    expiresAtMs: input.expiresAtMs,
  };
}

/** `id` follows from the content, so that a repeat finds the first one. */
export function addKnownGood(state: RegistryState, input: { id: string; rule: KnownGoodInput; nowMs: number }): Change<KnownGood> {
  const existing = state.knownGood.find((candidate) => candidate.id === input.id);
  if (existing !== undefined) return unchanged(existing);
  checkLimit("known-good rules", state.knownGood.length + 1, LIMITS.knownGood);
  const value: KnownGood = { id: input.id, ...input.rule, createdAtMs: input.nowMs };
  checkTextSize("known-good rules", [...state.knownGood, value]);
  return { value, statements: [build.insert(table).values(value)] };
}

/** Throws `not-found`. */
export function deleteKnownGood(state: RegistryState, id: string): Change<null> {
  if (!state.knownGood.some((rule) => rule.id === id)) throw notFound("known-good rule", id, "portolan known ls");
  return { value: null, statements: [build.delete(table).where(eq(table.id, id))] };
}
