import { z } from "@hono/zod-openapi";
import type { DenyRow } from "../ledger/denies.ts";
import { askKeeper } from "./command.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { body, createRoute, json } from "./define.ts";
import { durationSchema, parseDuration } from "./duration.ts";
import { closePage, openPage, pageQuery, pageSchema } from "./page.ts";

const TAGS = ["deny"];
const liftSchema = z.object({ by: z.string(), reason: z.string(), atMs: z.int() });
const denySchema = z
  .object({
    id: z.string(),
    ranges: z.array(z.string()).readonly(),
    ports: z.string().nullable().openapi({ description: "null: every port" }),
    reason: z.string(),
    by: z.string(),
    atMs: z.int(),
    expiresAtMs: z.int().nullable().openapi({ description: "null: until it is lifted" }),
    lifted: liftSchema.nullable(),
    inForce: z.boolean(),
  })
  .openapi("Deny");
const reasonSchema = z.string().trim().min(1, "say why").max(200);
const inputSchema = z
  .strictObject({
    ranges: z.array(z.string().min(1).max(100)).min(1).max(1_000),
    ports: z.string().min(1).max(20_000).nullable().default(null).openapi({ description: "null: the addresses altogether" }),
    reason: reasonSchema,
    for: durationSchema.nullable().default(null).openapi({ description: "how long it holds; null: until it is lifted" }),
  })
  .openapi("DenyInput");
const idParam = { params: z.object({ id: z.string().regex(/^[0-9a-f]{64}$/, "64 lower-case hex digits") }) };

const list = createRoute({
  method: "get",
  path: "/v1/deny",
  tags: TAGS,
  request: { query: z.strictObject({ ...pageQuery, state: z.enum(["in-force", "all"]).optional() }) },
  responses: { 200: json(pageSchema(denySchema), "What was denied, newest first; `state=in-force` leaves out what has ended") },
});
const create = createRoute({
  method: "post",
  path: "/v1/deny",
  tags: TAGS,
  request: body(inputSchema),
  responses: {
    201: json(denySchema, "Committed in this region: its scanners stop at once, other regions follow as the record reaches them"),
  },
});
const read = createRoute({
  method: "get",
  path: "/v1/deny/{id}",
  tags: TAGS,
  request: idParam,
  responses: { 200: json(denySchema, "One deny") },
});
const lift = createRoute({
  method: "post",
  path: "/v1/deny/{id}/lift",
  tags: TAGS,
  request: { ...idParam, ...body(z.strictObject({ reason: reasonSchema })) },
  responses: { 200: json(denySchema, "It has ended; what it hit may be probed again from the next job on") },
});

const committedSchema = z.object({ deny: z.string() });

/** Emergencies: what nobody may probe, from any region, whether or not the registry answers. */
export function denyRoutes({ ledger, clock, region }: ApiDeps) {
  const find = async (id: string): Promise<DenyRow> => found(await ledger.deny(id), "deny", id, "/v1/deny");
  const show = (row: DenyRow): z.infer<typeof denySchema> => ({
    ...row,
    inForce: row.lifted === null && (row.expiresAtMs === null || row.expiresAtMs > clock()),
  });
  const ask = async (kind: "deny" | "lift-deny", order: object): Promise<string> =>
    committedSchema.parse(await askKeeper({ ledger, clock, region }, kind, order)).deny;
  return newApi()
    .openapi(list, async (c) => {
      const query = c.req.valid("query");
      const page = openPage(c.req.path, query);
      const { limit, after } = page;
      const rows = await ledger.listDenies({
        only: query.state ?? "all",
        nowMs: clock(),
        limit,
        ...(after === undefined ? {} : { cursor: after }),
      });
      return c.json(closePage(c, page, { items: rows.items.map(show), next: rows.next }), 200);
    })
    .openapi(create, async (c) => {
      const { for: duration, ...input } = c.req.valid("json");
      const expiresAtMs = duration === null ? null : clock() + parseDuration(duration) * 1_000;
      const id = await ask("deny", { ...input, by: c.get("token").name, expiresAtMs });
      c.header("Location", `/v1/deny/${id}`);
      return c.json(show(await find(id)), 201);
    })
    .openapi(read, async (c) => c.json(show(await find(c.req.valid("param").id)), 200))
    .openapi(lift, async (c) => {
      const { id } = c.req.valid("param");
      await ask("lift-deny", { deny: id, reason: c.req.valid("json").reason, by: c.get("token").name });
      return c.json(show(await find(id)), 200);
    });
}
