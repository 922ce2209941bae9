import type { Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { formatUtc, shortId } from "../../web/format.ts";
import { wholeNumber } from "../arguments.ts";
import { bodyOf, firstRows, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import type { Column, Tone } from "../output.ts";
import { filterText } from "./service-filter.ts";

const KINDS = [
  "first-observed",
  "opened",
  "reopened",
  "seen-again",
  "missing",
  "closed",
  "unmonitored",
  "known-good-closed",
  "job-held",
] as const;

const EXAMPLES = `
Examples:
  portolan changes                                   the newest first
  portolan changes --kind opened,first-observed,reopened
  portolan changes group:edge port:22 -change:missing
  portolan changes --ndjson --follow >> changes.ndjson      all there are, then what comes, until Ctrl-C
  portolan changes --kind opened --fail-on-findings  exit code 1 when there is any

Kinds: first-observed (never covered before), opened (covered before, and not open), reopened (was closed), seen-again (was missing),
missing, closed, unmonitored (no plan covers it any more), known-good-closed, job-held (the brake holds a tile).`;

type ListOptions = {
  readonly kind?: string;
  readonly limit?: number;
  readonly cursor?: string;
  readonly oldest?: boolean;
  readonly follow?: boolean;
  readonly failOnFindings?: boolean;
};
type ChangesPage = Awaited<ReturnType<typeof readChanges>>;
type Change = ChangesPage["items"][number];

const PAUSE_MS = 5_000;
const PAGES_MAX = 10_000_000;

/** `portolan changes` and `portolan change ls`: what opened and closed. */
export function registerChanges(program: Command, session: Session): void {
  const words = (command: Command): Command =>
    command
      .description("what changed, with its cause: the newest first")
      .argument("[filter...]", "only changes of these places and kinds: ip:, net:, port:, proto:, group:, change:")
      .allowUnknownOption()
      .option("--kind <kinds>", "only these kinds, separated by commas")
      .option("--limit <count>", "at most this many, up to 1000 (default: 100)", wholeNumber)
      .option("--oldest", "the oldest first")
      .option("--cursor <cursor>", "go on after the next_cursor of a page, with the same kinds and order")
      .option("--follow", "all of them, the oldest first, and then what comes")
      .option("--fail-on-findings", "exit with 1 when anything is listed")
      .addHelpText("after", EXAMPLES)
      .action(async (filter: string[], options: ListOptions) =>
        session.finish(await showChanges(session.context(), filterText(filter), options)),
      );
  words(program.command("changes"));
  words(program.command("change").description("what changed").command("ls"));
}

async function readChanges(api: Api, query: Record<string, string>) {
  return bodyOf(api.v1.changes.$get({ query }));
}

async function showChanges(context: Context, q: string, options: ListOptions): Promise<number> {
  const kinds = (options.kind ?? "").split(",").filter((kind) => kind !== "");
  for (const kind of kinds) {
    if (!KINDS.some((known) => known === kind))
      throw new PortolanError("invalid", `unknown kind "${kind}"; it is one of ${KINDS.join(", ")}`);
  }
  const api = context.api();
  const query = {
    ...(q === "" ? {} : { q }),
    limit: String(options.limit ?? (options.follow === true ? 1_000 : 100)),
    ...(kinds.length === 0 ? {} : { kind: kinds.join(",") }),
    ...(options.oldest === true || options.follow === true ? { order: "oldest" } : {}),
  };
  if (options.follow === true) return follow(context, api, query, options.cursor);
  const page = await firstRows((cursor = options.cursor) => readChanges(api, { ...query, ...(cursor === undefined ? {} : { cursor }) }));
  context.output.list<Change>(page.items, { columns: COLUMNS, empty: "Nothing has changed yet.", next: page.next_cursor });
  return page.items.length > 0 && options.failOnFindings === true ? EXIT.findings : EXIT.ok;
}

/** Goes through the whole feed, then asks again and again. The feed's places are stable: nothing is told twice or left out. */
async function follow(context: Context, api: Api, query: Record<string, string>, from: string | undefined): Promise<number> {
  if (context.output.format === "json") {
    throw new PortolanError("invalid", "one JSON document cannot be followed; use --ndjson, one change a line");
  }
  let cursor = from;
  for (let pages = 0; pages < PAGES_MAX && !context.io.signal.aborted; pages++) {
    const page = await readChanges(api, { ...query, ...(cursor === undefined ? {} : { cursor }) });
    if (page.items.length > 0) context.output.list<Change>(page.items, { columns: COLUMNS, empty: "" });
    const isEnd = page.next_cursor === null || page.next_cursor === cursor;
    cursor = page.next_cursor ?? cursor;
    if (isEnd) await context.io.sleep(PAUSE_MS);
  }
  return EXIT.ok;
}

const TONES: Readonly<Record<Change["kind"], Tone>> = {
  "first-observed": "bad",
  opened: "bad",
  reopened: "bad",
  "seen-again": "warn",
  missing: "warn",
  closed: "good",
  unmonitored: "quiet",
  "known-good-closed": "bad",
  "job-held": "warn",
};

const COLUMNS: readonly Column<Change>[] = [
  { title: "when", value: (row) => formatUtc(row.atMs) },
  { title: "change", value: (row) => row.kind, tone: (row) => TONES[row.kind] },
  { title: "address", value: (row) => row.address ?? "" },
  { title: "port", value: (row) => (row.port === null ? "" : `${row.port}/${row.protocol}`) },
  { title: "was", value: (row) => row.was ?? "" },
  { title: "cause", value: causeOf },
];

function causeOf({ cause, job }: Change): string {
  if (cause.kind === "withdrawal") return "evidence was withdrawn";
  if (cause.kind === "rule") return "the registry's rules";
  const record = cause.id === null ? cause.kind : `${cause.kind} ${shortId(cause.id)}`;
  return job === null || job === cause.id ? record : `${record} of job ${shortId(job)}`;
}
