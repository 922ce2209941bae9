import { z } from "@hono/zod-openapi";
import { tagged, taggedList, writing } from "./conditional.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { body, createRoute, deletedSchema, json } from "./define.ts";
import { closePage, openPage, pageQuery, pageSchema, slicePage } from "./page.ts";
import { ruleBodies, ruleChanges, ruleInput, ruleSchema, showRule } from "./rule-routes.ts";

const ruleAnswer = ruleSchema("null: every port of the addresses").openapi("KnownGood");
const bodies = ruleBodies({ owner: "say who answers for it", reason: "say why it is expected" });
const idParam = { params: z.object({ id: z.string().max(100) }) };
const TAGS = ["known-good"];

const list = createRoute({
  method: "get",
  path: "/v1/known-good",
  tags: TAGS,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(ruleAnswer), "What is expected open: probed, but hidden from lists by default") },
});
const create = createRoute({
  method: "post",
  path: "/v1/known-good",
  tags: TAGS,
  request: body(bodies.input),
  responses: { 200: json(ruleAnswer, "It was there already"), 201: json(ruleAnswer, "Created") },
});
const read = createRoute({
  method: "get",
  path: "/v1/known-good/{id}",
  tags: TAGS,
  request: idParam,
  responses: { 200: json(ruleAnswer, "One known-good rule") },
});
const change = createRoute({
  method: "patch",
  path: "/v1/known-good/{id}",
  tags: TAGS,
  request: { ...idParam, ...body(bodies.changes) },
  responses: { 200: json(ruleAnswer, "The known-good rule as it is now; it keeps its id") },
});
const remove = createRoute({
  method: "delete",
  path: "/v1/known-good/{id}",
  tags: TAGS,
  request: idParam,
  responses: { 200: json(deletedSchema, "Deleted: within 5 s lists show what it hid") },
});

/** Services that are expected open: still probed and recorded, hidden from lists unless asked for. */
export function knownGoodRoutes({ registry, clock }: ApiDeps) {
  return newApi()
    .openapi(list, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const state = await registry.state();
      const { items, next } = slicePage(state.knownGood, (rule) => rule.id, page);
      const shown = items.map((rule) => showRule(rule, clock()));
      return c.json(taggedList(c, state.version, closePage(c, page, { items: shown, next })), 200);
    })
    .openapi(create, async (c) => {
      const { value, changed } = await writing(c, registry).addKnownGood(ruleInput(c.req.valid("json")));
      return c.json(tagged(c, value, showRule(value, clock())), changed ? 201 : 200);
    })
    .openapi(read, async (c) => {
      const { id } = c.req.valid("param");
      const { knownGood } = await registry.state();
      const rule = found(
        knownGood.find((candidate) => candidate.id === id),
        "known-good rule",
        id,
        "/v1/known-good",
      );
      return c.json(tagged(c, rule, showRule(rule, clock())), 200);
    })
    .openapi(change, async (c) => {
      const { value } = await writing(c, registry).changeKnownGood(c.req.valid("param").id, ruleChanges(c.req.valid("json")));
      return c.json(tagged(c, value, showRule(value, clock())), 200);
    })
    .openapi(remove, async (c) => {
      const { id } = c.req.valid("param");
      await writing(c, registry).deleteKnownGood(id);
      return c.json({ deleted: id }, 200);
    });
}
