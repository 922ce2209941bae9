import { z } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import { countAddresses, parseRange } from "../core/range.ts";
import { allRangeGroups, rangesOfGroup } from "../registry/rules/resolve.ts";
import { plansWithRangeGroup } from "../registry/rules/change.ts";
import type { RangeGroup, RegistryState } from "../registry/types.ts";
import { tagged, taggedList, writing } from "./conditional.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { body, createRoute, deletedSchema, json } from "./define.ts";
import { closePage, openPage, pageQuery, pageSchema, slicePage } from "./page.ts";

const summarySchema = z
  .object({
    name: z.string(),
    builtIn: z.boolean(),
    allowSpecialPurpose: z.boolean().openapi({ description: "plans may scan what it holds of private and other special-purpose blocks" }),
    ranges: z.int().openapi({ description: "how many ranges it holds" }),
    addresses: z.string().openapi({ description: "how many addresses, in decimal: more than a number can hold with IPv6" }),
    plans: z.array(z.string()).readonly().openapi({ description: "plans that use it" }),
  })
  .openapi("RangeGroup");
const entrySchema = z.object({ range: z.string(), text: z.string().openapi({ description: "as it was typed" }) }).openapi("Range");
const rangesBody = z.strictObject({ ranges: z.array(z.string().min(1).max(100)).min(1).max(10_000) });
const nameParam = { params: z.object({ name: z.string().max(100) }) };
const TAGS = ["ranges"];

const list = createRoute({
  method: "get",
  path: "/v1/range-groups",
  tags: TAGS,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(summarySchema), "Range groups by name; @scanners is built in") },
});
const create = createRoute({
  method: "post",
  path: "/v1/range-groups",
  tags: TAGS,
  request: body(
    z.strictObject({
      name: z.string().max(100),
      ranges: z.array(z.string().min(1).max(100)).max(10_000).default([]),
      allowSpecialPurpose: z.boolean().optional(),
    }),
  ),
  responses: { 200: json(summarySchema, "It was there already, with the same ranges"), 201: json(summarySchema, "Created") },
});
const read = createRoute({
  method: "get",
  path: "/v1/range-groups/{name}",
  tags: TAGS,
  request: nameParam,
  responses: { 200: json(summarySchema, "One range group") },
});
const remove = createRoute({
  method: "delete",
  path: "/v1/range-groups/{name}",
  tags: TAGS,
  request: nameParam,
  responses: { 200: json(deletedSchema, "Deleted") },
});
const listRanges = createRoute({
  method: "get",
  path: "/v1/range-groups/{name}/ranges",
  tags: TAGS,
  request: { ...nameParam, query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(entrySchema), "Its ranges by address") },
});
const addRanges = createRoute({
  method: "post",
  path: "/v1/range-groups/{name}/ranges",
  tags: TAGS,
  request: { ...nameParam, ...body(rangesBody) },
  responses: { 200: json(summarySchema, "The group holds these ranges now; an overlap refuses all of them") },
});
const setRanges = createRoute({
  method: "put",
  path: "/v1/range-groups/{name}/ranges",
  tags: TAGS,
  request: { ...nameParam, ...body(z.strictObject({ ranges: z.array(z.string().min(1).max(100)).max(50_000) })) },
  responses: { 200: json(summarySchema, "The group holds exactly these ranges now") },
});
const removeRanges = createRoute({
  method: "delete",
  path: "/v1/range-groups/{name}/ranges",
  tags: TAGS,
  request: {
    ...nameParam,
    query: z.strictObject({ range: z.union([z.string().min(1).max(100), z.array(z.string().min(1).max(100)).max(200)]) }),
  },
  responses: { 200: json(summarySchema, "The group no longer holds these ranges") },
});

/** Range groups and their ranges. */
export function rangeRoutes({ registry }: ApiDeps) {
  return newApi()
    .openapi(list, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const state = await registry.state();
      const { items, next } = slicePage(allRangeGroups(state), (group) => group.name, page);
      return c.json(taggedList(c, state.version, closePage(c, page, { items: items.map((group) => summarise(state, group)), next })), 200);
    })
    .openapi(create, async (c) => {
      const written = await writing(c, registry).addRangeGroup(c.req.valid("json"));
      return c.json(tagged(c, written.value, summarise(await registry.state(), written.value)), written.changed ? 201 : 200);
    })
    .openapi(read, async (c) => {
      const state = await registry.state();
      const group = findGroup(state, c.req.valid("param").name);
      return c.json(tagged(c, group, summarise(state, group)), 200);
    })
    .openapi(remove, async (c) => {
      const { name } = c.req.valid("param");
      await writing(c, registry).deleteRangeGroup(name);
      return c.json({ deleted: name }, 200);
    })
    .openapi(listRanges, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const group = findGroup(await registry.state(), c.req.valid("param").name);
      // Entries are in the order of their addresses, so the place of the last one is the cursor; a range that went away meanwhile skips none.
      const from = page.after === undefined ? 0 : placeAfter(group, page.after);
      const items = group.ranges.slice(from, from + page.limit);
      const last = items.at(-1);
      const next = from + page.limit < group.ranges.length && last !== undefined ? last.canonical : null;
      return c.json(closePage(c, page, { items: items.map((entry) => ({ range: entry.canonical, text: entry.text })), next }), 200);
    })
    .openapi(addRanges, async (c) => {
      const written = await writing(c, registry).addRanges({ group: c.req.valid("param").name, ranges: c.req.valid("json").ranges });
      return c.json(tagged(c, written.value, summarise(await registry.state(), written.value)), 200);
    })
    .openapi(setRanges, async (c) => {
      const written = await writing(c, registry).setRanges({ group: c.req.valid("param").name, ranges: c.req.valid("json").ranges });
      return c.json(tagged(c, written.value, summarise(await registry.state(), written.value)), 200);
    })
    .openapi(removeRanges, async (c) => {
      const { range } = c.req.valid("query");
      const written = await writing(c, registry).removeRanges({
        group: c.req.valid("param").name,
        ranges: typeof range === "string" ? [range] : range,
      });
      return c.json(tagged(c, written.value, summarise(await registry.state(), written.value)), 200);
    });
}

function findGroup(state: RegistryState, name: string): RangeGroup {
  return found(
    allRangeGroups(state).find((group) => group.name === name),
    "range group",
    name,
    "/v1/range-groups",
  );
}

function placeAfter(group: RangeGroup, canonical: string): number {
  try {
    const { first } = parseRange(canonical);
    const place = group.ranges.findIndex((entry) => parseRange(entry.canonical).first > first);
    return place === -1 ? group.ranges.length : place;
  } catch (error) {
    throw new PortolanError("invalid", "this cursor was damaged; begin again without a cursor", { cause: error });
  }
}

function summarise(state: RegistryState, group: RangeGroup): z.infer<typeof summarySchema> {
  const ranges = rangesOfGroup(group);
  return {
    name: group.name,
    builtIn: group.builtIn,
    allowSpecialPurpose: group.builtIn || group.allowSpecialPurpose === true,
    ranges: group.ranges.length,
    addresses: countAddresses(ranges).toString(),
    plans: plansWithRangeGroup(state, group.name).map((plan) => plan.name),
  };
}
