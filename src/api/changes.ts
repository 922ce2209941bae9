import { z } from "@hono/zod-openapi";
import { formatFilter, parseFilter } from "../core/filter/filter.ts";
import { CHANGE_KINDS, type ChangeQuery } from "../ledger/feed-types.ts";
import { changesStream } from "./changes-stream.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { createRoute, json } from "./define.ts";
import { bearer } from "./guards.ts";
import { closePage, openPage, pageQuery, pageSchema } from "./page.ts";
import { groupsNamedIn } from "./search.ts";
import { protocolSchema, stateSchema } from "./service-schema.ts";

const KINDS_TEXT = `kinds separated by commas, of ${CHANGE_KINDS.join(", ")}`;
const changeSchema = z
  .object({
    n: z.int().openapi({ description: "place in this region's feed: rises, and is never given twice" }),
    kind: z.enum(CHANGE_KINDS),
    address: z.string().nullable().openapi({ description: "null, as are protocol, port and state, when it is about a job" }),
    protocol: protocolSchema.nullable(),
    port: z.int().nullable(),
    was: stateSchema.nullable().openapi({ description: "null when the service was not in the register before" }),
    state: stateSchema.nullable(),
    job: z.string().nullable(),
    cause: z
      .object({
        kind: z.enum(["job", "part", "upload", "probe", "release", "tile-complete", "withdrawal", "rule"]),
        id: z.string().nullable().openapi({ description: "record id; null for what is no record" }),
      })
      .openapi({ description: "what made it so" }),
    atMs: z.int(),
  })
  .openapi("Change");

const filterParams = {
  q: z.string().max(4_000).optional().openapi({ description: "filter, as for services: of ip, net, port, proto, group and change" }),
  kind: z
    .string()
    .max(300)
    .transform((text) => text.split(",").map((word) => word.trim()))
    .pipe(z.array(z.enum(CHANGE_KINDS, KINDS_TEXT)).min(1))
    .optional()
    .openapi({ type: "string", description: KINDS_TEXT }),
};

const list = createRoute({
  method: "get",
  path: "/v1/changes",
  tags: ["changes"],
  request: {
    query: z.strictObject({
      ...pageQuery,
      ...filterParams,
      order: z.enum(["newest", "oldest"]).optional().openapi({
        description: "default newest first; with oldest the last page has a cursor too: ask again with it for what came since",
      }),
    }),
  },
  responses: { 200: json(pageSchema(changeSchema), "What changed, with its cause") },
});

const numberText = z
  .string()
  .regex(/^\d{1,15}$/, "the number of a change")
  .transform(Number);
const stream = createRoute({
  method: "get",
  path: "/v1/changes/stream",
  tags: ["changes"],
  request: {
    query: z.strictObject({
      ...filterParams,
      after: numberText
        .optional()
        .openapi({ type: "integer", description: "number of a change: begin after it; default: with what comes now" }),
    }),
    headers: z.object({
      "last-event-id": numberText.optional().openapi({ type: "integer", description: "the same; it wins. Numbers are each region's own" }),
    }),
  },
  responses: {
    200: {
      description:
        "The state of the register as event `state`, then each change as event `change` with its number as id. It ends after 5 min: come again with Last-Event-ID",
      content: {
        "text/event-stream": { schema: z.string().openapi({ example: 'id: 17\nevent: change\ndata: {"n":17,"kind":"opened"}\n\n' }) },
      },
    },
  },
});

/** Whether a path is a stream without an end of its own: its body must pass through everything unread. */
export function isStreamPath(path: string): boolean {
  return path === "/v1/changes/stream";
}

/** The feed of this region's ledger. */
export function changeRoutes({ ledger, registry, clock, region }: ApiDeps) {
  const matchingOf = async (q: string | undefined): Promise<Pick<ChangeQuery, "matching">> => {
    const filter = parseFilter(q ?? "");
    if (filter.terms.length === 0) return {};
    const needsGroups = filter.terms.some(({ key }) => key === "group");
    return { matching: { filter, groups: needsGroups ? groupsNamedIn(filter, await registry.state()) : new Map() } };
  };
  const api = newApi().openapi(stream, async (c) => {
    const { kind, q, after } = c.req.valid("query");
    const text = bearer(c);
    const body = await changesStream({
      ledger,
      clock,
      region,
      after: c.req.valid("header")["last-event-id"] ?? after ?? null,
      filter: { ...(await matchingOf(q)), ...(kind === undefined ? {} : { kinds: kind }) },
      // While the registry is away nobody knows better.
      isAllowed: () =>
        registry.tokens.verify(text).then(
          (token) => token !== null,
          () => true,
        ),
    });
    // A HEAD has no reader.
    if (c.req.method === "HEAD") await body.cancel();
    const headers = { "content-type": "text/event-stream", "cache-control": "no-store", "x-accel-buffering": "no" };
    return new Response(c.req.method === "HEAD" ? null : body, { headers });
  });
  return api.openapi(list, async (c) => {
    const { kind, order, q, limit, cursor } = c.req.valid("query");
    const filter = parseFilter(q ?? "");
    const page = openPage(c.req.path, { limit, cursor, kind, order, q: formatFilter(filter) });
    const rows = await ledger.listChanges({
      limit: page.limit,
      ...(page.after === undefined ? {} : { cursor: page.after }),
      ...(kind === undefined ? {} : { kinds: kind }),
      ...(await matchingOf(q)),
      ...(order === undefined ? {} : { first: order }),
    });
    return c.json(closePage(c, page, rows), 200);
  });
}
