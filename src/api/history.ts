import { z } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import { digestSchema } from "../core/messages/common.ts";
import type { DiffPoint } from "../ledger/history.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { createRoute, json } from "./define.ts";
import { closePage, numberParam, openPage, pageQuery, pageSchema } from "./page.ts";
import { protocolSchema, serviceKeyOf, serviceParams, stateSchema } from "./service-schema.ts";

const TAGS = ["history"];
/** Each page reads the history of that many services, so that an answer comes in time. */
const LOOKED_AT_MAX = 200;
const LOOKED_AT_DEFAULT = 50;

const keySchema = { address: z.string(), protocol: protocolSchema, port: z.int() };
const intervalSchema = z.object({
  fromMs: z.int().openapi({ description: "inclusive" }),
  toMs: z.int().nullable().openapi({ description: "exclusive; null: still so" }),
  state: stateSchema,
});
const historySchema = z
  .object({
    ...keySchema,
    intervals: z.array(intervalSchema).readonly(),
    turns: z
      .array(z.object({ atMs: z.int(), kind: z.enum(["first-observed", "opened", "reopened", "seen-again", "missing", "closed"]) }))
      .readonly(),
    sinceMs: z.int().nullable().openapi({ description: "from when on this is whole; null: from the beginning" }),
  })
  .openapi("History");
const pagesNote = "a page may be short or empty although more follow: only next_cursor tells";
const historyPageQuery = { ...pageQuery, limit: numberParam({ min: 1, max: LOOKED_AT_MAX }).optional() };
const pointText = 'a time like 2026-11-20T12:00:00Z, or a job as "job:" and its id';

const history = createRoute({
  method: "get",
  path: "/v1/services/{address}/{protocol}/{port}/history",
  tags: TAGS,
  request: serviceParams,
  responses: { 200: json(historySchema, "When it was open, missing and closed, by the stamps of the records") },
});
const openAt = createRoute({
  method: "get",
  path: "/v1/history/open",
  tags: TAGS,
  request: {
    query: z.strictObject({ ...historyPageQuery, asOf: z.string().max(40).openapi({ description: "a time like 2026-11-20T12:00:00Z" }) }),
  },
  responses: {
    200: json(
      pageSchema(z.object({ ...keySchema, state: stateSchema })),
      `What was open or missing at that moment, by address; ${pagesNote}`,
    ),
  },
});
const diff = createRoute({
  method: "get",
  path: "/v1/diff",
  tags: TAGS,
  request: {
    query: z.strictObject({
      ...historyPageQuery,
      from: z.string().max(100).openapi({ description: pointText }),
      to: z.string().max(100).openapi({ description: pointText }),
    }),
  },
  responses: {
    200: json(
      pageSchema(
        z.object({
          ...keySchema,
          difference: z.enum(["appeared", "disappeared", "not-comparable"]).openapi({
            description: "not-comparable: open at one of the two, and not covered at the other",
          }),
        }),
      ),
      `What differs between two moments or jobs, by address; ${pagesNote}`,
    ),
  },
});

/** What was, as a function of the records: the same in every region that holds them. */
export function historyRoutes({ ledger, clock }: ApiDeps) {
  return newApi()
    .openapi(history, async (c) => {
      const key = serviceKeyOf(c.req.valid("param"));
      const name = `${key.address} ${key.port}/${key.protocol}`;
      return c.json({ ...key, ...found(await ledger.history(key), "service", name, "/v1/services?state=all") }, 200);
    })
    .openapi(openAt, async (c) => {
      const { asOf, limit = LOOKED_AT_DEFAULT } = c.req.valid("query");
      const page = openPage(c.req.path, c.req.valid("query"));
      const cursor = page.after === undefined ? {} : { cursor: page.after };
      const rows = await ledger.openAt({ atMs: momentOf(asOf, clock()), limit, ...cursor });
      return c.json(closePage(c, page, rows), 200);
    })
    .openapi(diff, async (c) => {
      const { from, to, limit = LOOKED_AT_DEFAULT } = c.req.valid("query");
      const page = openPage(c.req.path, c.req.valid("query"));
      const cursor = page.after === undefined ? {} : { cursor: page.after };
      const points = { a: pointOf(from, clock()), b: pointOf(to, clock()) };
      const rows = await ledger.diff({ ...points, limit, ...cursor });
      return c.json(closePage(c, page, rows), 200);
    });
}

function pointOf(text: string, nowMs: number): DiffPoint {
  if (!text.startsWith("job:")) return { atMs: momentOf(text, nowMs) };
  const job = digestSchema.safeParse(text.slice(4));
  if (job.success) return { job: job.data };
  throw new PortolanError(
    "invalid",
    `"${text.slice(0, 80)}" names no job; write "job:" and the 64 digits of its id, as GET /v1/jobs lists it`,
  );
}

function momentOf(text: string, nowMs: number): number {
  const timeMs = /^\d{4}-\d{2}-\d{2}([T ]|$)/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(timeMs)) throw new PortolanError("invalid", `"${text}" is no time; write it like 2026-11-20T12:00:00Z`);
  if (timeMs > nowMs) throw new PortolanError("invalid", `"${text}" is not over yet; give a time up to now`);
  return timeMs;
}
