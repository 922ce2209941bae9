import { z } from "@hono/zod-openapi";
import { PortolanError } from "../core/errors.ts";
import { checkPlan, planOutlook } from "../registry/rules/outlook.ts";
import type { PlanChanges } from "../registry/rules/plans.ts";
import { resolvePlan } from "../registry/rules/resolve.ts";
import type { Plan, RegistryState } from "../registry/types.ts";
import { askKeeper } from "./command.ts";
import { mayTouch, tagged, taggedList, writing } from "./conditional.ts";
import { type ApiDeps, found, newApi } from "./context.ts";
import { body, createRoute, deletedSchema, json } from "./define.ts";
import { durationSchema, parseDuration } from "./duration.ts";
import { canariesSchema, groupNames, pairsMaxSchema, planInputOf, planInputSchema } from "./plan-input.ts";
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
    cron: z.string().nullable().openapi({ description: "five fields, instead of an interval" }),
    timeZone: z.string().openapi({ description: "in which the cron pattern is read" }),
    deadlineS: z.int(),
    closeAfter: z.int(),
    confirm: z.boolean(),
    home: z.string(),
    homes: z.array(z.string()).readonly().openapi({ description: "regions that plan, in order: each when those before it are silent" }),
    takeoverAfterS: z.int().openapi({ description: "how long nothing may come from a home before the next one plans" }),
    pairsMax: z.int().nullable(),
    canaries: z.array(z.object({ address: z.string(), port: z.int() })).readonly(),
    ownGroup: z.string().nullable().openapi({ description: "range group that was made with the plan and goes with it" }),
    createdAtMs: z.int(),
    pairs: z.number().nullable().openapi({ description: "addresses times ports of one job now; null when no job could be planned" }),
    expectedS: z.number().nullable().openapi({ description: "seconds of one job, with all scanners at the full rate" }),
    problem: z.string().nullable().openapi({ description: "why no job could be planned now" }),
  })
  .openapi("Plan");
/** What is left out stays; null takes the default (`every`: only on request). */
const changesSchema = z
  .strictObject({
    include: groupNames.optional(),
    exclude: groupNames.optional(),
    ports: planInputSchema.shape.ports.optional(),
    rateLimitPps: planInputSchema.shape.rateLimitPps,
    retries: planInputSchema.shape.retries,
    group: planInputSchema.shape.group,
    engine: planInputSchema.shape.engine,
    every: durationSchema.nullable().optional().openapi({ description: "replaces cron; null: only on request" }),
    cron: z.string().min(1).max(200).nullable().optional().openapi({ description: "replaces every" }),
    timeZone: planInputSchema.shape.timeZone,
    deadline: durationSchema.nullable().optional().openapi({ description: "null: as long as jobs of this size need" }),
    closeAfter: planInputSchema.shape.closeAfter,
    confirm: planInputSchema.shape.confirm,
    home: planInputSchema.shape.home,
    homes: planInputSchema.shape.homes,
    takeoverAfter: planInputSchema.shape.takeoverAfter,
    pairsMax: pairsMaxSchema.nullable().optional(),
    canaries: canariesSchema.optional().openapi({ description: "replaces all of them" }),
    enabled: planInputSchema.shape.enabled,
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
  request: body(planInputSchema),
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
    200: json(
      planSchema,
      "The plan as it is now; its revision has counted up if anything changed. Running jobs keep what they began with, but stop probing what is excluded by now",
    ),
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
      return c.json(
        taggedList(c, state.version, closePage(c, page, { items: items.map((plan) => showPlan(state, plan, clock())), next })),
        200,
      );
    })
    .openapi(create, async (c) => {
      const written = await writing(c, registry).addPlan(planInputOf(c.req.valid("json")));
      return c.json(tagged(c, written.value, await show(written.value)), written.changed ? 201 : 200);
    })
    .openapi(read, async (c) => {
      const plan = await find(c.req.valid("param").name);
      return c.json(tagged(c, plan, await show(plan)), 200);
    })
    .openapi(change, async (c) => {
      const written = await writing(c, registry).changePlan(c.req.valid("param").name, changesOf(c.req.valid("json")));
      return c.json(tagged(c, written.value, await show(written.value)), 200);
    })
    .openapi(remove, async (c) => {
      const { name } = c.req.valid("param");
      await writing(c, registry).deletePlan(name);
      return c.json({ deleted: name }, 200);
    })
    .openapi(start, async (c) => {
      const plan = await find(c.req.valid("param").name);
      mayTouch(c, { regions: plan.homes, group: plan.group });
      // Which of its homes has the turn is known to their keepers.
      if (!plan.homes.includes(region)) {
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

function changesOf({ every, deadline, takeoverAfter, ...rest }: z.infer<typeof changesSchema>): PlanChanges {
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as PlanChanges;
  return {
    ...given,
    ...(takeoverAfter === undefined ? {} : { takeoverAfterS: parseDuration(takeoverAfter) }),
    ...(every === undefined ? {} : { intervalS: every === null ? null : parseDuration(every) }),
    ...(deadline === undefined ? {} : { deadlineS: deadline === null ? null : parseDuration(deadline) }),
  };
}

function showPlan(state: RegistryState, plan: Plan, nowMs: number): z.infer<typeof planSchema> {
  const { size, problem } = planOutlook(state, plan, nowMs);
  return { ...plan, pairs: size === null ? null : Number(size.pairs), expectedS: size?.expectedS ?? null, problem };
}
