import type { Command } from "commander";
import { formatCount, formatDuration } from "../../web/format.ts";
import { bodyOf, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { factLines } from "../output.ts";

/** `portolan plan preview`: what a plan means, before anything is sent. */
export function registerPlanPreview(plan: Command, session: Session): void {
  plan
    .command("preview <name>")
    .description(
      'what the plan means now: size, time, packets per network, what exclusions take out; for a new one: "plan add … --dry-run"',
    )
    .action(async (name: string) => {
      const context = session.context();
      session.finish(showPreview(context, await readPreview(context.api(), name)));
    });
}

/** A preview as the API tells it. */
export type Preview = Awaited<ReturnType<typeof readPreview>>;

function readPreview(api: Api, name: string) {
  return bodyOf(api.v1.plans[":name"].preview.$get({ param: { name } }));
}

/** Prints a preview; 2 when the plan could not be saved or planned. */
export function showPreview(context: Context, preview: Preview): number {
  const { job, fastestNetwork, unprobeable } = preview;
  const facts = factLines([
    ["plan", preview.plan],
    ["addresses", formatCount(preview.addresses)],
    ["pairs", `${formatCount(preview.pairs)} of address and port, ${formatCount(preview.probes)} probes`],
    ...(job === null
      ? []
      : ([
          ["job", `${formatCount(job.tiles)} tiles, ${formatCount(job.shards)} shards, by ${job.engines.join(" and ")}`],
          ["takes", `about ${formatDuration(job.expectedS)}`],
          ...job.scanners.map((one) => [
            `  ${one.scanner}`,
            `${formatCount(one.shards)} shards, ${formatCount(one.probes)} probes, about ${formatDuration(one.expectedS)}`,
          ]),
        ] as [string, string][])),
    ...(fastestNetwork === null
      ? []
      : ([
          [
            "per network",
            `at most ${fastestNetwork.pps} packets per second to ${fastestNetwork.network} (limit ${fastestNetwork.limitPps}), by ${fastestNetwork.plans.map(({ name }) => name).join(", ")}`,
          ],
        ] as [string, string][])),
    ...preview.cuts.map((cut): [string, string] => [
      "left out",
      `${cut.kind} ${cut.key}${cut.ports === null ? "" : ` ports ${cut.ports}`}: ${formatCount(cut.addresses)} addresses, ${formatCount(cut.pairs)} pairs`,
    ]),
    ...(unprobeable.ranges.length === 0
      ? []
      : ([["nobody may probe", `${unprobeable.ranges.join(", ")} (${formatCount(unprobeable.addresses)} addresses)`]] as [
          string,
          string,
        ][])),
    ...preview.warnings.map(({ detail }): [string, string] => ["warning", detail]),
    ...preview.problems.map((problem): [string, string] => ["problem", problem]),
  ]);
  context.output.one(preview, facts);
  return preview.ok ? EXIT.ok : EXIT.usage;
}
