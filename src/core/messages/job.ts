import { z } from "zod";
import {
  digestSchema,
  engineSchema,
  frontierSchema,
  groupNameSchema,
  nameSchema,
  publicKeySchema,
  seedSchema,
  timeMsSchema,
} from "./common.ts";

/** Range text as `formatRange` writes it (`192.0.2.0/24`, `192.0.2.1-192.0.2.9`, `2001:db8::1`). */
const rangeTextSchema = z.string().min(2).max(100);

/** Ports as `formatPorts` writes them (`22,80-90,U:53`). */
const portsTextSchema = z.string().min(1).max(65_535);

/** Open ports used to tell a blind scanner from a quiet network. */
export const canarySchema = z.strictObject({ address: z.string().max(45), port: z.int().min(1).max(65_535) });
export type Canary = z.infer<typeof canarySchema>;

/** One scanner that shares the shards of a job. */
export const memberSchema = z.strictObject({
  scanner: nameSchema,
  region: nameSchema,
  publicKey: publicKeySchema,
  /** Pinned or derived place in the group; orders the eligible members of a tile. */
  place: z.int().positive().max(10_000),
});
export type Member = z.infer<typeof memberSchema>;

/**
 * Addresses that share one port set, one engine and one list of eligible members.
 * Blocks of a job are disjoint in their addresses: each address lies in exactly one.
 */
export const blockSchema = z.strictObject({
  ranges: z.array(rangeTextSchema).min(1).max(65_536),
  ports: portsTextSchema,
  engine: engineSchema,
  /** Names of members, in the order of their places: shard k/n goes to the k-th (counted from 1). */
  members: z.array(nameSchema).min(1).max(1_000),
});
export type Block = z.infer<typeof blockSchema>;

const policySchema = z.strictObject({
  /** Misses in sequence that close a service. */
  closeAfter: z.int().min(1).max(10),
  /** Whether closing also needs a confirm probe. */
  confirm: z.boolean(),
});

/** Everything that decides what a job probes. Immutable; its record id is the job id. */
export const jobSpecSchema = z.strictObject({
  version: z.literal(1),
  plan: z.strictObject({ id: z.string().max(64), name: nameSchema, revision: z.int().nonnegative() }),
  group: groupNameSchema,
  /** The region whose keeper plans, completes and abandons the tiles of this job. */
  home: nameSchema,
  cause: z.enum(["manual", "interval", "cron", "follow-up"]),
  blocks: z.array(blockSchema).min(1).max(10_000),
  tiling: z.strictObject({
    /** Version of the function that cuts blocks into tiles. */
    version: z.literal(1),
    /** Upper bound of pairs in one tile, at least 1. */
    pairsMax: z.int().positive(),
  }),
  seed: seedSchema,
  rateLimitPps: z.int().min(1).max(10_000_000),
  retries: z.int().min(0).max(10),
  /** Seconds that masscan waits for late answers after its last probe. */
  waitS: z.int().min(1).max(60),
  /** Time-out of one connect of the connect engine. */
  connectTimeoutMs: z.int().min(50).max(30_000),
  members: z.array(memberSchema).min(1).max(1_000),
  /** `1.3` matches every 1.3.x: the family decides masscan's mapping. */
  masscanFamily: z.string().regex(/^\d+\.\d+$/),
  canaries: z.array(canarySchema).max(16),
  policy: policySchema,
  /** Regions that had an enrolled scanner at planning. */
  regions: z.array(nameSchema).min(1).max(256),
  frontier: frontierSchema,
  plannedAtMs: timeMsSchema,
  deadlineAtMs: timeMsSchema,
});
export type JobSpec = z.infer<typeof jobSpecSchema>;

/** Which run of which piece of work. `attempt` counts from 1; shard is 1 … shardCount. */
export const assignmentKeySchema = z.strictObject({
  job: digestSchema,
  tile: z.int().nonnegative(),
  shard: z.int().positive(),
  attempt: z.int().positive(),
});
export type AssignmentKey = z.infer<typeof assignmentKeySchema>;

/** The unit of work that a keeper signs and one scanner runs as a whole. */
export const assignmentSchema = z.strictObject({
  version: z.literal(1),
  key: assignmentKeySchema,
  scanner: nameSchema,
  region: nameSchema,
  plan: nameSchema,
  shardCount: z.int().positive(),
  engine: engineSchema,
  ranges: z.array(rangeTextSchema).min(1).max(65_536),
  ports: portsTextSchema,
  /** Pairs in the whole tile, over all of its shards. */
  pairs: z.int().positive(),
  seed: seedSchema,
  rateLimitPps: z.int().min(1).max(10_000_000),
  retries: z.int().min(0).max(10),
  waitS: z.int().min(1).max(60),
  connectTimeoutMs: z.int().min(50).max(30_000),
  masscanFamily: z.string(),
  canaries: z.array(canarySchema).max(16),
  deadlineAtMs: timeMsSchema,
});
export type Assignment = z.infer<typeof assignmentSchema>;
