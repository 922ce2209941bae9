import { z } from "@hono/zod-openapi";
import { formatAddress, parseAddress } from "../core/address.ts";
import { PortolanError } from "../core/errors.ts";
import { parseRange } from "../core/range.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { createRoute, json } from "./define.ts";
import { withLabels } from "./labels.ts";
import { closePage, numberParam, openPage, pageQuery, pageSchema } from "./page.ts";
import { protocolSchema, serviceSchema } from "./service-schema.ts";

const countsSchema = z.object({ open: z.int(), missing: z.int(), closed: z.int() });
const listSchema = pageSchema(serviceSchema).extend({
  hiddenKnownGood: z.int().openapi({ description: "how many known-good services that the filter matches are left out" }),
});
const TAGS = ["services"];
const PORT_COUNTS_MAX = 100;

const list = createRoute({
  method: "get",
  path: "/v1/services",
  tags: TAGS,
  request: {
    query: z.strictObject({
      ...pageQuery,
      cidr: z.string().min(1).max(100).optional().openapi({ description: "CIDR, first-last, or one address" }),
      port: numberParam({ min: 0, max: 65_535 }).optional(),
      protocol: protocolSchema.optional(),
      state: z.enum(["open", "missing", "closed", "active", "all"]).optional().openapi({ description: "default active: open and missing" }),
      known: z.enum(["hide", "show", "only"]).optional().openapi({ description: "known-good services; default hide" }),
    }),
  },
  responses: { 200: json(listSchema, "Services by address, port and protocol") },
});
const summary = createRoute({
  method: "get",
  path: "/v1/services/summary",
  tags: TAGS,
  responses: {
    200: json(
      z.object({ counts: countsSchema, ports: z.array(countsSchema.extend({ protocol: protocolSchema, port: z.int() })).readonly() }),
      "How many services in which state, and the most frequent ports",
    ),
  },
});
const host = createRoute({
  method: "get",
  path: "/v1/hosts/{address}",
  tags: TAGS,
  request: { params: z.object({ address: z.string().max(60) }) },
  responses: {
    200: json(
      z.object({ address: z.string(), services: z.array(serviceSchema).readonly() }),
      "All services of one address, in every state",
    ),
  },
});

/** The register. */
export function serviceRoutes({ ledger, registry, clock }: ApiDeps) {
  return newApi()
    .openapi(list, async (c) => {
      const { cidr, port, protocol, state, known } = c.req.valid("query");
      const page = openPage(c.req.path, c.req.valid("query"));
      const filter = {
        ...(cidr === undefined ? {} : { range: parseRange(cidr) }),
        ...(port === undefined ? {} : { port }),
        ...(protocol === undefined ? {} : { protocol }),
        ...(state === undefined ? {} : { state }),
        known: known ?? "hide",
      };
      const [rows, hiddenKnownGood, { plans }] = await Promise.all([
        ledger.listServices({ ...filter, limit: page.limit, ...(page.after === undefined ? {} : { cursor: page.after }) }),
        filter.known === "hide" ? ledger.countKnown(filter) : 0,
        registry.state(),
      ]);
      const items = await withLabels({ ledger, plans, nowMs: clock() }, rows.items);
      return c.json({ ...closePage(c, page, { items, next: rows.next }), hiddenKnownGood }, 200);
    })
    .openapi(summary, async (c) => {
      const [counts, ports] = await Promise.all([ledger.counts(), ledger.portCounts(PORT_COUNTS_MAX)]);
      return c.json({ counts, ports }, 200);
    })
    .openapi(host, async (c) => {
      const address = formatAddress(parseAddress(c.req.valid("param").address));
      const [services, { plans }] = await Promise.all([ledger.host(address), registry.state()]);
      if (services.length === 0) {
        throw new PortolanError(
          "not-found",
          `nothing was ever seen open at ${address}; GET /v1/services lists what was, and a plan has to cover it first`,
        );
      }
      return c.json({ address, services: await withLabels({ ledger, plans, nowMs: clock() }, services) }, 200);
    });
}
