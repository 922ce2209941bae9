import { z } from "@hono/zod-openapi";
import { CHANGE_KINDS } from "../ledger/types.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { createRoute, json } from "./define.ts";
import { closePage, openPage, pageQuery, pageSchema } from "./page.ts";
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

const list = createRoute({
  method: "get",
  path: "/v1/changes",
  tags: ["changes"],
  request: {
    query: z.strictObject({
      ...pageQuery,
      kind: z
        .string()
        .max(300)
        .transform((text) => text.split(",").map((word) => word.trim()))
        .pipe(z.array(z.enum(CHANGE_KINDS, KINDS_TEXT)).min(1))
        .optional()
        .openapi({ type: "string", description: KINDS_TEXT }),
      order: z.enum(["newest", "oldest"]).optional().openapi({
        description: "default newest first; with oldest the last page has a cursor too: ask again with it for what came since",
      }),
    }),
  },
  responses: { 200: json(pageSchema(changeSchema), "What changed, with its cause") },
});

/** The feed of this region's ledger. */
export function changeRoutes({ ledger }: ApiDeps) {
  return newApi().openapi(list, async (c) => {
    const { kind, order } = c.req.valid("query");
    const page = openPage(c.req.path, c.req.valid("query"));
    const rows = await ledger.listChanges({
      limit: page.limit,
      ...(page.after === undefined ? {} : { cursor: page.after }),
      ...(kind === undefined ? {} : { kinds: kind }),
      ...(order === undefined ? {} : { first: order }),
    });
    return c.json(closePage(c, page, rows), 200);
  });
}
