import type { Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { formatCount, formatDuration, formatPercent, formatRate, formatUtc, formatWhen, shortId } from "../../web/format.ts";
import { wholeNumber } from "../arguments.ts";
import { allRows, bodyOf, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { factLines, type Column, type Tone } from "../output.ts";
import { visible } from "../text.ts";
import { watchJob } from "../watch.ts";
import { readShards, resolveJob, tilesOf, type Job, type Shard } from "./job-common.ts";
import { heldLines, readHeld, registerJobControl } from "./job-control.ts";

const WATCH_EXAMPLES = `
Examples:
  portolan job watch                 the newest job
  portolan job watch 3f9c0a1b2c3d    a job by the beginning of its id
  portolan job watch --json          one document when it has ended

Ends with 0 when the job is complete and with 6 when it ended incomplete.
Ctrl-C only ends the watching; "portolan job cancel" ends the job.`;

/** `portolan job …`: runs of plans. */
export function registerJob(program: Command, session: Session): void {
  const job = program.command("job").description("runs of plans");
  job
    .command("ls")
    .description("list jobs, the newest first")
    .option("--plan <name>", "only of this plan")
    .option("--state <state>", "running, complete or incomplete")
    .option("--limit <count>", "at most this many (default: 20)", wholeNumber)
    .option("--all", "all of them")
    .action(async (options: ListOptions) => session.finish(await listJobs(session.context(), options)));
  job
    .command("show [job]")
    .description("one job with its shards (default: the newest)")
    .action(async (id: string | undefined) => session.finish(await showJob(session.context(), id)));
  job
    .command("watch [job]")
    .description("follow a job until it ends (default: the newest)")
    .option("--plan <name>", "the newest job of this plan")
    .addHelpText("after", WATCH_EXAMPLES)
    .action(async (id: string | undefined, options: { readonly plan?: string }) => {
      const context = session.context();
      const api = context.api();
      session.finish(await watchJob(context, api, await resolveJob(api, { id, plan: options.plan })));
    });
  job
    .command("cancel <job>")
    .description("end a job; what it found stays, its open tiles cover nothing and close nothing")
    .option("--reason <text>", "for the record", "cancelled from the command line")
    .action(async (id: string, options: { readonly reason: string }) =>
      session.finish(await cancelJob(session.context(), id, options.reason)),
    );
  registerJobControl(job, session);
}

type ListOptions = { readonly plan?: string; readonly state?: string; readonly limit?: number; readonly all?: boolean };

const STATES = ["running", "complete", "incomplete"] as const;
const TONES: Readonly<Record<Job["state"], Tone>> = { running: "warn", complete: "good", incomplete: "bad" };

async function listJobs(context: Context, options: ListOptions): Promise<number> {
  const api = context.api();
  const state = STATES.find((known) => known === options.state);
  if (options.state !== undefined && state === undefined) {
    throw new PortolanError("invalid", `unknown state "${options.state}"; it is one of ${STATES.join(", ")}`);
  }
  const filter = { ...(options.plan === undefined ? {} : { plan: options.plan }), ...(state === undefined ? {} : { state }) };
  const read = (limit: string, cursor?: string) =>
    bodyOf(api.v1.jobs.$get({ query: { ...filter, limit, ...(cursor === undefined ? {} : { cursor }) } }));
  const page =
    options.all === true
      ? { items: await allRows((cursor) => read("1000", cursor)), next_cursor: null }
      : await read(String(options.limit ?? 20));
  const nowMs = context.io.now();
  const columns: Column<Job>[] = [
    { title: "job", value: (job) => shortId(job.id) },
    { title: "plan", value: (job) => job.plan },
    { title: "state", value: (job) => (job.paused ? "paused" : job.state), tone: (job) => TONES[job.state] },
    { title: "tiles", value: tilesOf, isNumber: true },
    { title: "pairs", value: (job) => formatCount(job.pairs), isNumber: true },
    { title: "started", value: (job) => formatWhen(job.plannedAtMs, nowMs) },
    {
      title: "took",
      value: (job) => (job.endedAtMs === null ? "" : formatDuration((job.endedAtMs - job.plannedAtMs) / 1_000)),
      isNumber: true,
    },
    { title: "why", value: (job) => job.why ?? "" },
  ];
  const shown = page.items.some((job) => job.why !== null) ? columns : columns.slice(0, -1);
  context.output.list(page.items, { columns: shown, empty: "No job yet. Start one: portolan plan start NAME", next: page.next_cursor });
  return EXIT.ok;
}

async function showJob(context: Context, given: string | undefined): Promise<number> {
  const api = context.api();
  const id = await resolveJob(api, { id: given, plan: undefined });
  const [job, shards, held] = await Promise.all([
    bodyOf(api.v1.jobs[":id"].$get({ param: { id } })),
    readShards(api, id),
    readHeld(api, id),
  ]);
  if (context.output.format !== "table") {
    context.output.one({ ...job, shards, held }, []);
    return EXIT.ok;
  }
  context.output.one(
    job,
    factLines([
      ["job", job.id],
      ["plan", job.plan],
      ["state", job.paused ? `${job.state}, paused` : job.state],
      ...(job.why === null ? [] : [["why", job.why] as const]),
      ["started", `${formatUtc(job.plannedAtMs)}, ${job.cause}`],
      ["ended", job.endedAtMs === null ? "not yet" : formatUtc(job.endedAtMs)],
      ["tiles", `${tilesOf(job)} complete, ${job.tiles.abandoned} abandoned`],
      ["pairs", formatCount(job.pairs)],
      ["scanner group", job.group],
      ["home", job.home],
    ]),
  );
  for (const line of heldLines(job.id, held)) context.io.stdout.write(`${visible(line)}\n`);
  context.io.stdout.write("\n");
  context.output.list(shards, { columns: SHARD_COLUMNS, empty: "No shard has been handed out yet." });
  return EXIT.ok;
}

const SHARD_COLUMNS: readonly Column<Shard>[] = [
  { title: "tile", value: (shard) => String(shard.tile), isNumber: true },
  { title: "shard", value: (shard) => String(shard.shard), isNumber: true },
  { title: "scanner", value: (shard) => shard.scanner },
  { title: "attempt", value: (shard) => String(shard.attempt), isNumber: true },
  { title: "state", value: (shard) => shard.state },
  { title: "%", value: (shard) => (shard.percent === null ? "" : formatPercent(shard.percent)), isNumber: true },
  { title: "rate", value: (shard) => (shard.ratePps === null ? "" : formatRate(shard.ratePps)), isNumber: true },
  { title: "found", value: (shard) => (shard.found === null ? "" : formatCount(shard.found)), isNumber: true },
  { title: "left", value: (shard) => (shard.remainingS === null ? "" : formatDuration(shard.remainingS)), isNumber: true },
  { title: "problem", value: (shard) => shard.problem ?? "" },
];

async function cancelJob(context: Context, given: string, reason: string): Promise<number> {
  const api: Api = context.api();
  const id = await resolveJob(api, { id: given, plan: undefined });
  const job = await bodyOf(api.v1.jobs[":id"].cancel.$post({ param: { id }, json: { reason } }));
  context.output.one(job, [
    `Job ${shortId(job.id)} is ${job.state === "running" ? "ending" : job.state}. Tiles that were complete count; the others close nothing.`,
  ]);
  return EXIT.ok;
}
