import { z } from "@hono/zod-openapi";
import { createImporter, IMPORT_FORMATS } from "../core/import/importer.ts";
import type { ImportRow } from "../ledger/types.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { createRoute, json } from "./define.ts";
import { numberParam } from "./page.ts";
import { checkScope, committed, createUploader, notCommitted, sha256Hex, textOf } from "./upload.ts";

const TAGS = ["imports"];
const BODY_BYTES_MAX = 64 * 1024 * 1024;
/** More than that takes the keeper longer than a caller should wait. */
const RECORDS_AT_ONCE = 4;

const importSchema = z
  .object({
    id: z.string(),
    source: z.string(),
    format: z.string(),
    state: z.enum(["done", "waiting", "failed"]).openapi({ description: "failed: send the same file again" }),
    records: z.int().openapi({ description: "upload records that it becomes" }),
    held: z.int().openapi({ description: "how many of them are in the ledger" }),
    read: z.int(),
    sightings: z.int().openapi({ description: "open ports, repeats included" }),
    notOpen: z.int(),
    banners: z.int(),
    refused: z.int(),
    reasons: z.record(z.string(), z.int()),
    examples: z.array(z.object({ line: z.int(), reason: z.string() })).readonly(),
  })
  .openapi("Import");
const sourceSchema = z.string().trim().min(1).max(100).openapi({ description: "who saw it; default: the name of the token" });

const create = createRoute({
  method: "post",
  path: "/v1/imports",
  tags: TAGS,
  request: {
    query: z.strictObject({
      format: z.enum(IMPORT_FORMATS),
      source: sourceSchema.optional(),
      at: numberParam({ min: 0, max: 0xffff_ffff })
        .optional()
        .openapi({ description: "Unix seconds of entries that tell no time; default: now" }),
    }),
    body: { required: true, content: { "application/octet-stream": { schema: z.string().openapi({ format: "binary" }) } } },
  },
  responses: {
    200: json(importSchema, "All that could be read is in the register: as sightings without coverage, which open and never close"),
    202: {
      ...json(importSchema, "The keeper has not come to all of it yet"),
      headers: z.object({ Location: z.string().openapi({ description: "where to ask how it stands" }) }),
    },
  },
});
const read = createRoute({
  method: "get",
  path: "/v1/imports/{id}",
  tags: TAGS,
  request: { params: z.object({ id: z.string().max(100) }) },
  responses: { 200: json(importSchema, "How an import of the last 30 days stands") },
});

/** Results of other programs, as sightings without coverage. */
export function importRoutes(deps: ApiDeps) {
  const { ledger, clock, region } = deps;
  return newApi()
    .openapi(create, async (c) => {
      const { format, at, source = c.get("token").name } = c.req.valid("query");
      checkScope(c.get("token"), region);
      const uploader = createUploader(deps, source);
      const importer = createImporter({ format, defaultAtS: at ?? Math.floor(clock() / 1_000), onSighting: uploader.add });
      for await (const text of textOf(c.req.raw, BODY_BYTES_MAX)) {
        importer.push(text);
        await uploader.flush();
      }
      importer.end();
      const records = await uploader.finish();
      const counts = importer.counts();
      const id = (await sha256Hex(JSON.stringify([source, format, records, counts]))).slice(0, 32);
      await ledger.putImport({ id, source, format, counts, records }, clock());
      const isLarge = records.length > RECORDS_AT_ONCE;
      if (!isLarge && !(await committed(deps, records))) throw notCommitted(region);
      const row = found(await ledger.importOf(id), "import", id, "/v1/imports");
      if (row.held === row.records) return c.json(importOut(row), 200);
      c.header("Location", `/v1/imports/${id}`);
      return c.json(importOut(row), 202);
    })
    .openapi(read, async (c) => {
      const { id } = c.req.valid("param");
      return c.json(importOut(found(await ledger.importOf(id), "import", id, "/v1/imports")), 200);
    });
}

function importOut({ id, source, format, records, held, waiting, counts }: ImportRow): z.infer<typeof importSchema> {
  const state = held >= records ? "done" : waiting > 0 ? "waiting" : "failed";
  return { id, source, format, state, records, held, ...counts };
}
