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
