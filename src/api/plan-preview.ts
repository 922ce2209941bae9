import { z } from "@hono/zod-openapi";
import { draftOf } from "../registry/rules/plans.ts";
import { type PlanPreview, previewPlan } from "../registry/rules/preview.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { body, createRoute, json } from "./define.ts";
import { planInputOf, planInputSchema } from "./plan-input.ts";

const TAGS = ["plans"];
const shareSchema = z.object({
  scanner: z.string(),
  region: z.string(),
  shards: z.int(),
  pairs: z.number(),
  probes: z.number(),
  expectedS: z.number().openapi({ description: "seconds of one job for this scanner" }),
});
const jobSchema = z.object({
  tiles: z.int(),
  shards: z.int(),
  networks: z.number().openapi({ description: "IPv4 /24s and IPv6 /64s" }),
  perHostMax: z.number().openapi({ description: "probes to the address that gets most" }),
  expectedS: z.number().openapi({ description: "of the slowest scanner" }),
  engines: z.array(z.string()).readonly(),
  scanners: z.array(shareSchema).readonly(),
});
const cutSchema = z.object({
  kind: z.enum(["exclusion", "range-group", "deny"]),
  key: z.string().openapi({ description: "id of the exclusion, name of the range group, or what is denied" }),
  reason: z.string(),
  ports: z.string().nullable(),
  addresses: z.number(),
  pairs: z.number().openapi({ description: "of this one alone: what two of them take out both count" }),
});
const previewSchema = z
  .object({
    plan: z.string(),
    ok: z.boolean().openapi({ description: "it could be saved and planned" }),
    problems: z.array(z.string()).readonly(),
    warnings: z.array(z.object({ code: z.string(), detail: z.string() })).readonly(),
    addresses: z.number(),
    pairs: z.number(),
    probes: z.number().openapi({ description: "pairs, with retries" }),
    job: jobSchema.nullable().openapi({ description: "null when no job could be planned" }),
    fastestNetwork: z
      .object({
        network: z.string(),
        pps: z.number().openapi({ description: "packets per second, with all other plans that scan it" }),
        limitPps: z.number(),
        plans: z.array(z.object({ name: z.string(), pps: z.number() })).readonly(),
      })
      .nullable()
      .openapi({ description: "null: special-purpose blocks only, which have no limit" }),
    cuts: z.array(cutSchema).readonly().openapi({ description: "what exclusions take out" }),
    unprobeable: z
      .object({ ranges: z.array(z.string()).readonly(), addresses: z.number() })
      .openapi({ description: "what no scanner of the group may probe; at most 20 ranges are named" }),
  })
  .openapi("PlanPreview");

const preview = createRoute({
  method: "post",
  path: "/v1/plans/preview",
  tags: TAGS,
  request: body(planInputSchema),
  responses: { 200: json(previewSchema, "What such a plan would mean; nothing is saved and nothing is sent") },
});
const previewOf = createRoute({
  method: "get",
  path: "/v1/plans/{name}/preview",
  tags: TAGS,
  request: { params: z.object({ name: z.string().max(100) }) },
  responses: { 200: json(previewSchema, "What the plan means now; nothing is sent") },
});

/** What plans amount to, before they are saved or run. */
export function planPreviewRoutes({ registry, ledger, clock }: ApiDeps) {
  return newApi()
    .openapi(preview, async (c) => {
      const nowMs = clock();
      const { plan, state } = draftOf(await registry.state(), planInputOf(c.req.valid("json")), { id: "preview", nowMs });
      const { pairs: denied } = await ledger.denied(nowMs);
      return c.json(showPreview(plan.name, previewPlan(state, plan, { nowMs, denied })), 200);
    })
    .openapi(previewOf, async (c) => {
      const { name } = c.req.valid("param");
      const state = await registry.state();
      const plan = found(
        state.plans.find((candidate) => candidate.name === name),
        "plan",
        name,
        "/v1/plans",
      );
      const nowMs = clock();
      const { pairs: denied } = await ledger.denied(nowMs);
      return c.json(showPreview(name, previewPlan(state, plan, { nowMs, denied })), 200);
    });
}

/** Counts of IPv6 go beyond what a number holds exactly; nobody needs their last digits. */
function showPreview(plan: string, found: PlanPreview): z.infer<typeof previewSchema> {
  const { job, unprobeable } = found;
  return {
    ...found,
    plan,
    ok: found.problems.length === 0,
    addresses: Number(found.addresses),
    pairs: Number(found.pairs),
    probes: Number(found.probes),
    job:
      job === null
        ? null
        : {
            ...job,
            networks: Number(job.networks),
            scanners: job.scanners.map((share) => ({ ...share, pairs: Number(share.pairs), probes: Number(share.probes) })),
          },
    cuts: found.cuts.map((cut) => ({ ...cut, addresses: Number(cut.addresses), pairs: Number(cut.pairs) })),
    unprobeable: { ranges: unprobeable.ranges, addresses: Number(unprobeable.addresses) },
  };
}
