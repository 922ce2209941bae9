import { z } from "@hono/zod-openapi";
import type { PlanInput } from "../registry/rules/plans.ts";
import { durationSchema, parseDuration } from "./duration.ts";

/** Names of range groups. */
export const groupNames = z.array(z.string().max(100)).max(100);
/** Upper bound of pairs in one tile. */
export const pairsMaxSchema = z.int().positive().max(1_000_000_000_000);
/** Ports that are known to be open. */
export const canariesSchema = z.array(z.strictObject({ address: z.string().max(45), port: z.int().min(1).max(65_535) })).max(16);
/** A plan as it is asked for. */
export const planInputSchema = z
  .strictObject({
    name: z.string().max(100),
    ranges: z.array(z.string().min(1).max(100)).max(10_000).default([]).openapi({ description: "shorthand: a range group of its own" }),
    include: groupNames.default([]),
    exclude: groupNames.default([]),
    ports: z.string().min(1).max(20_000).openapi({ example: "22,80-90,443,U:53" }),
    rateLimitPps: z.int().optional(),
    retries: z.int().min(0).max(10).optional(),
    group: z.string().max(100).optional().openapi({ description: "default @all" }),
    engine: z.enum(["auto", "masscan", "connect"]).optional(),
    every: durationSchema.nullable().default(null).openapi({ description: "null: by cron, or only on request" }),
    cron: z
      .string()
      .min(1)
      .max(200)
      .nullable()
      .default(null)
      .openapi({ description: "five fields, instead of every", example: "30 3 * * 1-5" }),
    timeZone: z.string().min(1).max(60).optional().openapi({ description: "default UTC", example: "Europe/Berlin" }),
    deadline: durationSchema.nullable().default(null),
    closeAfter: z.int().min(1).max(10).optional().openapi({ description: "default 2" }),
    confirm: z.boolean().optional().openapi({ description: "default true: closing also needs a probe that confirms it" }),
    home: z.string().max(100).optional().openapi({ description: "default: the first region" }),
    homes: z
      .array(z.string().max(100))
      .min(1)
      .max(16)
      .optional()
      .openapi({ description: "home first, then who takes over; default: home alone" }),
    takeoverAfter: durationSchema.optional().openapi({ description: "default 15m" }),
    pairsMax: pairsMaxSchema.nullable().default(null),
    canaries: canariesSchema.default([]),
    enabled: z.boolean().optional(),
  })
  .openapi("PlanInput");

/** The same for the registry: what is left out takes the default. */
export function planInputOf({ every, deadline, takeoverAfter, ...input }: z.infer<typeof planInputSchema>): PlanInput {
  return {
    ...input,
    timeZone: input.timeZone ?? null,
    rateLimitPps: input.rateLimitPps ?? null,
    retries: input.retries ?? null,
    group: input.group ?? null,
    engine: input.engine ?? null,
    closeAfter: input.closeAfter ?? null,
    confirm: input.confirm ?? null,
    home: input.home ?? null,
    homes: input.homes ?? null,
    takeoverAfterS: takeoverAfter === undefined ? null : parseDuration(takeoverAfter),
    enabled: input.enabled ?? null,
    intervalS: every === null ? null : parseDuration(every),
    deadlineS: deadline === null ? null : parseDuration(deadline),
  };
}
