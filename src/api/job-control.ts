import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { PortolanError } from "../core/errors.ts";
import type { Job } from "../ledger/types.ts";
import { accountingOf } from "./accounting.ts";
import { askKeeper } from "./command.ts";
import { mayTouch } from "./conditional.ts";
import { type ApiDeps, type ApiEnv, found, newApi } from "./context.ts";
import { body, createRoute, json } from "./define.ts";
import { accountingSchema, idParam, jobSchema, tileParam } from "./job-schema.ts";

const TAGS = ["jobs"];
const releasedSchema = z.object({ job: z.string(), released: z.int().openapi({ description: "how many held tiles count from now on" }) });

const accounting = createRoute({
  method: "get",
  path: "/v1/jobs/{id}/accounting",
  tags: TAGS,
  request: idParam,
  responses: { 200: json(accountingSchema, "Probes sent, by scanner, by host and by network") },
});
const cancel = createRoute({
  method: "post",
  path: "/v1/jobs/{id}/cancel",
  tags: TAGS,
  request: { ...idParam, ...body(z.strictObject({ reason: z.string().trim().min(1, "say why").max(200) })) },
  responses: { 200: json(jobSchema, "Its open tiles are abandoned: they cover nothing and close nothing") },
});
const pause = createRoute({
  method: "post",
  path: "/v1/jobs/{id}/pause",
  tags: TAGS,
  request: idParam,
  responses: { 200: json(jobSchema, "None of its shards is given out any more; what runs goes on") },
});
const resume = createRoute({
  method: "post",
  path: "/v1/jobs/{id}/resume",
  tags: TAGS,
  request: idParam,
  responses: { 200: json(jobSchema, "Its shards are given out again") },
});
const releaseAll = createRoute({
  method: "post",
  path: "/v1/jobs/{id}/release",
  tags: TAGS,
  request: idParam,
  responses: { 200: json(releasedSchema, "All tiles of the job that the brake held count from now on") },
});
const releaseTile = createRoute({
  method: "post",
  path: "/v1/jobs/{id}/tiles/{tile}/release",
  tags: TAGS,
  request: tileParam,
  responses: { 200: json(releasedSchema, "The held tile counts from now on") },
});

/** What an operator may do with a job. */
export function jobControlRoutes({ ledger, clock, region }: ApiDeps) {
  const find = async (id: string): Promise<Job> => found(await ledger.job(id), "job", id, "/v1/jobs");
  const ask = (kind: Parameters<typeof askKeeper>[1], order: object): Promise<unknown> => askKeeper({ ledger, clock, region }, kind, order);
  const atHome = async (id: string): Promise<Job> => {
    const job = await find(id);
    if (job.home === region) return job;
    throw new PortolanError("conflict", `this job's home is region "${job.home}", not "${region}"; ask the API of that region`);
  };
  const control = async (c: Context<ApiEnv>, id: string, kind: "pause-job" | "resume-job"): Promise<Job> => {
    const job = await atHome(id);
    mayTouch(c, { regions: [job.home], group: job.group });
    if (job.state !== "running") {
      const verb = kind === "pause-job" ? "pause" : "resume";
      throw new PortolanError(
        "conflict",
        `this job has ended (${job.state}), so there is nothing to ${verb}; "portolan plan start ${job.plan}" starts another one`,
      );
    }
    // Said twice is said once.
    if (job.paused !== (kind === "pause-job")) await ask(kind, { job: job.id, by: c.get("token").name });
    return find(job.id);
  };
  const release = async (c: Context<ApiEnv>, id: string, tile: number | null) => {
    const job = await find(id);
    mayTouch(c, { regions: [job.home], group: job.group });
    const result = z.object({ released: z.int() }).safeParse(await ask("release-tile", { job: job.id, tile, by: c.get("token").name }));
    return { job: job.id, released: result.success ? result.data.released : 1 };
  };
  return newApi()
    .openapi(accounting, async (c) => {
      const { id } = c.req.valid("param");
      return c.json(found(await accountingOf(ledger, id), "job", id, "/v1/jobs"), 200);
    })
    .openapi(cancel, async (c) => {
      const job = await atHome(c.req.valid("param").id);
      mayTouch(c, { regions: [job.home], group: job.group });
      // Cancelling twice is one cancellation.
      if (job.state === "running") await ask("cancel-job", { job: job.id, reason: c.req.valid("json").reason });
      return c.json(await find(job.id), 200);
    })
    .openapi(pause, async (c) => c.json(await control(c, c.req.valid("param").id, "pause-job"), 200))
    .openapi(resume, async (c) => c.json(await control(c, c.req.valid("param").id, "resume-job"), 200))
    .openapi(releaseAll, async (c) => c.json(await release(c, c.req.valid("param").id, null), 200))
    .openapi(releaseTile, async (c) => {
      const { id, tile } = c.req.valid("param");
      return c.json(await release(c, id, tile), 200);
    });
}
