import type { Command } from "commander";
import { formatCount, formatDuration, formatRate, formatUtc, plural, shortId } from "../../web/format.ts";
import { wholeNumber } from "../arguments.ts";
import { bodyOf, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { factLines } from "../output.ts";
import { resolveJob } from "./job-common.ts";

/** A tile that the brake holds, as the API tells it. */
type HeldTile = Awaited<ReturnType<typeof readHeld>>[number];

const RELEASE_HELP = `
The brake holds a tile when it would call suspiciously much missing at once: a scanner may have been blind, or a network was
down. Look first, then release: what the tile missed then counts. The plan's next job releases it too, when it agrees.`;

/** `portolan job pause|resume|release|accounting`. */
export function registerJobControl(job: Command, session: Session): void {
  job
    .command("pause <job>")
    .description("give out no more shards of a job; what runs goes on")
    .action(async (id: string) => session.finish(await control(session.context(), id, "pause")));
  job
    .command("resume <job>")
    .description("give out the shards of a paused job again")
    .action(async (id: string) => session.finish(await control(session.context(), id, "resume")));
  job
    .command("release <job>")
    .description("let tiles count that the brake holds")
    .option("--tile <number>", "only this one (default: all that are held)", wholeNumber)
    .addHelpText("after", RELEASE_HELP)
    .action(async (id: string, options: { readonly tile?: number }) => session.finish(await release(session.context(), id, options.tile)));
  job
    .command("accounting [job]")
    .description("what a job sent: by scanner, by host and by network (default: the newest)")
    .action(async (id: string | undefined) => session.finish(await showAccounting(session.context(), id)));
}

/** Its tiles that the brake holds. */
export async function readHeld(api: Api, id: string) {
  return (await bodyOf(api.v1.jobs[":id"].held.$get({ param: { id } }))).items;
}

/** Says what is held, why, and the command that releases it; nothing when nothing is. */
export function heldLines(job: string, held: readonly HeldTile[]): string[] {
  if (held.length === 0) return [];
  return [
    "",
    `The brake holds ${plural(held.length, "tile")}: nothing is missing or closed because of ${held.length === 1 ? "it" : "them"} yet.`,
    ...held.slice(0, 20).map(({ tile, reason, heldAtMs }) => `  tile ${tile}, since ${formatUtc(heldAtMs)}: ${reason}`),
    ...(held.length > 20 ? [`  and ${formatCount(held.length - 20)} more`] : []),
    `Release: portolan job release ${shortId(job)}${held.length === 1 ? "" : " [--tile NUMBER]"}`,
  ];
}

async function control(context: Context, given: string, action: "pause" | "resume"): Promise<number> {
  const api = context.api();
  const id = await resolveJob(api, { id: given, plan: undefined });
  const route = api.v1.jobs[":id"];
  const job = await bodyOf(action === "pause" ? route.pause.$post({ param: { id } }) : route.resume.$post({ param: { id } }));
  const done =
    action === "pause"
      ? `Job ${shortId(id)} is paused: none of its shards is given out, what runs goes on. Go on: portolan job resume ${shortId(id)}`
      : `Job ${shortId(id)} goes on: its shards are given out again.`;
  context.output.one(job, [done]);
  return EXIT.ok;
}

async function release(context: Context, given: string, tile: number | undefined): Promise<number> {
  const api = context.api();
  const id = await resolveJob(api, { id: given, plan: undefined });
  const route = api.v1.jobs[":id"];
  const result = await bodyOf(
    tile === undefined ? route.release.$post({ param: { id } }) : route.tiles[":tile"].release.$post({ param: { id, tile: String(tile) } }),
  );
  context.output.one(result, [
    `${plural(result.released, "tile")} of job ${shortId(id)} ${result.released === 1 ? "counts" : "count"} now.`,
  ]);
  return EXIT.ok;
}

async function showAccounting(context: Context, given: string | undefined): Promise<number> {
  const api = context.api();
  const id = await resolveJob(api, { id: given, plan: undefined });
  const sum = await bodyOf(api.v1.jobs[":id"].accounting.$get({ param: { id } }));
  context.output.one(
    sum,
    factLines([
      ["job", sum.job],
      ["probes sent", `${formatCount(sum.probesSent)} of ${formatCount(sum.probesPlanned)} planned`],
      ["hosts", formatCount(sum.hosts)],
      ["per host", `${sum.perHost.sent} sent on average, ${formatCount(sum.perHost.planned)} planned at most`],
      ["networks", `${formatCount(sum.networks)} (/24, or /64 of IPv6)`],
      ["per network", `${sum.perNetwork.sent} sent on average, ${formatCount(sum.perNetwork.planned)} planned at most`],
    ]),
  );
  if (context.output.format !== "table") return EXIT.ok;
  context.io.stdout.write("\n");
  context.output.list(sum.scanners, {
    columns: [
      { title: "scanner", value: (row) => row.scanner },
      { title: "reports", value: (row) => formatCount(row.reports), isNumber: true },
      { title: "complete", value: (row) => formatCount(row.complete), isNumber: true },
      { title: "found", value: (row) => formatCount(row.found), isNumber: true },
      { title: "probes", value: (row) => formatCount(row.probesSent), isNumber: true },
      { title: "worked", value: (row) => formatDuration(row.workedMs / 1_000), isNumber: true },
      { title: "rate", value: (row) => (row.ratePps === null ? "" : formatRate(row.ratePps)), isNumber: true },
    ],
    empty: "No shard has been reported yet.",
  });
  return EXIT.ok;
}
