import { z } from "zod";
import { PortolanError } from "../../src/core/errors.ts";
import { digestSchema } from "../../src/core/messages/common.ts";
import type { Command, CommandResult } from "../../src/ledger/types.ts";
import { cancelSubject } from "../../src/bus/names.ts";
import type { Cancel } from "../../src/core/messages/bus.ts";
import type { KeeperDeps } from "./deps.ts";
import type { Schedule } from "./schedule.ts";
import type { Tiles } from "./tiles.ts";
import type { Writer } from "./writer.ts";

const COMMANDS_PER_ROUND = 32;

const startSchema = z.strictObject({
  planId: z.string().min(1).max(64),
  cause: z.enum(["manual", "interval", "cron", "follow-up"]).default("manual"),
});
const cancelSchema = z.strictObject({ job: digestSchema, reason: z.string().max(300).default("") });

type Services = { readonly writer: Writer; readonly schedule: Schedule; readonly tiles: Tiles };

/**
 * Does what the API left in the inbox, oldest first. An answer is committed together with what it announces, so a
 * command that was interrupted is done once. Refusals become answers; only a store that does not answer throws.
 */
export async function runCommands(deps: KeeperDeps, services: Services): Promise<void> {
  for (const command of await deps.ledger.takeCommands({ limit: COMMANDS_PER_ROUND, nowMs: deps.nowMs() })) {
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
    case "start-job": {
      const { planId, cause } = parse(startSchema, command);
      await services.schedule.start(planId, cause, (job) => [{ id: command.id, result: { job } }]);
      return;
    }
    case "cancel-job":
      await cancel(deps, services, command);
  }
}

async function cancel(deps: KeeperDeps, services: Services, command: Command): Promise<void> {
  const { job, reason } = parse(cancelSchema, command);
  const spec = await deps.ledger.jobSpec(job);
  if (spec === null) throw new PortolanError("not-found", `there is no job ${job} in region ${deps.region}; "portolan job ls" lists them`);
  if (spec.home !== deps.region) {
    throw new PortolanError("conflict", `job ${job} belongs to region ${spec.home}, not to ${deps.region}; send the request there`);
  }
  const detail = reason === "" ? "cancelled" : reason;
  await services.tiles.abandon(job, { cause: "cancelled", detail }, [{ id: command.id, result: {} }]);
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
