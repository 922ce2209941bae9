import { z } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { body, createRoute, deletedSchema, json } from "./define.ts";
import { closePage, openPage, pageQuery, pageSchema, slicePage } from "./page.ts";

const ruleSchema = z
  .object({
    id: z.string(),
    ranges: z.array(z.string()).readonly(),
    ports: z.string().nullable().openapi({ description: "null: every port of the addresses" }),
    owner: z.string(),
    reason: z.string(),
    expiresAtMs: z.int().nullable(),
    createdAtMs: z.int(),
    expired: z.boolean(),
  })
  .openapi("KnownGood");
const inputSchema = z.strictObject({
  ranges: z.array(z.string().min(1).max(100)).min(1).max(1_000),
  ports: z.string().min(1).max(20_000).nullable().default(null),
  owner: z.string().trim().min(1, "say who answers for it").max(200),
  reason: z.string().trim().min(1, "say why it is expected").max(500),
  expiresAt: z.iso.datetime({ offset: true, error: "a time like 2027-01-31T12:00:00Z" }).nullable().default(null),
});
const TAGS = ["known-good"];

const list = createRoute({
  method: "get",
  path: "/v1/known-good",
  tags: TAGS,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(ruleSchema), "What is expected open: probed, but hidden from lists by default") },
});
const create = createRoute({
  method: "post",
  path: "/v1/known-good",
  tags: TAGS,
  request: body(inputSchema),
  responses: { 200: json(ruleSchema, "It was there already"), 201: json(ruleSchema, "Created") },
});
const remove = createRoute({
  method: "delete",
  path: "/v1/known-good/{id}",
  tags: TAGS,
  request: { params: z.object({ id: z.string().max(100) }) },
  responses: { 200: json(deletedSchema, "Deleted: within 5 s lists show what it hid") },
});

/** Services that are expected open: still probed and recorded, hidden from lists unless asked for. */
export function knownGoodRoutes({ registry, clock }: ApiDeps) {
  const show = <T extends { readonly expiresAtMs: number | null }>(rule: T): T & { expired: boolean } => ({
    ...rule,
    expired: rule.expiresAtMs !== null && rule.expiresAtMs <= clock(),
  });
  return newApi()
    .openapi(list, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const { items, next } = slicePage((await registry.state()).knownGood, (rule) => rule.id, page);
      return c.json(closePage(c, page, { items: items.map(show), next }), 200);
    })
    .openapi(create, async (c) => {
      const { expiresAt, ...input } = c.req.valid("json");
      const expiresAtMs = expiresAt === null ? null : Date.parse(expiresAt);
      if (Number.isNaN(expiresAtMs)) throw new PortolanError("invalid", `"${expiresAt}" is not a time; write it like 2027-01-31T12:00:00Z`);
      const written = await registry.addKnownGood({ ...input, expiresAtMs });
      return c.json(show(written.value), written.changed ? 201 : 200);
    })
    .openapi(remove, async (c) => {
      const { id } = c.req.valid("param");
      await registry.deleteKnownGood(id);
      return c.json({ deleted: id }, 200);
    });
}
