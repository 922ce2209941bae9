import { z } from "@hono/zod-openapi";
import { type Webhook, WEBHOOK_EVENTS } from "../registry/types.ts";
import { tagged, taggedList, writing } from "./conditional.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { body, createRoute, deletedSchema, json } from "./define.ts";
import { closePage, openPage, pageQuery, pageSchema, slicePage } from "./page.ts";

const webhookSchema = z
  .object({
    name: z.string(),
    url: z.string(),
    events: z.array(z.enum(WEBHOOK_EVENTS)).readonly(),
    enabled: z.boolean(),
    secrets: z
      .array(z.object({ createdAtMs: z.int(), expiresAtMs: z.int().nullable() }))
      .readonly()
      .openapi({ description: "when they were made; two while the receiver changes over" }),
    createdAtMs: z.int(),
  })
  .openapi("Webhook");
const withSecret = webhookSchema.extend({ secret: z.string().openapi({ description: "shown this once" }) });
const settings = {
  url: z.string().min(1).max(1_000).openapi({ description: "https; in a lab also http to this machine" }),
  events: z.array(z.enum(WEBHOOK_EVENTS)).min(1).max(WEBHOOK_EVENTS.length),
  enabled: z.boolean().optional(),
};
const nameParam = { params: z.object({ name: z.string().max(100) }) };
const TAGS = ["webhooks"];

const list = createRoute({
  method: "get",
  path: "/v1/webhooks",
  tags: TAGS,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(webhookSchema), "Webhooks by name, without their secrets") },
});
const create = createRoute({
  method: "post",
  path: "/v1/webhooks",
  tags: TAGS,
  request: body(z.strictObject({ name: z.string().max(100), ...settings })),
  responses: { 201: json(withSecret, "Created") },
});
const read = createRoute({
  method: "get",
  path: "/v1/webhooks/{name}",
  tags: TAGS,
  request: nameParam,
  responses: { 200: json(webhookSchema, "One webhook") },
});
const change = createRoute({
  method: "patch",
  path: "/v1/webhooks/{name}",
  tags: TAGS,
  request: {
    ...nameParam,
    ...body(z.strictObject({ url: settings.url.optional(), events: settings.events.optional(), enabled: settings.enabled })),
  },
  responses: { 200: json(webhookSchema, "The webhook as it is now") },
});
const remove = createRoute({
  method: "delete",
  path: "/v1/webhooks/{name}",
  tags: TAGS,
  request: nameParam,
  responses: { 200: json(deletedSchema, "Deleted") },
});
const rotate = createRoute({
  method: "post",
  path: "/v1/webhooks/{name}/secret",
  tags: TAGS,
  request: nameParam,
  responses: { 201: json(withSecret, "A new secret; the one before signs for another 24 h") },
});

/** Who is told of what. Nothing is sent from here. */
export function webhookRoutes({ registry, isLab = false }: ApiDeps) {
  const lab = { allowLoopback: isLab };
  return newApi()
    .openapi(list, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const state = await registry.state();
      const { items, next } = slicePage(state.webhooks, ({ name }) => name, page);
      return c.json(taggedList(c, state.version, closePage(c, page, { items: items.map(show), next })), 200);
    })
    .openapi(create, async (c) => {
      const { enabled, ...input } = c.req.valid("json");
      const { value } = await writing(c, registry).addWebhook({ ...input, ...(enabled === undefined ? {} : { enabled }) }, lab);
      return c.json(tagged(c, value, { ...show(value), secret: value.secrets[0]?.secret ?? "" }), 201);
    })
    .openapi(read, async (c) => {
      const { name } = c.req.valid("param");
      const webhook = found(
        (await registry.state()).webhooks.find((candidate) => candidate.name === name),
        "webhook",
        name,
        "/v1/webhooks",
      );
      return c.json(tagged(c, webhook, show(webhook)), 200);
    })
    .openapi(change, async (c) => {
      const { url, events, enabled } = c.req.valid("json");
      const changes = {
        ...(url === undefined ? {} : { url }),
        ...(events === undefined ? {} : { events }),
        ...(enabled === undefined ? {} : { enabled }),
      };
      const { value } = await writing(c, registry).changeWebhook(c.req.valid("param").name, changes, lab);
      return c.json(tagged(c, value, show(value)), 200);
    })
    .openapi(remove, async (c) => {
      const { name } = c.req.valid("param");
      await writing(c, registry).deleteWebhook(name);
      return c.json({ deleted: name }, 200);
    })
    .openapi(rotate, async (c) => {
      const { value } = await writing(c, registry).rotateWebhookSecret(c.req.valid("param").name);
      return c.json(tagged(c, value, { ...show(value), secret: value.secrets[0]?.secret ?? "" }), 201);
    });
}

function show({ secrets, ...webhook }: Webhook): z.infer<typeof webhookSchema> {
  return { ...webhook, secrets: secrets.map(({ createdAtMs, expiresAtMs }) => ({ createdAtMs, expiresAtMs })) };
}
