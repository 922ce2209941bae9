import { z } from "@hono/zod-openapi";
import type { ScannerLive } from "../ledger/types.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { body, createRoute, deletedSchema, json } from "./define.ts";
import { closePage, openPage, pageQuery, pageSchema, slicePage } from "./page.ts";

/** A scanner whose last heartbeat is older than this is shown as silent. */
const SILENT_AFTER_MS = 15_000;

const scannerSchema = z
  .object({
    name: z.string(),
    region: z.string(),
    addresses: z.array(z.string()).readonly(),
    publicKey: z.string(),
    enabled: z.boolean(),
    createdAtMs: z.int(),
    live: z
      .object({
        seenAtMs: z.int(),
        silent: z.boolean(),
        version: z.string(),
        engines: z.array(z.string()).readonly(),
        masscanVersion: z.string().nullable(),
        notReady: z.string().nullable().openapi({ description: "why it claims nothing, with the remedy" }),
        running: z.object({ job: z.string(), tile: z.int(), shard: z.int(), attempt: z.int() }).nullable(),
      })
      .nullable()
      .openapi({ description: "its last heartbeat in this region; null when there was none" }),
  })
  .openapi("Scanner");
const regionSchema = z.object({ name: z.string(), createdAtMs: z.int(), scanners: z.int(), answering: z.boolean() }).openapi("Region");
const TAGS = ["scanners"];

const listRegions = createRoute({
  method: "get",
  path: "/v1/regions",
  tags: TAGS,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(regionSchema), "Regions by name; `answering` is the one that gave this answer") },
});
const createRegion = createRoute({
  method: "post",
  path: "/v1/regions",
  tags: TAGS,
  request: body(z.strictObject({ name: z.string().max(100) })),
  responses: { 200: json(regionSchema, "It was there already"), 201: json(regionSchema, "Created") },
});
const list = createRoute({
  method: "get",
  path: "/v1/scanners",
  tags: TAGS,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(scannerSchema), "Scanners by name, with their last heartbeat") },
});
const create = createRoute({
  method: "post",
  path: "/v1/scanners",
  tags: TAGS,
  request: body(
    z.strictObject({
      name: z.string().max(100),
      region: z.string().max(100),
      addresses: z.array(z.string().min(1).max(60)).min(1).max(16),
      publicKey: z.string().max(100),
    }),
  ),
  responses: { 200: json(scannerSchema, "It was there already"), 201: json(scannerSchema, "Registered") },
});
const remove = createRoute({
  method: "delete",
  path: "/v1/scanners/{name}",
  tags: TAGS,
  request: { params: z.object({ name: z.string().max(100) }) },
  responses: { 200: json(deletedSchema, "Deleted; it gets no further work") },
});

/** Regions and scanners. */
export function scannerRoutes({ registry, ledger, clock, region }: ApiDeps) {
  return newApi()
    .openapi(listRegions, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const { regions, scanners } = await registry.state();
      const { items, next } = slicePage(regions, ({ name }) => name, page);
      const rows = items.map((item) => ({
        ...item,
        scanners: scanners.filter((scanner) => scanner.region === item.name).length,
        answering: item.name === region,
      }));
      return c.json(closePage(c, page, { items: rows, next }), 200);
    })
    .openapi(createRegion, async (c) => {
      const written = await registry.addRegion(c.req.valid("json").name);
      return c.json({ ...written.value, scanners: 0, answering: written.value.name === region }, written.changed ? 201 : 200);
    })
    .openapi(list, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const [state, live] = await Promise.all([registry.state(), ledger.scanners()]);
      const { items, next } = slicePage(state.scanners, ({ name }) => name, page);
      const nowMs = clock();
      const rows = items.map((scanner) => ({
        ...scanner,
        live: showLive(
          live.find((beat) => beat.scanner === scanner.name),
          nowMs,
        ),
      }));
      return c.json(closePage(c, page, { items: rows, next }), 200);
    })
    .openapi(create, async (c) => {
      const written = await registry.addScanner(c.req.valid("json"));
      return c.json({ ...written.value, live: null }, written.changed ? 201 : 200);
    })
    .openapi(remove, async (c) => {
      const { name } = c.req.valid("param");
      await registry.deleteScanner(name);
      return c.json({ deleted: name }, 200);
    });
}

function showLive(beat: ScannerLive | undefined, nowMs: number): z.infer<typeof scannerSchema>["live"] {
  if (beat === undefined) return null;
  return {
    seenAtMs: beat.receivedAtMs,
    silent: nowMs - beat.receivedAtMs > SILENT_AFTER_MS,
    version: beat.version,
    engines: beat.engines,
    masscanVersion: beat.masscanVersion,
    notReady: beat.notReady,
    running: beat.running,
  };
}
