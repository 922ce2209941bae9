import { z } from "@hono/zod-openapi";
import { shardPlaces } from "../core/shard.ts";
import { allGroups } from "../registry/rules/resolve.ts";
import type { RegistryState, ScannerGroup } from "../registry/types.ts";
import { tagged, taggedList, writing } from "./conditional.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { body, createRoute, deletedSchema, json } from "./define.ts";
import { closePage, openPage, pageQuery, pageSchema, slicePage } from "./page.ts";

const groupSchema = z
  .object({
    name: z.string(),
    builtIn: z.boolean(),
    members: z
      .array(z.object({ scanner: z.string(), pinned: z.int().nullable(), place: z.int() }))
      .readonly()
      .openapi({ description: "place k of n members runs shard k/n" }),
    plans: z.array(z.string()).readonly().openapi({ description: "plans that use it" }),
  })
  .openapi("ScannerGroup");
const memberSchema = z.strictObject({ scanner: z.string().max(100), pinned: z.int().min(1).max(1_000).nullable().default(null) });
const membersSchema = z.array(memberSchema).max(1_000);
const nameParam = { params: z.object({ name: z.string().max(100) }) };
const TAGS = ["scanner groups"];

const list = createRoute({
  method: "get",
  path: "/v1/groups",
  tags: TAGS,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(groupSchema), "Scanner groups by name; @all is built in") },
});
const create = createRoute({
  method: "post",
  path: "/v1/groups",
  tags: TAGS,
  request: body(z.strictObject({ name: z.string().max(100), members: membersSchema.default([]) })),
  responses: { 200: json(groupSchema, "It was there already, with the same members"), 201: json(groupSchema, "Created") },
});
const read = createRoute({
  method: "get",
  path: "/v1/groups/{name}",
  tags: TAGS,
  request: nameParam,
  responses: { 200: json(groupSchema, "One scanner group") },
});
const remove = createRoute({
  method: "delete",
  path: "/v1/groups/{name}",
  tags: TAGS,
  request: nameParam,
  responses: { 200: json(deletedSchema, "Deleted") },
});
const setMembers = createRoute({
  method: "put",
  path: "/v1/groups/{name}/members",
  tags: TAGS,
  request: { ...nameParam, ...body(z.strictObject({ members: membersSchema })) },
  responses: { 200: json(groupSchema, "The group has exactly these members now") },
});
const addMember = createRoute({
  method: "post",
  path: "/v1/groups/{name}/members",
  tags: TAGS,
  request: { ...nameParam, ...body(memberSchema) },
  responses: { 200: json(groupSchema, "The scanner is a member now") },
});
const removeMember = createRoute({
  method: "delete",
  path: "/v1/groups/{name}/members/{scanner}",
  tags: TAGS,
  request: { params: z.object({ name: z.string().max(100), scanner: z.string().max(100) }) },
  responses: { 200: json(groupSchema, "The scanner is no member any more") },
});

/** Scanner groups: who shares the shards of a job. */
export function groupRoutes({ registry }: ApiDeps) {
  const show = async (group: ScannerGroup): Promise<z.infer<typeof groupSchema>> => showGroup(await registry.state(), group);
  return newApi()
    .openapi(list, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const state = await registry.state();
      const { items, next } = slicePage(allGroups(state), ({ name }) => name, page);
      return c.json(taggedList(c, state.version, closePage(c, page, { items: items.map((group) => showGroup(state, group)), next })), 200);
    })
    .openapi(create, async (c) => {
      const written = await writing(c, registry).addGroup(c.req.valid("json"));
      return c.json(tagged(c, written.value, await show(written.value)), written.changed ? 201 : 200);
    })
    .openapi(read, async (c) => {
      const { name } = c.req.valid("param");
      const state = await registry.state();
      const group = found(
        allGroups(state).find((candidate) => candidate.name === name),
        "scanner group",
        name,
        "/v1/groups",
      );
      return c.json(tagged(c, group, showGroup(state, group)), 200);
    })
    .openapi(remove, async (c) => {
      const { name } = c.req.valid("param");
      await writing(c, registry).deleteGroup(name);
      return c.json({ deleted: name }, 200);
    })
    .openapi(setMembers, async (c) => {
      const written = await writing(c, registry).setMembers({ group: c.req.valid("param").name, members: c.req.valid("json").members });
      return c.json(tagged(c, written.value, await show(written.value)), 200);
    })
    .openapi(addMember, async (c) => {
      const written = await writing(c, registry).addMember({ group: c.req.valid("param").name, member: c.req.valid("json") });
      return c.json(tagged(c, written.value, await show(written.value)), 200);
    })
    .openapi(removeMember, async (c) => {
      const { name, scanner } = c.req.valid("param");
      const written = await writing(c, registry).removeMember({ group: name, scanner });
      return c.json(tagged(c, written.value, await show(written.value)), 200);
    });
}

function showGroup(state: RegistryState, group: ScannerGroup): z.infer<typeof groupSchema> {
  const named = group.members.map((member) => ({ name: member.scanner, pinned: member.pinned }));
  const places = new Map(named.length === 0 ? [] : shardPlaces(named).map(({ name, place }) => [name, place]));
  return {
    name: group.name,
    builtIn: group.builtIn,
    members: group.members.map((member) => ({ ...member, place: places.get(member.scanner) ?? 0 })),
    plans: state.plans.filter((plan) => plan.group === group.name).map((plan) => plan.name),
  };
}
