import { z } from "@hono/zod-openapi";
import { ROLES } from "../registry/types.ts";
import { tokenRow } from "../registry/tokens.ts";
import { tagged, writerOf } from "./conditional.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { body, createRoute, deletedSchema, json } from "./define.ts";
import { durationSchema, parseDuration } from "./duration.ts";
import { closePage, openPage, pageQuery, pageSchema, slicePage } from "./page.ts";

const tokenSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(ROLES),
    scope: z
      .object({ regions: z.array(z.string()).readonly().nullable(), groups: z.array(z.string()).readonly().nullable() })
      .openapi({ description: "it changes and starts only what belongs to these regions and scanner groups; null: to any" }),
    createdAtMs: z.int(),
    expiresAtMs: z.int().nullable(),
    revokedAtMs: z.int().nullable(),
    lastUsedAtMs: z.int().nullable().openapi({ description: "accurate to some minutes" }),
  })
  .openapi("Token");
const TAGS = ["tokens"];

const me = createRoute({
  method: "get",
  path: "/v1/me",
  tags: TAGS,
  responses: { 200: json(tokenSchema, "The token that asks") },
});
const list = createRoute({
  method: "get",
  path: "/v1/tokens",
  tags: TAGS,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(tokenSchema), "Tokens, without their secrets") },
});
const create = createRoute({
  method: "post",
  path: "/v1/tokens",
  tags: TAGS,
  request: body(
    z.strictObject({
      name: z.string().trim().min(1).max(100),
      role: z.enum(ROLES),
      expiresIn: durationSchema.nullable().default(null),
      regions: z.array(z.string().max(100)).min(1).max(256).nullable().default(null).openapi({ description: "null: all" }),
      groups: z.array(z.string().max(100)).min(1).max(256).nullable().default(null).openapi({ description: "null: all" }),
    }),
  ),
  responses: { 201: json(tokenSchema.extend({ token: z.string().openapi({ description: "shown this once" }) }), "Created") },
});
const read = createRoute({
  method: "get",
  path: "/v1/tokens/{id}",
  tags: TAGS,
  request: { params: z.object({ id: z.string().max(100) }) },
  responses: { 200: json(tokenSchema, "One token, without its secret") },
});
const revoke = createRoute({
  method: "delete",
  path: "/v1/tokens/{id}",
  tags: TAGS,
  request: { params: z.object({ id: z.string().max(100) }) },
  responses: { 200: json(deletedSchema, "Revoked") },
});

/** Tokens of people and programs. */
export function tokenRoutes({ registry, clock }: ApiDeps) {
  return newApi()
    .openapi(me, (c) => c.json(c.get("token"), 200))
    .openapi(list, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const { items, next } = slicePage(await registry.tokens.list(), ({ id }) => id, page);
      return c.json(closePage(c, page, { items, next }), 200);
    })
    .openapi(create, async (c) => {
      const { name, role, expiresIn, regions, groups } = c.req.valid("json");
      const expiresAtMs = expiresIn === null ? null : clock() + parseDuration(expiresIn) * 1_000;
      const { info, text } = await registry.tokens.issue({ name, role, expiresAtMs, scope: { regions, groups } }, writerOf(c));
      return c.json(tagged(c, tokenRow(info), { ...info, token: text }), 201);
    })
    .openapi(read, async (c) => {
      const { id } = c.req.valid("param");
      const tokens = await registry.tokens.list();
      const token = found(
        tokens.find((candidate) => candidate.id === id),
        "token",
        id,
        "/v1/tokens",
      );
      return c.json(tagged(c, tokenRow(token), token), 200);
    })
    .openapi(revoke, async (c) => {
      const { id } = c.req.valid("param");
      await registry.tokens.revoke(id, writerOf(c));
      return c.json({ deleted: id }, 200);
    });
}
