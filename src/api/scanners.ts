import { z } from "@hono/zod-openapi";
import type { ScannerLive } from "../ledger/types.ts";
import type { Scanner } from "../registry/types.ts";
import { tagged, taggedList, writing } from "./conditional.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
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
    mayProbe: z
      .array(z.string())
      .readonly()
      .nullable()
      .openapi({ description: "range groups outside of which it probes nothing; null: no such bound" }),
    mayNotProbe: z.array(z.string()).readonly().openapi({ description: "range groups of which it probes nothing" }),
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
const TAGS = ["scanners"];

const groupNames = z.array(z.string().max(100)).max(100);
const facts = {
  addresses: z.array(z.string().min(1).max(60)).min(1).max(16),
  publicKey: z.string().max(100),
  enabled: z.boolean().optional(),
  mayProbe: groupNames.nullable().optional(),
  mayNotProbe: groupNames.optional(),
};
const nameParam = { params: z.object({ name: z.string().max(100) }) };

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
      ...facts,
    }),
  ),
  responses: { 200: json(scannerSchema, "It was there already"), 201: json(scannerSchema, "Registered") },
});
const read = createRoute({
  method: "get",
  path: "/v1/scanners/{name}",
  tags: TAGS,
  request: nameParam,
  responses: { 200: json(scannerSchema, "One scanner, with its last heartbeat") },
});
const change = createRoute({
  method: "patch",
  path: "/v1/scanners/{name}",
  tags: TAGS,
  request: {
    ...nameParam,
    ...body(z.strictObject({ ...facts, addresses: facts.addresses.optional(), publicKey: facts.publicKey.optional() })),
  },
  responses: { 200: json(scannerSchema, "The scanner as it is now. Running jobs keep what they began with; it keeps its name and region") },
});
const remove = createRoute({
  method: "delete",
  path: "/v1/scanners/{name}",
  tags: TAGS,
  request: nameParam,
  responses: { 200: json(deletedSchema, "Deleted; it gets no further work") },
});

/** Scanners. */
export function scannerRoutes({ registry, ledger, clock }: ApiDeps) {
  const show = async (scanners: readonly Scanner[]): Promise<z.infer<typeof scannerSchema>[]> => {
    const live = await ledger.scanners();
    const nowMs = clock();
    const beatOf = (name: string): ScannerLive | undefined => live.find((beat) => beat.scanner === name);
    return scanners.map((scanner) => ({ ...scanner, live: showLive(beatOf(scanner.name), nowMs) }));
  };
  return newApi()
    .openapi(list, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const state = await registry.state();
      const { items, next } = slicePage(state.scanners, ({ name }) => name, page);
      return c.json(taggedList(c, state.version, closePage(c, page, { items: await show(items), next })), 200);
    })
    .openapi(create, async (c) => {
      const { value, changed } = await writing(c, registry).addScanner(given(c.req.valid("json")));
      return c.json(tagged(c, value, { ...value, live: null }), changed ? 201 : 200);
    })
    .openapi(read, async (c) => {
      const { name } = c.req.valid("param");
      const { scanners } = await registry.state();
      const scanner = found(
        scanners.find((candidate) => candidate.name === name),
        "scanner",
        name,
        "/v1/scanners",
      );
      const [shown] = await show([scanner]);
      return c.json(tagged(c, scanner, shown ?? { ...scanner, live: null }), 200);
    })
    .openapi(change, async (c) => {
      const { value } = await writing(c, registry).changeScanner(c.req.valid("param").name, given(c.req.valid("json")));
      const [shown] = await show([value]);
      return c.json(tagged(c, value, shown ?? { ...value, live: null }), 200);
    })
    .openapi(remove, async (c) => {
      const { name } = c.req.valid("param");
      await writing(c, registry).deleteScanner(name);
      return c.json({ deleted: name }, 200);
    });
}

type Given<T> = { [K in keyof T]: Exclude<T[K], undefined> };

/** What was not sent is left out. */
function given<T extends object>(sent: T): Given<T> {
  return Object.fromEntries(Object.entries(sent).filter(([, value]) => value !== undefined)) as Given<T>;
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
