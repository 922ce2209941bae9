import { z } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import { digestSchema } from "../core/messages/common.ts";
import type { Job } from "../ledger/types.ts";
import { askKeeper } from "./command.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { body, createRoute, json } from "./define.ts";
import { closePage, numberParam, openPage, pageQuery, pageSchema } from "./page.ts";

const jobSchema = z
  .object({
    id: z.string(),
    plan: z.string(),
    group: z.string(),
    home: z.string(),
    cause: z.enum(["manual", "interval", "cron", "follow-up"]),
    state: z.enum(["running", "complete", "incomplete"]),
    why: z.string().nullable().openapi({ description: "why it ended incomplete" }),
    plannedAtMs: z.int(),
    deadlineAtMs: z.int(),
    endedAtMs: z.int().nullable(),
    tiles: z.object({ total: z.int(), complete: z.int(), abandoned: z.int() }),
    pairs: z.number(),
  })
  .openapi("Job");
const tileSchema = z
  .object({
    tile: z.int(),
    state: z.enum(["open", "complete", "abandoned"]),
    shards: z.int(),
    shardsComplete: z.int(),
    pairs: z.number(),
    engine: z.enum(["masscan", "connect"]),
    held: z.string().nullable(),
  })
  .openapi("Tile");
const shardSchema = z
  .object({
    tile: z.int(),
    shard: z.int(),
    scanner: z.string(),
    region: z.string(),
    attempt: z.int(),
    state: z.enum(["waiting", "running", "complete", "partial", "abandoned"]),
    percent: z.number().nullable(),
    ratePps: z.number().nullable(),
    found: z.int().nullable(),
    remainingS: z.number().nullable(),
    problem: z.string().nullable(),
  })
  .openapi("Shard");
const idParam = { params: z.object({ id: digestSchema }) };
const TAGS = ["jobs"];

const list = createRoute({
  method: "get",
  path: "/v1/jobs",
  tags: TAGS,
  request: {
    query: z.strictObject({
      ...pageQuery,
      plan: z.string().max(100).optional(),
      state: z.enum(["running", "complete", "incomplete"]).optional(),
    }),
  },
  responses: { 200: json(pageSchema(jobSchema), "Jobs, newest first") },
});
const read = createRoute({
  method: "get",
  path: "/v1/jobs/{id}",
  tags: TAGS,
  request: idParam,
  responses: { 200: json(jobSchema, "One job") },
});
const tiles = createRoute({
  method: "get",
  path: "/v1/jobs/{id}/tiles",
  tags: TAGS,
  request: { ...idParam, query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(tileSchema), "Its tiles by number") },
});
const shards = createRoute({
  method: "get",
  path: "/v1/jobs/{id}/shards",
  tags: TAGS,
  request: { ...idParam, query: z.strictObject({ ...pageQuery, tile: numberParam({ min: 0, max: 1_000_000_000 }).optional() }) },
  responses: { 200: json(pageSchema(shardSchema), "Its shards, with live progress of those that run") },
});
const cancel = createRoute({
  method: "post",
  path: "/v1/jobs/{id}/cancel",
  tags: TAGS,
  request: { ...idParam, ...body(z.strictObject({ reason: z.string().trim().min(1, "say why").max(200) })) },
  responses: { 200: json(jobSchema, "Its open tiles are abandoned: they cover nothing and close nothing") },
});

/** Jobs with their tiles and shards. */
export function jobRoutes({ ledger, clock, region }: ApiDeps) {
  const find = async (id: string): Promise<Job> => found(await ledger.job(id), "job", id, "/v1/jobs");
  return newApi()
    .openapi(list, async (c) => {
      const { plan, state } = c.req.valid("query");
      const page = openPage(c.req.path, c.req.valid("query"));
      const rows = await ledger.listJobs({
        limit: page.limit,
        ...(page.after === undefined ? {} : { cursor: page.after }),
        ...(plan === undefined ? {} : { plan }),
        ...(state === undefined ? {} : { state }),
      });
      return c.json(closePage(c, page, rows), 200);
    })
    .openapi(read, async (c) => c.json(await find(c.req.valid("param").id), 200))
    .openapi(tiles, async (c) => {
      const { id } = c.req.valid("param");
      const page = openPage(c.req.path, c.req.valid("query"));
      const cursor = page.after === undefined ? {} : { cursor: page.after };
      const [, rows] = await Promise.all([find(id), ledger.listTiles({ job: id, limit: page.limit, ...cursor })]);
      return c.json(closePage(c, page, rows), 200);
    })
    .openapi(shards, async (c) => {
      const { id } = c.req.valid("param");
      const { tile } = c.req.valid("query");
      const page = openPage(c.req.path, c.req.valid("query"));
      const cursor = page.after === undefined ? {} : { cursor: page.after };
      const query = { job: id, nowMs: clock(), limit: page.limit, ...cursor, ...(tile === undefined ? {} : { tile }) };
      const [, rows] = await Promise.all([find(id), ledger.listShards(query)]);
      return c.json(closePage(c, page, rows), 200);
    })
    .openapi(cancel, async (c) => {
      const job = await find(c.req.valid("param").id);
      if (job.home !== region) {
        throw new PortolanError("conflict", `this job's home is region "${job.home}", not "${region}"; ask the API of that region`);
      }
      // Cancelling twice is one cancellation.
      if (job.state === "running")
        await askKeeper({ ledger, clock, region }, "cancel-job", { job: job.id, reason: c.req.valid("json").reason });
      return c.json(await find(job.id), 200);
    });
}
