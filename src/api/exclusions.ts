import { z } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { body, createRoute, deletedSchema, json } from "./define.ts";
import { closePage, openPage, pageQuery, pageSchema, slicePage } from "./page.ts";

const exclusionSchema = z
  .object({
    id: z.string(),
    ranges: z.array(z.string()).readonly(),
    ports: z.string().nullable().openapi({ description: "null excludes the addresses altogether" }),
    owner: z.string(),
    reason: z.string(),
    expiresAtMs: z.int().nullable(),
    createdAtMs: z.int(),
    expired: z.boolean(),
  })
  .openapi("Exclusion");
const inputSchema = z.strictObject({
  ranges: z.array(z.string().min(1).max(100)).min(1).max(1_000),
  ports: z.string().min(1).max(20_000).nullable().default(null),
  owner: z.string().trim().min(1, "say who asked for it").max(200),
  reason: z.string().trim().min(1, "say why").max(500),
  expiresAt: z.iso.datetime({ offset: true, error: "a time like 2027-01-31T12:00:00Z" }).nullable().default(null),
});
const TAGS = ["exclusions"];

const list = createRoute({
  method: "get",
  path: "/v1/exclusions",
  tags: TAGS,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(exclusionSchema), "What is never probed") },
});
const create = createRoute({
  method: "post",
  path: "/v1/exclusions",
  tags: TAGS,
  request: body(inputSchema),
  responses: { 200: json(exclusionSchema, "It was there already"), 201: json(exclusionSchema, "Created") },
});
const remove = createRoute({
  method: "delete",
  path: "/v1/exclusions/{id}",
  tags: TAGS,
  request: { params: z.object({ id: z.string().max(100) }) },
  responses: { 200: json(deletedSchema, "Deleted: from the next job on it may be probed again") },
});

/** Addresses, or addresses and ports, that are never probed. */
export function exclusionRoutes({ registry, clock }: ApiDeps) {
  const show = <T extends { readonly expiresAtMs: number | null }>(exclusion: T): T & { expired: boolean } => ({
    ...exclusion,
    expired: exclusion.expiresAtMs !== null && exclusion.expiresAtMs <= clock(),
  });
  return newApi()
    .openapi(list, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const { items, next } = slicePage((await registry.state()).exclusions, (exclusion) => exclusion.id, page);
      return c.json(closePage(c, page, { items: items.map(show), next }), 200);
    })
    .openapi(create, async (c) => {
      const { expiresAt, ...input } = c.req.valid("json");
      const expiresAtMs = expiresAt === null ? null : Date.parse(expiresAt);
      if (Number.isNaN(expiresAtMs)) throw new PortolanError("invalid", `"${expiresAt}" is not a time; write it like 2027-01-31T12:00:00Z`);
      const written = await registry.addExclusion({ ...input, expiresAtMs });
      return c.json(show(written.value), written.changed ? 201 : 200);
    })
    .openapi(remove, async (c) => {
      const { id } = c.req.valid("param");
      await registry.deleteExclusion(id);
      return c.json({ deleted: id }, 200);
    });
}
