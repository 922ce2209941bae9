import type { Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { allRows, bodyOf, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";

/** `portolan region …`: the places that hold a ledger and scanners. */
export function registerRegion(program: Command, session: Session): void {
  const region = program.command("region").description("places with a ledger, an API and scanners");
  region
    .command("ls")
    .description("list the regions")
    .action(async () => session.finish(await listRegions(session.context())));
}

/** The region whose API answers. Throws `not-found` when the registry knows none. */
export async function answeringRegion(api: Api): Promise<string> {
  const regions = await readRegions(api);
  const region = regions.find((candidate) => candidate.answering) ?? regions[0];
  if (region === undefined) throw new PortolanError("not-found", 'there is no region yet; "npm start" makes the first one');
  return region.name;
}

async function readRegions(api: Api) {
  return allRows((cursor) => bodyOf(api.v1.regions.$get({ query: cursor === undefined ? {} : { cursor } })));
}

async function listRegions(context: Context): Promise<number> {
  const regions = await readRegions(context.api());
  context.output.list(regions, {
    columns: [
      { title: "region", value: (region) => region.name },
      { title: "scanners", value: (region) => String(region.scanners), isNumber: true },
      { title: "", value: (region) => (region.answering ? "answers here" : "") },
    ],
    empty: 'No region yet; "npm start" makes the first one.',
  });
  return EXIT.ok;
}
