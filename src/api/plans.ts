import { z } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import { checkPlan, planOutlook } from "../registry/rules/outlook.ts";
import type { PlanChanges } from "../registry/rules/plans.ts";
import { resolvePlan } from "../registry/rules/resolve.ts";
import type { Plan, RegistryState } from "../registry/types.ts";
import { askKeeper } from "./command.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { body, createRoute, deletedSchema, json } from "./define.ts";
import { durationSchema, parseDuration } from "./duration.ts";
import { closePage, openPage, pageQuery, pageSchema, slicePage } from "./page.ts";

const planSchema = z
  .object({
    id: z.string(),
    name: z.string(),
    revision: z.int(),
    enabled: z.boolean(),
    include: z.array(z.string()).readonly(),
    exclude: z.array(z.string()).readonly(),
    ports: z.string(),
    rateLimitPps: z.int().openapi({ description: "packets per second of each scanner" }),
    retries: z.int(),
    group: z.string(),
    engine: z.enum(["auto", "masscan", "connect"]),
    intervalS: z.int().nullable().openapi({ description: "null: only on request" }),
    deadlineS: z.int(),
    closeAfter: z.int(),
    confirm: z.boolean(),
    home: z.string(),
    pairsMax: z.int().nullable(),
    canaries: z.array(z.object({ address: z.string(), port: z.int() })).readonly(),
    ownGroup: z.string().nullable().openapi({ description: "range group that was made with the plan and goes with it" }),
    createdAtMs: z.int(),
    pairs: z.number().nullable().openapi({ description: "addresses times ports of one job now; null when no job could be planned" }),
    expectedS: z.number().nullable().openapi({ description: "seconds of one job, with all scanners at the full rate" }),
    problem: z.string().nullable().openapi({ description: "why no job could be planned now" }),
  })
  .openapi("Plan");
const groupNames = z.array(z.string().max(100)).max(100);
const pairsMax = z.int().positive().max(1_000_000_000_000);
const canaries = z.array(z.strictObject({ address: z.string().max(45), port: z.int().min(1).max(65_535) })).max(16);
const inputSchema = z
  .strictObject({
    name: z.string().max(100),
    ranges: z.array(z.string().min(1).max(100)).max(10_000).default([]).openapi({ description: "shorthand: a range group of its own" }),
    include: groupNames.default([]),
    exclude: groupNames.default([]),
    ports: z.string().min(1).max(20_000).openapi({ example: "22,80-90,443,U:53" }),
    rateLimitPps: z.int().optional(),
    retries: z.int().min(0).max(10).optional(),
    group: z.string().max(100).optional().openapi({ description: "default @all" }),
    engine: z.enum(["auto", "masscan", "connect"]).optional(),
    every: durationSchema.nullable().default(null).openapi({ description: "null: only on request" }),
    deadline: durationSchema.nullable().default(null),
    closeAfter: z.int().min(1).max(10).optional().openapi({ description: "default 2" }),
    confirm: z.boolean().optional().openapi({ description: "default true: closing also needs a probe that confirms it" }),
    home: z.string().max(100).optional().openapi({ description: "default: the first region" }),
    pairsMax: pairsMax.nullable().default(null),
    canaries: canaries.default([]),
    enabled: z.boolean().optional(),
  })
  .openapi("PlanInput");
/** What is left out stays; null takes the default (`every`: only on request). */
const changesSchema = z
  .strictObject({
    include: groupNames.optional(),
    exclude: groupNames.optional(),
    ports: inputSchema.shape.ports.optional(),
    rateLimitPps: inputSchema.shape.rateLimitPps,
    retries: inputSchema.shape.retries,
    group: inputSchema.shape.group,
    engine: inputSchema.shape.engine,
    every: durationSchema.nullable().optional().openapi({ description: "null: only on request" }),
    deadline: durationSchema.nullable().optional().openapi({ description: "null: as long as jobs of this size need" }),
    closeAfter: inputSchema.shape.closeAfter,
    confirm: inputSchema.shape.confirm,
    home: inputSchema.shape.home,
    pairsMax: pairsMax.nullable().optional(),
    canaries: canaries.optional().openapi({ description: "replaces all of them" }),
    enabled: inputSchema.shape.enabled,
  })
  .openapi("PlanChanges");
const nameParam = { params: z.object({ name: z.string().max(100) }) };
const TAGS = ["plans"];

const list = createRoute({
  method: "get",
  path: "/v1/plans",
  tags: TAGS,
  request: { query: z.strictObject(pageQuery) },
  responses: { 200: json(pageSchema(planSchema), "Plans by name") },
});
const create = createRoute({
  method: "post",
  path: "/v1/plans",
  tags: TAGS,
  request: body(inputSchema),
  responses: { 200: json(planSchema, "It was there already, with the same settings"), 201: json(planSchema, "Created") },
});
const read = createRoute({
  method: "get",
  path: "/v1/plans/{name}",
  tags: TAGS,
  request: nameParam,
  responses: { 200: json(planSchema, "One plan") },
});
const change = createRoute({
  method: "patch",
  path: "/v1/plans/{name}",
  tags: TAGS,
  request: { ...nameParam, ...body(changesSchema) },
  responses: {
    200: json(planSchema, "The plan as it is now; its revision has counted up if anything changed. Running jobs keep what they began with"),
  },
});
const remove = createRoute({
  method: "delete",
  path: "/v1/plans/{name}",
  tags: TAGS,
  request: nameParam,
  responses: { 200: json(deletedSchema, "Deleted; what it found stays in the register") },
});
const start = createRoute({
  method: "post",
  path: "/v1/plans/{name}/jobs",
  tags: TAGS,
  request: nameParam,
  responses: { 201: json(z.object({ job: z.string() }), "The keeper has planned the job; Location names it") },
});

const startedSchema = z.object({ job: z.string() });

/** Plans, and the jobs that are started from them. */
export function planRoutes({ registry, ledger, clock, region }: ApiDeps) {
  const show = async (plan: Plan): Promise<z.infer<typeof planSchema>> => showPlan(await registry.state(), plan, clock());
  const find = async (name: string): Promise<Plan> =>
    found(
      (await registry.state()).plans.find((plan) => plan.name === name),
      "plan",
      name,
      "/v1/plans",
    );
  return newApi()
    .openapi(list, async (c) => {
      const page = openPage(c.req.path, c.req.valid("query"));
      const state = await registry.state();
      const { items, next } = slicePage(state.plans, ({ name }) => name, page);
      return c.json(closePage(c, page, { items: items.map((plan) => showPlan(state, plan, clock())), next }), 200);
    })
    .openapi(create, async (c) => {
      const { every, deadline, ...input } = c.req.valid("json");
      const written = await registry.addPlan({
        ...input,
        rateLimitPps: input.rateLimitPps ?? null,
        retries: input.retries ?? null,
        group: input.group ?? null,
        engine: input.engine ?? null,
        closeAfter: input.closeAfter ?? null,
        confirm: input.confirm ?? null,
        home: input.home ?? null,
        enabled: input.enabled ?? null,
        intervalS: every === null ? null : parseDuration(every),
        deadlineS: deadline === null ? null : parseDuration(deadline),
      });
      return c.json(await show(written.value), written.changed ? 201 : 200);
    })
    .openapi(read, async (c) => c.json(await show(await find(c.req.valid("param").name)), 200))
    .openapi(change, async (c) => {
      const written = await registry.changePlan(c.req.valid("param").name, changesOf(c.req.valid("json")));
      return c.json(await show(written.value), 200);
    })
    .openapi(remove, async (c) => {
      const { name } = c.req.valid("param");
      await registry.deletePlan(name);
      return c.json({ deleted: name }, 200);
    })
    .openapi(start, async (c) => {
      const plan = await find(c.req.valid("param").name);
      if (plan.home !== region) {
        throw new PortolanError(
          "conflict",
          `the jobs of plan "${plan.name}" are planned in region "${plan.home}", not in "${region}"; ask the API of that region`,
        );
      }
      checkPlan(resolvePlan(await registry.state(), plan, clock()), clock());
      const { job } = startedSchema.parse(await askKeeper({ ledger, clock, region }, "start-job", { planId: plan.id, cause: "manual" }));
      c.header("Location", `/v1/jobs/${job}`);
      return c.json({ job }, 201);
    });
}

function changesOf({ every, deadline, ...rest }: z.infer<typeof changesSchema>): PlanChanges {
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as PlanChanges;
  return {
    ...given,
    ...(every === undefined ? {} : { intervalS: every === null ? null : parseDuration(every) }),
    ...(deadline === undefined ? {} : { deadlineS: deadline === null ? null : parseDuration(deadline) }),
  };
}

function showPlan(state: RegistryState, plan: Plan, nowMs: number): z.infer<typeof planSchema> {
  const { size, problem } = planOutlook(state, plan, nowMs);
  return { ...plan, pairs: size === null ? null : Number(size.pairs), expectedS: size?.expectedS ?? null, problem };
}
