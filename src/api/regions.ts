import { z } from "@hono/zod-openapi";
import type { LogStand, PeerState } from "../ledger/peer-types.ts";
import { findRegion } from "../registry/rules/regions.ts";
import { REGION_STATES, type Region, type RegistryState } from "../registry/types.ts";
import { tagged, taggedList, writing } from "./conditional.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { body, createRoute, json } from "./define.ts";
import { closePage, openPage, pageQuery, pageSchema, slicePage } from "./page.ts";

const url = z.string().max(300);
const factsSchema = {
  natsUrl: url
    .nullable()
    .optional()
    .openapi({ description: "where other regions' keepers reach its message server", example: "tls://nats.eu.example:4222" }),
  apiUrl: url.nullable().optional().openapi({ description: "where its API answers", example: "https://eu.example" }),
  keeperPublicKeys: z
    .array(z.string().max(100))
    .max(64)
    .optional()
    .openapi({ description: "whoever has one of these keys may sign its logs" }),
  latitude: z.number().nullable().optional(),
  longitude: z.number().nullable().optional(),
};
const liveSchema = z.object({
  contactMs: z.int().nullable().openapi({ description: "when it last answered the region that answers here; null: never" }),
  behind: z.int().openapi({ description: "records that it holds and this region does not" }),
  equalAtMs: z.int().nullable().openapi({ description: "when both registers were last proven equal" }),
  alarm: z.string().nullable().openapi({ description: "what is wrong between the two, with the remedy" }),
});
const regionSchema = z
  .object({
    name: z.string(),
    state: z.enum(REGION_STATES),
    natsUrl: z.string().nullable(),
    apiUrl: z.string().nullable(),
    keeperPublicKeys: z.array(z.string()).readonly(),
    latitude: z.number().nullable(),
    longitude: z.number().nullable(),
    createdAtMs: z.int(),
    scanners: z.int(),
    answering: z.boolean().openapi({ description: "it gave this answer" }),
    home: z.boolean().openapi({ description: "it holds the registry's primary, where edits go" }),
    live: liveSchema.nullable().openapi({ description: "as the region that answers sees it; null for itself, and where it never looked" }),
  })
  .openapi("Region");
const logSchema = z.object({
  log: z.string(),
  prefix: z.int().openapi({ description: "every record up to this number is held here; -1: none" }),
  highest: z.int(),
  chain: z.string().openapi({ description: "chain hash of the record at `prefix`: equal chains at equal numbers are equal logs" }),
});
const oneSchema = regionSchema.extend({
  logs: z.array(logSchema).readonly().openapi({ description: "the logs of this region, as far as the answering one holds them" }),
});
const nameParam = { params: z.object({ name: z.string().max(100) }) };
const TAGS = ["regions"];

const list = createRoute({
  method: "get",
  path: "/v1/regions",
  tags: TAGS,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(regionSchema), "Regions by name; `answering` is the one that gave this answer") },
});
const create = createRoute({
  method: "post",
  path: "/v1/regions",
  tags: TAGS,
  request: body(z.strictObject({ name: z.string().max(100), ...factsSchema })),
  responses: { 200: json(regionSchema, "It was there already, with the same settings"), 201: json(regionSchema, "Created, or taken back") },
});
const read = createRoute({
  method: "get",
  path: "/v1/regions/{name}",
  tags: TAGS,
  request: nameParam,
  responses: { 200: json(oneSchema, "One region, with its logs") },
});
const forceQuery = z.strictObject({ force: z.enum(["true", "false"]).optional() });
const change = createRoute({
  method: "patch",
  path: "/v1/regions/{name}",
  tags: TAGS,
  request: { ...nameParam, query: forceQuery, ...body(z.strictObject(factsSchema)) },
  responses: { 200: json(regionSchema, "The region as it is now. Keys are taken off the list only with force") },
});
const retire = createRoute({
  method: "delete",
  path: "/v1/regions/{name}",
  tags: TAGS,
  request: { ...nameParam, query: forceQuery },
  responses: {
    200: json(
      regionSchema,
      "Retired: its findings and keys stay. Refused for a region with enabled scanners or as the only home of a plan; force disables those",
    ),
  },
});

type Deps = Pick<ApiDeps, "registry" | "ledger" | "region">;

/** Regions: what the registry says of them, and how the answering region sees them. */
export function regionRoutes({ registry, ledger, region }: Deps) {
  const show = async (value: Region): Promise<z.infer<typeof regionSchema>> => {
    const [state, peers] = await Promise.all([registry.state(), ledger.peers()]);
    return showRegion(value, { state, peers, region });
  };
  return newApi()
    .openapi(list, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const [state, peers] = await Promise.all([registry.state(), ledger.peers()]);
      const { items, next } = slicePage(state.regions, ({ name }) => name, page);
      return c.json(
        taggedList(c, state.version, closePage(c, page, { items: items.map((item) => showRegion(item, { state, peers, region })), next })),
        200,
      );
    })
    .openapi(create, async (c) => {
      const { name, ...facts } = c.req.valid("json");
      const written = await writing(c, registry).addRegion(name, withoutUndefined(facts));
      return c.json(tagged(c, written.value, await show(written.value)), written.changed ? 201 : 200);
    })
    .openapi(read, async (c) => {
      const [state, peers, stands] = await Promise.all([registry.state(), ledger.peers(), ledger.logStands()]);
      const found = findRegion(state, c.req.valid("param").name);
      const logs = stands.filter((stand) => stand.region === found.name).map(showLog);
      return c.json(tagged(c, found, { ...showRegion(found, { state, peers, region }), logs }), 200);
    })
    .openapi(change, async (c) => {
      const force = c.req.valid("query").force === "true";
      const written = await writing(c, registry).setRegion(c.req.valid("param").name, withoutUndefined(c.req.valid("json")), { force });
      return c.json(tagged(c, written.value, await show(written.value)), 200);
    })
    .openapi(retire, async (c) => {
      const force = c.req.valid("query").force === "true";
      const written = await writing(c, registry).retireRegion(c.req.valid("param").name, { force });
      return c.json(tagged(c, written.value, await show(written.value)), 200);
    });
}

type Seen = { readonly state: RegistryState; readonly peers: readonly PeerState[]; readonly region: string };

/** A region with what the answering one knows of it; the pages show the same. */
export function showRegion(value: Region, { state, peers, region }: Seen): z.infer<typeof regionSchema> {
  const peer = peers.find((candidate) => candidate.region === value.name);
  return {
    ...value,
    scanners: state.scanners.filter((scanner) => scanner.region === value.name && scanner.enabled).length,
    answering: value.name === region,
    home: value.name === state.home,
    live:
      peer === undefined || value.name === region
        ? null
        : { contactMs: peer.contactMs === 0 ? null : peer.contactMs, behind: peer.behind, equalAtMs: peer.equalAtMs, alarm: peer.alarm },
  };
}

function showLog({ log, prefix, highest, chain }: LogStand): z.infer<typeof logSchema> {
  return { log, prefix, highest, chain };
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** What was not sent is left out, so that it stays. */
function withoutUndefined<T extends object>(facts: T): Given<T> {
  return Object.fromEntries(Object.entries(facts).filter(([, value]) => value !== undefined)) as Given<T>;
}
