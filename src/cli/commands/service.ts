import type { Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { parseRange } from "../../core/range.ts";
import { SEARCH_SORTS } from "../../ledger/search/query.ts";
import { formatUtc, formatWhen, plural, shortId } from "../../web/format.ts";
import { paths } from "../../web/paths.ts";
import { serviceName } from "../../core/service-names.ts";
import { asArgument, wholeNumber } from "../arguments.ts";
import { allRows, bodyOf, eachPage, firstRows, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import type { Column, Tone } from "../output.ts";
import { momentText } from "./diff.ts";
import { FILTER_HELP, filterText, registerFacets } from "./service-filter.ts";
import { showWhy, WHY_EXAMPLES } from "./service-why.ts";

const STATES = ["active", "open", "missing", "closed", "all"] as const;
const KNOWN = ["hide", "show", "only"] as const;
const EXAMPLES = `
Examples:
  portolan service ls                              what is open now, missing ones included
  portolan service ls 192.0.2.0/24 port:22,80-90 'seen:<24h'
  portolan service ls group:edge -port:tcp/443 --sort=-address
  portolan service ls state:closed --all --ndjson
  portolan service ls vantage:disagree             open from one region, silent from another
  portolan service ls 3389 --fail-on-findings      exit code 1 when there is any: for cron and CI

${FILTER_HELP}

States: open (seen, and not missed since), missing (missed by a complete look, not yet proven closed), closed.`;

type ListOptions = {
  readonly sort?: string;
  readonly cidr?: string;
  readonly port?: number;
  readonly protocol?: string;
  readonly state?: string;
  readonly known?: string;
  readonly vantage?: string;
  readonly limit?: number;
  readonly all?: boolean;
  readonly failOnFindings?: boolean;
  readonly asOf?: string;
};

/** `portolan service …`: the register. */
export function registerService(program: Command, session: Session): void {
  const service = program.command("service").alias("services").description("the register of open ports");
  service
    .command("ls [filter...]")
    .description("list services that a filter matches, by address and port")
    .allowUnknownOption()
    .option("--cidr <range>", "only in this CIDR, first-last or address", (value) => asArgument(() => (parseRange(value), value)))
    .option("--port <port>", "only this port", wholeNumber)
    .option("--protocol <name>", "only tcp, udp or sctp")
    .option("--state <state>", `one of ${STATES.join(", ")}; default: active, open and missing`)
    .option("--known <how>", `known-good services: one of ${KNOWN.join(", ")}; default: hide`)
    .option("--vantage <what>", "disagree: only what one region sees and another one looked for in vain")
    .option("--sort <order>", `one of ${SEARCH_SORTS.join(", ")}; with - the other way round: --sort=-address; default: address`)
    .option("--as-of <when>", "what was open then: a time, or how long ago (12h, 7d); no other filter applies")
    .option("--limit <count>", "at most this many, up to 1000 (default: 100)", wholeNumber)
    .option("--all", "all of them")
    .option("--fail-on-findings", "exit with 1 when anything is listed")
    .addHelpText("after", EXAMPLES)
    .action(async (words: string[], options: ListOptions) =>
      session.finish(await listServices(session.context(), filterText(words), options)),
    );
  registerFacets(service, session);
  service
    .command("why <address> <port>")
    .description("why the register calls a service open, missing or closed; --json is the certificate")
    .addHelpText("after", WHY_EXAMPLES)
    .action(async (address: string, port: string) => session.finish(await showWhy(session.context(), address, port)));
}

/** `portolan host …`: one address. */
export function registerHost(program: Command, session: Session): void {
  const host = program.command("host").description("one address");
  host
    .command("show <address>")
    .description("everything the register holds about an address")
    .action(async (address: string) => session.finish(await showHost(session.context(), address)));
}

type Service = Awaited<ReturnType<typeof readServices>>["items"][number];

async function readServices(api: Api, query: Record<string, string>) {
  return bodyOf(api.v1.services.$get({ query }));
}

type ServiceThen = Awaited<ReturnType<typeof readOpenAt>>["items"][number];

async function readOpenAt(api: Api, query: { readonly asOf: string; readonly limit: string; readonly cursor?: string }) {
  return bodyOf(api.v1.history.open.$get({ query }));
}

async function listServicesAt(context: Context, when: string): Promise<number> {
  const asOf = momentText(when, context.io.now());
  if (asOf === null) throw new PortolanError("invalid", `"${when}" is no time; write it like 2026-11-20T12:00:00Z, 12h or 7d`);
  const api = context.api();
  const rows = await allRows((cursor) => readOpenAt(api, { asOf, limit: "200", ...(cursor === undefined ? {} : { cursor }) }));
  context.output.list<ServiceThen>(rows, {
    columns: [
      { title: "address", value: (row) => row.address },
      { title: "port", value: (row) => `${row.port}/${row.protocol}` },
      { title: "state", value: (row) => row.state, tone: (row) => TONES[row.state] },
      { title: "registered for", value: (row) => serviceName(row.protocol, row.port) ?? "" },
    ],
    empty: `Nothing was known to be open at ${formatUtc(Date.parse(asOf))}.`,
  });
  return EXIT.ok;
}

async function listServices(context: Context, q: string, options: ListOptions): Promise<number> {
  if (options.asOf !== undefined) return listServicesAt(context, options.asOf);
  const api = context.api();
  const query = queryOf(q, options);
  let hidden = { count: 0, exact: true };
  const read = async (limit: number, cursor?: string) => {
    const rows = await readServices(api, { ...query, limit: String(limit), ...(cursor === undefined ? {} : { cursor }) });
    hidden = { count: rows.hiddenKnownGood, exact: rows.hiddenKnownGoodExact };
    return rows;
  };
  if (options.all === true && context.output.format === "ndjson") {
    const listed = await eachPage(
      (cursor) => read(1_000, cursor),
      (rows) => showRows(context, rows, null),
    );
    return listed > 0 && options.failOnFindings === true ? EXIT.findings : EXIT.ok;
  }
  const page =
    options.all === true
      ? { items: await allRows((cursor) => read(1_000, cursor)), next_cursor: null }
      : await firstRows((cursor) => read(options.limit ?? 100, cursor));
  const narrows = Object.entries(query).some(
    ([name, value]) => name !== "sort" && value !== "active" && !(name === "known" && value !== "only"),
  );
  const isSilent = page.items.length > 0 || hidden.count > 0 || page.next_cursor !== null || context.output.format !== "table";
  showRows(context, page.items, page.next_cursor, isSilent ? "" : await emptyText(api, narrows));
  if (hidden.count > 0 && context.output.format === "table")
    context.output.note(
      `${hidden.exact ? "" : "At least "}${plural(hidden.count, "known-good service")} not shown; list them with --known show`,
    );
  return page.items.length > 0 && options.failOnFindings === true ? EXIT.findings : EXIT.ok;
}

function showRows(context: Context, rows: readonly Service[], next: string | null, empty = ""): void {
  context.output.list<Service>(rows, { columns: columnsAt(context.io.now(), true), empty, next });
}

/** The query of a list. Throws `invalid` before anything is sent. */
function queryOf(q: string, { cidr, port, protocol, state, known, vantage, sort }: ListOptions): Record<string, string> {
  const oneOf = (name: string, value: string | undefined, choices: readonly string[]): void => {
    if (value !== undefined && !choices.includes(value))
      throw new PortolanError("invalid", `unknown ${name} "${value}"; it is one of ${choices.join(", ")}`);
  };
  oneOf("state", state, STATES);
  oneOf("--known", known, KNOWN);
  oneOf("--sort", sort, SEARCH_SORTS);
  oneOf("--vantage", vantage, ["disagree"]);
  const given = {
    q: q === "" ? undefined : q,
    cidr,
    port: port === undefined ? undefined : String(port),
    protocol,
    state,
    known,
    vantage,
    sort,
  };
  return Object.fromEntries(Object.entries(given).filter((entry): entry is [string, string] => entry[1] !== undefined));
}

/** An empty list alone would look like "nothing is open": says what it rests on. */
async function emptyText(api: Api, isFiltered: boolean): Promise<string> {
  if (isFiltered) return "Nothing in the register matches this filter.";
  const { items } = await bodyOf(api.v1.jobs.$get({ query: { limit: "1" } }));
  const job = items[0];
  if (job === undefined)
    return "Nothing is known yet: no job has run. Begin with: portolan plan add office --range 192.0.2.0/24 -p 1-1024 --every 6h";
  if (job.state === "running") return `Nothing found open so far; job ${shortId(job.id)} is running. Follow it: portolan job watch`;
  if (job.tiles.complete === 0)
    return `Nothing is known: the latest job, ${shortId(job.id)}, covered nothing. See why: portolan job show ${shortId(job.id)}`;
  return `Covered and quiet: the latest job of ${job.plan} scanned ${plural(job.tiles.complete, "tile")} of ${job.tiles.total} completely and nothing is open.`;
}

const TONES: Readonly<Record<Service["state"], Tone>> = { open: "good", missing: "warn", closed: "quiet" };

function columnsAt(nowMs: number, hasAddress: boolean): Column<Service>[] {
  return [
    ...(hasAddress ? [{ title: "address", value: (row: Service) => row.address }] : []),
    { title: "port", value: (row) => `${row.port}/${row.protocol}` },
    {
      title: "state",
      value: (row) => [row.state, ...(row.labels.length === 0 ? [] : [`(${row.labels.join(", ")})`])].join(" "),
      tone: (row) => TONES[row.state],
    },
    { title: "registered for", value: (row) => serviceName(row.protocol, row.port) ?? "" },
    { title: "first seen", value: (row) => formatWhen(row.firstSeenMs, nowMs) },
    { title: "last seen", value: (row) => formatWhen(row.lastSeenMs, nowMs) },
    { title: "seen by", value: (row) => row.seenBy.join(", ") },
  ];
}

type HostService = Awaited<ReturnType<typeof readHost>>["services"][number];

async function readHost(api: Api, address: string) {
  return bodyOf(api.v1.hosts[":address"].$get({ param: { address } }));
}

/** Where regions disagree about a port: who saw it when, and whose look missed it. */
function vantageLines({ port, protocol, vantages }: HostService): string[] {
  const silent = vantages.filter(({ says }) => says === "silent");
  if (silent.length === 0 || silent.length === vantages.length) return [];
  return vantages.map(({ region, lastSeenMs, missed }) => {
    const seen = lastSeenMs === null ? "never seen" : `last seen ${formatUtc(lastSeenMs)}`;
    const what = missed?.by === "probe" ? "a confirm" : "a complete look";
    return `${port}/${protocol} from ${region}: ${seen}${missed === null ? "" : `, missed by ${what} at ${formatUtc(missed.atMs)}`}`;
  });
}

async function showHost(context: Context, address: string): Promise<number> {
  const api = context.api();
  const host = await readHost(api, address);
  if (context.output.format === "json") {
    context.output.one(host, []);
    return EXIT.ok;
  }
  context.output.list<Service>(host.services, { columns: columnsAt(context.io.now(), false), empty: "" });
  for (const line of host.services.flatMap(vantageLines)) context.output.note(line);
  const latest = Math.max(...host.services.map((service) => service.lastSeenMs));
  context.output.note(`${host.address}, last seen ${formatUtc(latest)}. In the browser: ${paths.host(host.address)}`);
  return EXIT.ok;
}
