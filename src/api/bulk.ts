import { z } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import { BULK_FORMATS, type BulkFormat, readBulk, writeBulk } from "../registry/bulk/cells.ts";
import { readEntries } from "../registry/bulk/entries.ts";
import { BULK_COLUMNS, type BulkList, bulkRows, exportColumns, plainRanges } from "../registry/bulk/lists.ts";
import { writing } from "./conditional.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { createRoute, json } from "./define.ts";
import { InvalidRequest } from "./problem.ts";

const TYPES: Readonly<Record<BulkFormat, string>> = { csv: "text/csv", ndjson: "application/x-ndjson", txt: "text/plain" };
const flag = z.enum(["true", "false"]).optional();
const importQuery = z.strictObject({
  dryRun: flag.openapi({ description: "true: only tell what would happen" }),
  mode: z
    .enum(["add", "replace"])
    .optional()
    .openapi({ description: "add (default) takes nothing away; replace also removes what the file does not name" }),
  format: z.enum(BULK_FORMATS).optional().openapi({ description: "default: by content-type" }),
  group: z.string().max(100).optional().openapi({ description: "range group of lines that name none" }),
  owner: z.string().trim().min(1).max(200).optional().openapi({ description: "of entries that name none" }),
  reason: z.string().trim().min(1).max(500).optional().openapi({ description: "of entries that name none" }),
});
const keys = z.array(z.string()).readonly();
const diffSchema = z
  .object({
    added: keys,
    changed: keys,
    removed: keys,
    unchanged: z.int(),
    refused: z
      .array(z.object({ line: z.int(), reason: z.string() }))
      .readonly()
      .openapi({ description: "line 0: of what would be removed" }),
    written: z.boolean(),
    version: z.int().openapi({ description: "of the registry" }),
  })
  .openapi("ImportDiff");

function importRoute<L extends BulkList>(list: L) {
  return createRoute({
    method: "post",
    path: `/v1/${list}/import`,
    tags: ["import and export"],
    request: {
      query: importQuery,
      body: {
        required: true,
        content: {
          "text/csv": { schema: z.string() },
          "application/x-ndjson": { schema: z.string() },
          "text/plain": { schema: z.string() },
        },
      },
    },
    responses: { 200: json(diffSchema, "What was done, or would be; a line that is refused refuses the whole file") },
  });
}

function exportRoute<L extends BulkList, F extends BulkFormat>(list: L, format: F) {
  return createRoute({
    method: "get",
    path: `/v1/${list}.${format}`,
    tags: ["import and export"],
    request: { query: z.strictObject({ group: z.string().max(100).optional().openapi({ description: "only this range group" }) }) },
    responses: {
      200: { description: "The whole list; importing it changes nothing", content: { [TYPES[format]]: { schema: z.string() } } },
    },
  });
}

/** Lists of the registry from files and to files. */
export function bulkRoutes(deps: ApiDeps) {
  return newApi()
    .route("/", listRoutes(deps, "range-groups"))
    .route("/", listRoutes(deps, "exclusions"))
    .route("/", listRoutes(deps, "known-good"))
    .route("/", listRoutes(deps, "scanners"))
    .route("/", listRoutes(deps, "groups"))
    .route("/", listRoutes(deps, "plans"));
}

function listRoutes<L extends BulkList>({ registry, clock }: ApiDeps, list: L) {
  const file = async (format: BulkFormat, group: string | undefined): Promise<Response> => {
    const state = await registry.state();
    const rows = format === "txt" ? plainRanges(state, list, group ?? null) : bulkRows(state, list, group ?? null);
    const text = writeBulk(rows, format, format === "txt" ? ["range"] : exportColumns(list));
    return new Response(text, {
      headers: {
        "content-type": `${TYPES[format]}; charset=utf-8`,
        "content-disposition": `attachment; filename="portolan-${list}.${format}"`,
      },
    });
  };
  return newApi()
    .openapi(importRoute(list), async (c) => {
      const query = c.req.valid("query");
      const format = query.format ?? formatOf(c.req.header("content-type"));
      const defaults = { group: query.group ?? null, owner: query.owner ?? null, reason: query.reason ?? null };
      const entries = await readEntries(list, readBulk(await c.req.text(), format, BULK_COLUMNS[list]), { defaults, nowMs: clock() });
      const isDryRun = query.dryRun === "true";
      const result = await writing(c, registry).importList({ list, file: entries, mode: query.mode ?? "add", isDryRun });
      if (!isDryRun && result.refused.length > 0) {
        throw new InvalidRequest(result.refused.map(({ line, reason }) => ({ path: [`line ${line}`], message: reason })));
      }
      return c.json(result, 200);
    })
    .openapi(exportRoute(list, "csv"), (c) => file("csv", c.req.valid("query").group))
    .openapi(exportRoute(list, "ndjson"), (c) => file("ndjson", c.req.valid("query").group))
    .openapi(exportRoute(list, "txt"), (c) => file("txt", c.req.valid("query").group));
}

function formatOf(contentType: string | undefined): BulkFormat {
  const type = contentType?.split(";")[0]?.trim().toLowerCase();
  const format = BULK_FORMATS.find((candidate) => TYPES[candidate] === type);
  if (format !== undefined) return format;
  throw new PortolanError(
    "invalid",
    `a file is sent as ${Object.values(TYPES).join(", ")}, not as "${type?.slice(0, 60) ?? "nothing"}"; set content-type, or add ?format=`,
  );
}
