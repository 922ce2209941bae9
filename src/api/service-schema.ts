import { z } from "@hono/zod-openapi";
import { formatAddress, parseAddress } from "../core/address.ts";
import type { Service } from "../ledger/types.ts";
import { LABELS } from "./labels.ts";
import { numberParam } from "./page.ts";

export const protocolSchema = z.enum(["tcp", "udp", "sctp"]);
export const stateSchema = z.enum(["open", "missing", "closed"]);

export const serviceSchema = z
  .object({
    address: z.string(),
    protocol: protocolSchema,
    port: z.int(),
    state: stateSchema,
    firstSeenMs: z.int(),
    lastSeenMs: z.int(),
    seenBy: z.array(z.string()).readonly().openapi({ description: "regions whose own scanners saw it" }),
    changedAtMs: z.int(),
    reopened: z.boolean(),
    known: z.boolean(),
    tainted: z.boolean().openapi({ description: "all who were the last to see it signed with keys that are revoked by now" }),
    labels: z.array(z.enum(LABELS)).readonly().openapi({
      description:
        "never-covered: no complete tile ever held it; unmonitored: no plan covers it; stale: no plan covered it within its interval",
    }),
    coveredAtMs: z.int().nullable().openapi({ description: "when a plan with an interval last covered it" }),
  })
  .openapi("Service");

/** How one region stands to a service. */
export const vantageSchema = z
  .object({
    region: z.string(),
    says: z.enum(["open", "silent"]).openapi({
      description:
        "silent: after another region had seen it, a complete look by this region's scanners alone, or a confirm of theirs, did not",
    }),
    lastSeenMs: z.int().nullable().openapi({ description: "when a scanner of this region last saw it" }),
    missed: z
      .object({ atMs: z.int(), by: z.enum(["look", "probe"]), job: z.string() })
      .nullable()
      .openapi({ description: "the newest look of this region that missed it; null unless it is silent" }),
  })
  .openapi("Vantage");

/** Path parameters of one service. */
export const serviceParams = {
  params: z.object({ address: z.string().max(60), protocol: protocolSchema, port: numberParam({ min: 0, max: 65_535 }) }),
};

/** The key in canonical spelling. Throws `invalid` when the address is none. */
export function serviceKeyOf(given: {
  readonly address: string;
  readonly protocol: Service["protocol"];
  readonly port: number;
}): Pick<Service, "address" | "protocol" | "port"> {
  return { ...given, address: formatAddress(parseAddress(given.address)) };
}

/** Query parameters that say which services are wanted; see `filterOf`. */
export const filterQuery = {
  q: z.string().max(4_000).optional().openapi({
    description:
      "filter: key:value,value terms with spaces between them; commas mean or, terms mean and, - or ! before a term negates it. Keys: ip, net, port, proto, group, region, scanner, state, label, change, known, seen, first, vantage",
    example: "port:22,80-90 net:192.0.2.0/24 -group:edge state:open seen:<24h",
  }),
  cidr: z.string().min(1).max(100).optional().openapi({ description: "CIDR, first-last, or one address; one more term" }),
  port: numberParam({ min: 0, max: 65_535 }).optional(),
  protocol: protocolSchema.optional(),
  state: z.enum(["open", "missing", "closed", "active", "all"]).optional().openapi({ description: "default active: open and missing" }),
  known: z.enum(["hide", "show", "only"]).optional().openapi({ description: "known-good services; default hide" }),
  vantage: z
    .literal("disagree")
    .optional()
    .openapi({ description: "only what one region sees and another one's complete look, or confirm, did not" }),
};
