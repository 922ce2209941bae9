import { z } from "zod";
import { PortolanError } from "../../src/core/errors.ts";
import { digestSchema } from "../../src/core/messages/common.ts";
import type { JobSpec } from "../../src/core/messages/job.ts";
import { ACCEPT_ITEMS_MAX, type Command, type CommandResult } from "../../src/ledger/types.ts";
import { cancelSubject } from "../../src/bus/names.ts";
import type { Cancel } from "../../src/core/messages/bus.ts";
import { deny, denyOrderSchema, liftDeny, liftOrderSchema } from "./deny-commands.ts";
import type { KeeperDeps } from "./deps.ts";
import { isOutside, runOutside, UPLOADS_PER_ROUND } from "./outside.ts";
import type { Schedule } from "./schedule.ts";
import type { Tiles } from "./tiles.ts";
import type { Writer } from "./writer.ts";

const COMMANDS_PER_ROUND = 32;

const startSchema = z.strictObject({
  planId: z.string().min(1).max(64),
  cause: z.enum(["manual", "interval", "cron", "follow-up"]).default("manual"),
});
const cancelSchema = z.strictObject({ job: digestSchema, reason: z.string().max(300).default("") });

const controlSchema = z.strictObject({ job: digestSchema, by: z.string().max(200).default("") });
const releaseSchema = z.strictObject({
  job: digestSchema,
  /** Null: all held tiles of the job. */
  tile: z.int().nonnegative().nullable().default(null),
  by: z.string().max(200).default(""),
});

type Services = { readonly writer: Writer; readonly schedule: Schedule; readonly tiles: Tiles };

/**
 * Does what the API left in the inbox, oldest first. An answer is committed together with what it announces, so a
 * command that was interrupted is done once. Refusals become answers; only a store that does not answer throws.
 */
export async function runCommands(deps: KeeperDeps, services: Services): Promise<void> {
  let uploads = 0;
  for (const command of await deps.ledger.takeCommands({ limit: COMMANDS_PER_ROUND, nowMs: deps.nowMs() })) {
    if (command.kind === "upload") uploads += 1;
    if (uploads > UPLOADS_PER_ROUND) return;
    try {
      await runCommand(deps, services, command);
    } catch (error) {
      if (!(error instanceof PortolanError) || error.code === "unavailable") throw error;
      services.writer.epoch();
      await finish(deps, services, command, { ok: false, code: error.code, message: error.message });
    }
  }
}

async function runCommand(deps: KeeperDeps, services: Services, command: Command): Promise<void> {
  switch (command.kind) {
    case "upload":
    case "traceroute":
    case "add-legacy-job":
    case "end-legacy-job": {
      const result = isOutside(command) ? await runOutside(deps, services.writer, command) : null;
      if (result !== null) await finish(deps, services, command, { ok: true, result });
      return;
    }
    case "start-job": {
      const { planId, cause } = parse(startSchema, command);
      await services.schedule.start(planId, cause, (job) => [{ id: command.id, result: { job } }]);
      return;
    }
    case "cancel-job":
      await cancel(deps, services, command);
      return;
    case "pause-job":
    case "resume-job":
      await control(deps, services, command, command.kind === "pause-job" ? "pause" : "resume");
      return;
    case "release-tile":
      await release(deps, services, command);
      return;
    case "deny":
      await deny(deps, services, { id: command.id, order: parse(denyOrderSchema, command) });
      return;
    case "lift-deny":
      await liftDeny(deps, services, { id: command.id, order: parse(liftOrderSchema, command) });
      return;
    case "rebuild-ledger":
      await deps.ledger.startRebuild({ epoch: services.writer.epoch() });
      await finish(deps, services, command, { ok: true, result: {} });
      deps.log.info(`the register of region ${deps.region} is made anew from its records`);
  }
}

/** Pauses or resumes; a repeat writes nothing. */
async function control(deps: KeeperDeps, services: Services, command: Command, action: "pause" | "resume"): Promise<void> {
  const { job, by } = parse(controlSchema, command);
  await ownJob(deps, job);
  const row = await deps.ledger.job(job);
  if (row?.state !== "running") throw new PortolanError("conflict", `job ${job} has ended, so there is nothing to ${action}`);
  if (row.paused === (action === "pause")) return finish(deps, services, command, { ok: true, result: {} });
  const content = { version: 1 as const, job, action, by, atMs: deps.nowMs() };
  await services.writer.write([services.writer.own({ kind: "job-control", content })], { finishes: [{ id: command.id, result: {} }] });
  deps.log.info(`${action}: job ${job} of plan "${row.plan}"`, { by });
}

/** Lets held tiles count, in whichever region it is asked for. */
async function release(deps: KeeperDeps, services: Services, command: Command): Promise<void> {
  const { job, tile, by } = parse(releaseSchema, command);
  const held = (await deps.ledger.heldTiles()).filter((one) => one.job === job && (tile === null || one.tile === tile));
  if (held.length === 0) {
    const what = tile === null ? "no tile" : `not tile ${tile}`;
    throw new PortolanError(
      "not-found",
      `the brake holds ${what} of job ${job} in region ${deps.region}; "portolan job show" lists what is held`,
    );
  }
  for (let at = 0; at < held.length; at += ACCEPT_ITEMS_MAX) {
    const items = held.slice(at, at + ACCEPT_ITEMS_MAX).map((one) => {
      const said = { cause: "operator" as const, by, agreeing: null };
      return services.writer.own({
        kind: "release",
        content: { version: 1, job, tile: one.tile, tileComplete: one.tileComplete, ...said },
      });
    });
    const isLast = at + ACCEPT_ITEMS_MAX >= held.length;
    await services.writer.write(items, isLast ? { finishes: [{ id: command.id, result: { released: held.length } }] } : {});
  }
  deps.log.info(`${held.length} tiles of job ${job} were released`, { by });
}

/** The spec of a job of this home; throws `not-found`, or `conflict` for another region's. */
async function ownJob(deps: KeeperDeps, job: string): Promise<JobSpec> {
  const spec = await deps.ledger.jobSpec(job);
  if (spec === null) throw new PortolanError("not-found", `there is no job ${job} in region ${deps.region}; "portolan job ls" lists them`);
  if (spec.home === deps.region) return spec;
  throw new PortolanError("conflict", `job ${job} belongs to region ${spec.home}, not to ${deps.region}; send the request there`);
}

async function cancel(deps: KeeperDeps, services: Services, command: Command): Promise<void> {
  const { job, reason } = parse(cancelSchema, command);
  const spec = await ownJob(deps, job);
  const detail = reason === "" ? "cancelled" : reason;
  await services.tiles.abandon(job, { cause: "cancelled", detail }, { finishes: [{ id: command.id, result: {} }] });
  // When nothing was open any more, no record has answered the command.
  await finish(deps, services, command, { ok: true, result: {} });
  const message: Cancel = { job, reason: detail };
  const members = spec.members.filter((member) => member.region === deps.region);
  for (const { scanner } of members) deps.bus.publish(cancelSubject(scanner), new TextEncoder().encode(JSON.stringify(message)));
  deps.log.info(`job ${job} of plan "${spec.plan.name}" was cancelled: ${detail}`);
}

async function finish(deps: KeeperDeps, { writer }: Services, command: Command, result: CommandResult): Promise<void> {
  await deps.ledger.finishCommand(command.id, result, { epoch: writer.epoch(), nowMs: deps.nowMs() });
}

function parse<T>(schema: z.ZodType<T>, command: Command): T {
  const parsed = schema.safeParse(command.body);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new PortolanError(
    "invalid",
    `the command ${command.kind} is wrong: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? "unreadable"}`,
  );
}
