import { z } from "@hono/zod-openapi";
import { formatAddress, parseAddress } from "../core/address.ts";
import { PortolanError } from "../core/errors.ts";
import { formatFilter } from "../core/filter/filter.ts";
import { type Facet, FACETS, SEARCH_SORTS } from "../ledger/search/query.ts";
import { type ApiDeps, newApi } from "./context.ts";
import { createRoute, json } from "./define.ts";
import { withLabels } from "./labels.ts";
import { closePage, openPage, pageQuery, pageSchema } from "./page.ts";
import { filterOf, groupRanges, searchContext } from "./search.ts";
import { filterQuery, protocolSchema, serviceSchema, vantageSchema } from "./service-schema.ts";

const countsSchema = z.object({ open: z.int(), missing: z.int(), closed: z.int() });
const totalSchema = z
  .object({ count: z.int(), exact: z.boolean().openapi({ description: "false: there are at least so many" }) })
  .openapi("Count");
const listSchema = pageSchema(serviceSchema).extend({
  total: totalSchema.openapi({ description: "how many services match, on all pages together" }),
  hiddenKnownGood: z.int().openapi({ description: "how many known-good services that the filter matches are left out" }),
  hiddenKnownGoodExact: z.boolean().openapi({ description: "false: at least so many are left out" }),
});
const facetSchema = z.array(z.object({ value: z.string(), count: z.int() })).readonly();
const FACETS_TEXT = `facets separated by commas, of ${FACETS.join(", ")}`;
const TAGS = ["services"];
const PORT_COUNTS_MAX = 100;

const list = createRoute({
  method: "get",
  path: "/v1/services",
  tags: TAGS,
  request: {
    query: z.strictObject({
      ...pageQuery,
      ...filterQuery,
      sort: z.enum(SEARCH_SORTS).optional().openapi({ description: "default address; with - the other way round" }),
    }),
  },
  responses: {
    200: json(listSchema, "Services that a filter matches; a page may be short or empty although more follow: only next_cursor tells"),
  },
});
const facets = createRoute({
  method: "get",
  path: "/v1/services/facets",
  tags: TAGS,
  request: {
    query: z.strictObject({
      ...filterQuery,
      facet: z
        .string()
        .max(100)
        .transform((text) => [...new Set(text.split(",").map((word) => word.trim()))])
        .pipe(z.array(z.enum(FACETS, FACETS_TEXT)).min(1))
        .optional()
        .openapi({ type: "string", description: `${FACETS_TEXT}; default: all of them` }),
    }),
  },
  responses: {
    200: json(
      z.object({
        total: totalSchema.openapi({ description: "when it is not exact, the facets count only that many of the matches" }),
        facets: z.object(
          Object.fromEntries(FACETS.map((facet) => [facet, facetSchema.optional()])) as Record<Facet, z.ZodOptional<typeof facetSchema>>,
        ),
      }),
      "The most frequent values among the services that a filter matches, at most 50 of each facet",
    ),
  },
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
      z.object({
        address: z.string(),
        services: z
          .array(
            serviceSchema.extend({
              vantages: z.array(vantageSchema).readonly().openapi({ description: "regions that said something about it" }),
            }),
          )
          .readonly(),
      }),
      "All services of one address, in every state",
    ),
  },
});

/** The register. */
export function serviceRoutes({ ledger, registry, clock }: ApiDeps) {
  return newApi()
    .openapi(list, async (c) => {
      const { sort, limit, cursor, ...wanted } = c.req.valid("query");
      const filter = filterOf(wanted);
      const page = openPage(c.req.path, { limit, cursor, sort, q: formatFilter(filter) });
      const context = await searchContext(filter, registry, clock());
      const query = { ...context, limit: page.limit, ...(sort === undefined ? {} : { sort }) };
      const [{ plans }, rows, { total, hiddenKnownGood }] = await Promise.all([
        registry.state(),
        ledger.search(page.after === undefined ? query : { ...query, cursor: page.after }),
        ledger.searchCounts(context),
      ]);
      const items = await withLabels({ ledger, plans, nowMs: clock() }, rows.items);
      const counts = { total, hiddenKnownGood: hiddenKnownGood.count, hiddenKnownGoodExact: hiddenKnownGood.exact };
      return c.json({ ...closePage(c, page, { items, next: rows.next }), ...counts }, 200);
    })
    .openapi(facets, async (c) => {
      const { facet = FACETS, ...wanted } = c.req.valid("query");
      const context = await searchContext(filterOf(wanted), registry, clock());
      const groups = facet.includes("group") ? groupRanges(await registry.state()) : context.groups;
      return c.json(await ledger.facets({ ...context, groups }, facet), 200);
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
      const [labelled, vantages] = await Promise.all([withLabels({ ledger, plans, nowMs: clock() }, services), ledger.vantages(services)]);
      return c.json({ address, services: labelled.map((service, index) => ({ ...service, vantages: vantages[index] ?? [] })) }, 200);
    });
}
