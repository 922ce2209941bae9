import { z } from "@hono/zod-openapi";
import { tagged, taggedList, writing } from "./conditional.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { body, createRoute, deletedSchema, json } from "./define.ts";
import { closePage, openPage, pageQuery, pageSchema, slicePage } from "./page.ts";
import { ruleBodies, ruleChanges, ruleInput, ruleSchema, showRule } from "./rule-routes.ts";

const exclusionSchema = ruleSchema("null excludes the addresses altogether").openapi("Exclusion");
const bodies = ruleBodies({ owner: "say who asked for it", reason: "say why" });
const idParam = { params: z.object({ id: z.string().max(100) }) };
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
  request: body(bodies.input),
  responses: { 200: json(exclusionSchema, "It was there already"), 201: json(exclusionSchema, "Created") },
});
const read = createRoute({
  method: "get",
  path: "/v1/exclusions/{id}",
  tags: TAGS,
  request: idParam,
  responses: { 200: json(exclusionSchema, "One exclusion") },
});
const change = createRoute({
  method: "patch",
  path: "/v1/exclusions/{id}",
  tags: TAGS,
  request: { ...idParam, ...body(bodies.changes) },
  responses: { 200: json(exclusionSchema, "The exclusion as it is now; it keeps its id") },
});
const remove = createRoute({
  method: "delete",
  path: "/v1/exclusions/{id}",
  tags: TAGS,
  request: idParam,
  responses: { 200: json(deletedSchema, "Deleted: from the next job on it may be probed again") },
});

/** Addresses, or addresses and ports, that are never probed. */
export function exclusionRoutes({ registry, clock }: ApiDeps) {
  return newApi()
    .openapi(list, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const state = await registry.state();
      const { items, next } = slicePage(state.exclusions, (rule) => rule.id, page);
      const shown = items.map((rule) => showRule(rule, clock()));
      return c.json(taggedList(c, state.version, closePage(c, page, { items: shown, next })), 200);
    })
    .openapi(create, async (c) => {
      const { value, changed } = await writing(c, registry).addExclusion(ruleInput(c.req.valid("json")));
      return c.json(tagged(c, value, showRule(value, clock())), changed ? 201 : 200);
    })
    .openapi(read, async (c) => {
      const { id } = c.req.valid("param");
      const { exclusions } = await registry.state();
      const rule = found(
        exclusions.find((candidate) => candidate.id === id),
        "exclusion",
        id,
        "/v1/exclusions",
      );
      return c.json(tagged(c, rule, showRule(rule, clock())), 200);
    })
    .openapi(change, async (c) => {
      const { value } = await writing(c, registry).changeExclusion(c.req.valid("param").id, ruleChanges(c.req.valid("json")));
      return c.json(tagged(c, value, showRule(value, clock())), 200);
    })
    .openapi(remove, async (c) => {
      const { id } = c.req.valid("param");
      await writing(c, registry).deleteExclusion(id);
      return c.json({ deleted: id }, 200);
    });
}
