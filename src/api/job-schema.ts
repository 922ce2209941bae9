import { z } from "@hono/zod-openapi";
import { digestSchema } from "../core/messages/common.ts";
import { numberParam } from "./page.ts";

export const JOB_STATES = ["running", "complete", "incomplete"] as const;
export const SHARD_STATES = ["waiting", "running", "complete", "partial", "abandoned"] as const;
export const TILE_MAX = 1_000_000_000;

export const jobSchema = z
  .object({
    id: z.string(),
    plan: z.string(),
    group: z.string(),
    home: z.string(),
    cause: z.enum(["manual", "interval", "cron", "follow-up"]),
    state: z.enum(JOB_STATES),
    paused: z.boolean().openapi({ description: "none of its shards is given out; what runs goes on" }),
    why: z.string().nullable().openapi({ description: "why it ended incomplete, or why it cannot go on" }),
    plannedAtMs: z.int(),
    deadlineAtMs: z.int(),
    endedAtMs: z.int().nullable(),
    tiles: z.object({ total: z.int(), complete: z.int(), abandoned: z.int() }),
    pairs: z.number(),
  })
  .openapi("Job");
export const tileSchema = z
  .object({
    tile: z.int(),
    state: z.enum(["open", "complete", "abandoned"]),
    shards: z.int(),
    shardsComplete: z.int(),
    pairs: z.number(),
    engine: z.enum(["masscan", "connect"]),
    held: z.string().nullable().openapi({ description: "why the brake holds it; null when it does not, or when it was released" }),
  })
  .openapi("Tile");
export const heldTileSchema = z
  .object({
    job: z.string(),
    plan: z.string(),
    home: z.string(),
    tile: z.int(),
    tileComplete: z.string().openapi({ description: "record id of what is held" }),
    reason: z.string(),
    heldAtMs: z.int(),
    look: z.object({ open: z.int(), missed: z.int(), overruled: z.int() }).nullable().openapi({
      description: "open services of the tile, those that it would newly miss, and all that it would miss; null elsewhere than at its home",
    }),
  })
  .openapi("HeldTile");
export const shardSchema = z
  .object({
    tile: z.int(),
    shard: z.int(),
    scanner: z.string(),
    region: z.string(),
    attempt: z.int(),
    state: z.enum(SHARD_STATES),
    percent: z.number().nullable(),
    ratePps: z.number().nullable(),
    found: z.int().nullable(),
    remainingS: z.number().nullable(),
    problem: z.string().nullable(),
  })
  .openapi("Shard");
export const reportSchema = z
  .object({
    id: z.string(),
    tile: z.int(),
    shard: z.int(),
    attempt: z.int(),
    scanner: z.string(),
    complete: z.boolean(),
    isVoid: z.boolean().openapi({ description: "covers nothing: its key was revoked, or its run id stands in another report too" }),
    found: z.int(),
    probesSent: z.int(),
    ratePps: z.number().nullable().openapi({ description: "probes sent by the time it took; null when it took none" }),
    startedAtMs: z.int(),
    endedAtMs: z.int(),
    problem: z.string().nullable(),
  })
  .openapi("ShardReport");
export const accountingSchema = z
  .object({
    job: z.string(),
    probesSent: z.int().openapi({ description: "as far as reports tell, repeats included" }),
    probesPlanned: z.number().openapi({ description: "when each shard runs once" }),
    hosts: z.number(),
    networks: z.number().openapi({ description: "IPv4 /24s and IPv6 /64s" }),
    perHost: z
      .object({ planned: z.number(), sent: z.number() })
      .openapi({ description: "planned: the most that one address gets; sent: on average" }),
    perNetwork: z.object({ planned: z.number(), sent: z.number() }).openapi({ description: "planned: an upper bound for one /24 or /64" }),
    scanners: z
      .array(
        z.object({
          scanner: z.string(),
          reports: z.int(),
          complete: z.int(),
          found: z.int(),
          probesSent: z.int(),
          workedMs: z.int(),
          ratePps: z.number().nullable(),
        }),
      )
      .readonly(),
  })
  .openapi("Accounting");

export const idParam = { params: z.object({ id: digestSchema }) };
export const tileParam = { params: z.object({ id: digestSchema, tile: numberParam({ min: 0, max: TILE_MAX }) }) };
