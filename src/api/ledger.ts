import { z } from "@hono/zod-openapi";
import { askKeeper } from "./command.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { createRoute, json } from "./define.ts";

const TAGS = ["ledger"];
const ledgerSchema = z
  .object({
    region: z.string(),
    frontier: z.record(z.string(), z.int()).openapi({ description: "for each log, the record up to which all are held" }),
    holes: z
      .array(z.object({ log: z.string(), region: z.string(), prefix: z.int(), highest: z.int() }))
      .readonly()
      .openapi({ description: "logs that lack records: nothing that reaches beyond can close anything" }),
  })
  .openapi("Ledger");

const read = createRoute({
  method: "get",
  path: "/v1/ledger",
  tags: TAGS,
  responses: { 200: json(ledgerSchema, "What this region's ledger holds") },
});
const rebuild = createRoute({
  method: "post",
  path: "/v1/ledger/rebuild",
  tags: TAGS,
  responses: {
    200: json(z.object({ rebuilding: z.literal(true) }), "The register is made anew from the records; until then it is incomplete"),
  },
});

/** The records behind the register. */
export function ledgerRoutes({ ledger, clock, region }: ApiDeps) {
  return newApi()
    .openapi(read, async (c) => {
      const [frontier, holes] = await Promise.all([ledger.frontier(), ledger.holes()]);
      return c.json({ region, frontier, holes }, 200);
    })
    .openapi(rebuild, async (c) => {
      await askKeeper({ ledger, clock, region }, "rebuild-ledger", { by: c.get("token").name });
      return c.json({ rebuilding: true as const }, 200);
    });
}
