import { eq } from "drizzle-orm";
import { PortolanError } from "../../core/errors.ts";
import { formatPorts, parsePorts } from "../../core/port.ts";
import { normaliseRanges, parseRange, rangesText } from "../../core/range.ts";
import { build } from "../query.ts";
import { exclusion as table } from "../schema.ts";
import type { Exclusion, RegistryState } from "../types.ts";
import { type Change, LIMITS, checkLimit, checkTextSize, notFound, unchanged } from "./change.ts";

/** An exclusion as a person asks for it. `ports` null excludes the addresses altogether. */
export type ExclusionInput = {
  readonly ranges: readonly string[];
  readonly ports: string | null;
  readonly owner: string;
  readonly reason: string;
  readonly expiresAtMs: number | null;
};

/** Canonical form, checked. Throws `invalid` or `too-large`. */
export function normaliseExclusion(input: ExclusionInput, nowMs: number): ExclusionInput {
  if (input.ranges.length === 0) throw new PortolanError("invalid", "an exclusion needs at least one range");
  if (input.ranges.length > LIMITS.rangesPerExclusion) {
    throw new PortolanError("too-large", `an exclusion holds at most ${LIMITS.rangesPerExclusion} ranges; split it`);
  }
  if (input.expiresAtMs !== null && input.expiresAtMs <= nowMs) {
    throw new PortolanError(
      "invalid",
      `the exclusion would already have expired at ${new Date(input.expiresAtMs).toISOString()}; give a later time or none`,
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
export function addExclusion(state: RegistryState, input: { id: string; exclusion: ExclusionInput; nowMs: number }): Change<Exclusion> {
  const existing = state.exclusions.find((candidate) => candidate.id === input.id);
  if (existing !== undefined) return unchanged(existing);
  checkLimit("exclusions", state.exclusions.length + 1, LIMITS.exclusions);
  const value: Exclusion = { id: input.id, ...input.exclusion, createdAtMs: input.nowMs };
  checkTextSize("exclusions", [...state.exclusions, value]);
  return { value, statements: [build.insert(table).values(value)] };
}

export function deleteExclusion(state: RegistryState, id: string): Change<null> {
  if (!state.exclusions.some((exclusion) => exclusion.id === id)) throw notFound("exclusion", id, "portolan exclude ls");
  return { value: null, statements: [build.delete(table).where(eq(table.id, id))] };
}
