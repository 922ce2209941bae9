import { z } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import { formatFilter } from "../core/filter/filter.ts";
import type { Page, Service } from "../ledger/types.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { createRoute } from "./define.ts";
import { type Encoder, encoderOf, EXPORT_TYPES, type ExportFormat, tellsLabels } from "./export-formats.ts";
import { type LabelledService, withLabels } from "./labels.ts";
import { pageSchema } from "./page.ts";
import { isBug } from "./problem.ts";
import { filterOf, searchContext } from "./search.ts";
import { filterQuery, protocolSchema, serviceSchema } from "./service-schema.ts";

/** Services that are read at a time: some megabytes of memory, and an answer well within the store's time. */
const PAGE_SERVICES = 1_000;
/** A long file must not break because the store was busy once. */
const READ_AGAIN = 3;
const READ_AGAIN_AFTER_MS = 250;

/** Files that are JSON documents; all others are text to a reader of the API's description. */
const SCHEMAS: Readonly<Partial<Record<ExportFormat, z.ZodType>>> = {
  json: pageSchema(serviceSchema),
  "masscan.json": z.array(
    z.object({
      ip: z.string(),
      timestamp: z.string(),
      ports: z.array(
        z.object({ port: z.int(), proto: protocolSchema, status: z.string(), reason: z.string().optional(), ttl: z.int().optional() }),
      ),
    }),
  ),
};

function routeOf<F extends ExportFormat>(format: F) {
  return createRoute({
    method: "get",
    path: `/v1/services.${format}`,
    tags: ["exports"],
    request: { query: z.strictObject(filterQuery) },
    responses: {
      200: {
        description: `All services that a filter matches, by address, as ${format}; it comes in pieces, and one that breaks off is not whole`,
        content: { [EXPORT_TYPES[format]]: { schema: SCHEMAS[format] ?? z.string() } },
      },
    },
  });
}

/** The register as files, streamed: memory does not grow with their length. */
export function exportRoutes(deps: ApiDeps) {
  const answer = (format: ExportFormat, query: Parameters<typeof filterOf>[0], requestId: string): Promise<Response> =>
    exportAnswer(deps, format, query, requestId);
  return newApi()
    .openapi(routeOf("json"), (c) => answer("json", c.req.valid("query"), c.get("requestId")))
    .openapi(routeOf("ndjson"), (c) => answer("ndjson", c.req.valid("query"), c.get("requestId")))
    .openapi(routeOf("csv"), (c) => answer("csv", c.req.valid("query"), c.get("requestId")))
    .openapi(routeOf("txt"), (c) => answer("txt", c.req.valid("query"), c.get("requestId")))
    .openapi(routeOf("nmap.xml"), (c) => answer("nmap.xml", c.req.valid("query"), c.get("requestId")))
    .openapi(routeOf("masscan.json"), (c) => answer("masscan.json", c.req.valid("query"), c.get("requestId")));
}

/** Whether a path is an export: its body must pass through everything unread. */
export function isExportPath(path: string): boolean {
  return /^\/v1\/services\.[a-z.]+$/.test(path);
}

async function exportAnswer(
  { ledger, registry, clock, version, onBug }: ApiDeps,
  format: ExportFormat,
  query: Parameters<typeof filterOf>[0],
  requestId: string,
): Promise<Response> {
  const filter = filterOf(query);
  const nowMs = clock();
  const context = await searchContext(filter, registry, nowMs);
  const plans = tellsLabels(format) ? (await registry.state()).plans : null;
  const read: ReadPage = async (cursor) => {
    const page = await ledger.search({ ...context, limit: PAGE_SERVICES, ...(cursor === null ? {} : { cursor }) });
    if (plans !== null) return { items: await withLabels({ ledger, plans, nowMs }, page.items), next: page.next };
    return { items: page.items.map(withoutLabels), next: page.next };
  };
  const encoder = encoderOf(format, { nowMs, filter: formatFilter(context.filter), version });
  const body = await streamOf(read, encoder, (error) => {
    if (isBug(error)) onBug?.(error, requestId);
  });
  const type = EXPORT_TYPES[format];
  return new Response(body, {
    headers: {
      "content-type": type.startsWith("text/") ? `${type}; charset=utf-8` : type,
      "content-disposition": `attachment; filename="portolan-services.${format}"`,
      "cache-control": "no-store",
    },
  });
}

function withoutLabels(service: Service): LabelledService {
  return { ...service, labels: [], coveredAtMs: null };
}

type ReadPage = (cursor: string | null) => Promise<Page<LabelledService>>;

/**
 * The file as a stream that reads the next page when the one before was taken. What is wrong with the request is thrown before it begins;
 * when the ledger fails later, the stream breaks off: a file that is not whole must not look so.
 */
async function streamOf(read: ReadPage, encoder: Encoder, onError: (error: unknown) => void): Promise<ReadableStream<Uint8Array>> {
  const utf8 = new TextEncoder();
  let first: Page<LabelledService> | null = await read(null);
  let text = encoder.head();
  let cursor: string | null = null;
  let isCancelled = false;
  // One piece for each call, although pages may be empty.
  const piece = async (): Promise<void> => {
    do {
      const page = first ?? (await readAgain(read, cursor, () => isCancelled));
      first = null;
      text += encoder.rows(page.items);
      cursor = page.next;
    } while (text === "" && cursor !== null && !isCancelled);
    if (cursor === null) text += encoder.end();
  };
  const source: UnderlyingDefaultSource<Uint8Array> = {
    async pull(controller) {
      try {
        await piece();
        if (isCancelled) return;
        if (text !== "") controller.enqueue(utf8.encode(text));
        text = "";
        if (cursor === null) controller.close();
      } catch (error) {
        onError(error);
        controller.error(error);
      }
    },
    cancel() {
      isCancelled = true;
    },
  };
  // Nothing is read before it is wanted: a slow reader makes nothing pile up.
  return new ReadableStream(source, { highWaterMark: 0 });
}

/** A page in the middle of a file, asked for again when the ledger did not answer. */
async function readAgain(read: ReadPage, cursor: string | null, isCancelled: () => boolean): ReturnType<ReadPage> {
  for (let again = 0; ; again += 1) {
    try {
      return await read(cursor);
    } catch (error) {
      const mayPass = error instanceof PortolanError && error.code === "unavailable";
      if (!mayPass || again === READ_AGAIN || isCancelled()) throw error;
      await new Promise((resolve) => setTimeout(resolve, READ_AGAIN_AFTER_MS * 2 ** again));
    }
  }
}
