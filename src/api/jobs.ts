import { z } from "@hono/zod-openapi";
import { ratePps } from "./accounting.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { createRoute, json } from "./define.ts";
import {
  heldTileSchema,
  idParam,
  JOB_STATES,
  jobSchema,
  reportSchema,
  SHARD_STATES,
  shardSchema,
  TILE_MAX,
  tileSchema,
} from "./job-schema.ts";
import { closePage, numberParam, openPage, pageQuery, pageSchema } from "./page.ts";

const TAGS = ["jobs"];

const list = createRoute({
  method: "get",
  path: "/v1/jobs",
  tags: TAGS,
  request: { query: z.strictObject({ ...pageQuery, plan: z.string().max(100).optional(), state: z.enum(JOB_STATES).optional() }) },
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
const held = createRoute({
  method: "get",
  path: "/v1/jobs/{id}/held",
  tags: TAGS,
  request: idParam,
  responses: {
    200: json(z.object({ items: z.array(heldTileSchema).readonly() }), "Tiles that the brake holds, oldest first; at most 1,000"),
  },
});
const shards = createRoute({
  method: "get",
  path: "/v1/jobs/{id}/shards",
  tags: TAGS,
  request: {
    ...idParam,
    query: z.strictObject({
      ...pageQuery,
      tile: numberParam({ min: 0, max: TILE_MAX }).optional(),
      state: z.enum(SHARD_STATES).optional(),
    }),
  },
  responses: { 200: json(pageSchema(shardSchema), "Its shards, with live progress of those that run") },
});
const reports = createRoute({
  method: "get",
  path: "/v1/jobs/{id}/reports",
  tags: TAGS,
  request: { ...idParam, query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(reportSchema), "What was reported, by tile, shard and attempt") },
});

/** Jobs with their tiles, shards and reports. */
export function jobRoutes({ ledger, clock }: ApiDeps) {
  const find = async (id: string) => found(await ledger.job(id), "job", id, "/v1/jobs");
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
    .openapi(held, async (c) => {
      const { id } = c.req.valid("param");
      const [, rows] = await Promise.all([find(id), ledger.heldTiles({ job: id })]);
      return c.json({ items: rows }, 200);
    })
    .openapi(shards, async (c) => {
      const { id } = c.req.valid("param");
      const { tile, state } = c.req.valid("query");
      const page = openPage(c.req.path, c.req.valid("query"));
      const query = {
        job: id,
        nowMs: clock(),
        limit: page.limit,
        ...(page.after === undefined ? {} : { cursor: page.after }),
        ...(tile === undefined ? {} : { tile }),
        ...(state === undefined ? {} : { state }),
      };
      const [, rows] = await Promise.all([find(id), ledger.listShards(query)]);
      return c.json(closePage(c, page, rows), 200);
    })
    .openapi(reports, async (c) => {
      const { id } = c.req.valid("param");
      const page = openPage(c.req.path, c.req.valid("query"));
      const cursor = page.after === undefined ? {} : { cursor: page.after };
      const [, rows] = await Promise.all([find(id), ledger.listReports({ job: id, limit: page.limit, ...cursor })]);
      const items = rows.items.map((row) => ({ ...row, ratePps: ratePps(row.probesSent, row.endedAtMs - row.startedAtMs) }));
      return c.json(closePage(c, page, { items, next: rows.next }), 200);
    });
}
