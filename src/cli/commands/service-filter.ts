import { InvalidArgumentError, type Command } from "commander";
import { parseFilter } from "../../core/filter/filter.ts";
import { FACETS, type Facet } from "../../ledger/search/query.ts";
import { bodyOf, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";

/** How a filter is written, for help texts. */
export const FILTER_HELP = `Filter: words that all hold; commas mean or, - or ! before a word means not; quote < and > for the shell.
  192.0.2.0/24  443  tcp/443  port:22,80-90  proto:udp  net:…  ip:…  group:edge  region:eu  scanner:de01  state:open,missing,closed
  label:stale  change:reopened  known:show  'seen:<24h'  'first:>7d'  vantage:disagree`;

const EXAMPLES = `
Examples:
  portolan service facets                          how many services by state, port, region, scanner and range group
  portolan service facets group:edge --facet port,state

${FILTER_HELP}`;

/** The words of a command as one filter. Throws commander's own error for a word that is meant as an option, and `invalid`. */
export function filterText(words: readonly string[]): string {
  const option = words.find((word) => word.startsWith("--"));
  if (option !== undefined) throw new InvalidArgumentError(`unknown option '${option}'; --help lists them.`);
  const text = words.join(" ");
  parseFilter(text);
  return text;
}

/** `portolan service facets`: what the matches are made of. */
export function registerFacets(service: Command, session: Session): void {
  service
    .command("facets [filter...]")
    .description("how many services a filter matches, by state, port, region, scanner and range group")
    .allowUnknownOption()
    .option("--facet <names>", `some of ${FACETS.join(", ")}, separated by commas; default: all`)
    .addHelpText("after", EXAMPLES)
    .action(async (words: string[], { facet }: { readonly facet?: string }) =>
      session.finish(await showFacets(session.context(), filterText(words), facet)),
    );
}

async function readFacets(api: Api, query: Record<string, string>) {
  return bodyOf(api.v1.services.facets.$get({ query }));
}

type Row = { readonly facet: Facet; readonly value: string; readonly count: number };

async function showFacets(context: Context, q: string, facet: string | undefined): Promise<number> {
  const unknown = facet?.split(",").find((name) => !FACETS.some((known) => known === name));
  if (unknown !== undefined) throw new InvalidArgumentError(`unknown facet "${unknown}"; they are ${FACETS.join(", ")}.`);
  const answer = await readFacets(context.api(), { ...(q === "" ? {} : { q }), ...(facet === undefined ? {} : { facet }) });
  if (context.output.format === "json") {
    context.output.one(answer, []);
    return EXIT.ok;
  }
  const rows = FACETS.flatMap((name) => (answer.facets[name] ?? []).map((one): Row => ({ facet: name, ...one })));
  context.output.list<Row>(rows, {
    columns: [
      { title: "facet", value: (row) => row.facet },
      { title: "value", value: (row) => row.value },
      { title: "services", value: (row) => String(row.count), isNumber: true },
    ],
    empty: "Nothing in the register matches this filter.",
  });
  const { count, exact } = answer.total;
  if (rows.length > 0 && !exact && context.output.format === "table")
    context.output.note(`Counted among the first ${count} matches; more follow.`);
  return EXIT.ok;
}
