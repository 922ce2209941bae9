import type { Command } from "commander";
import { PortolanError } from "../../core/errors.ts";
import { plural } from "../../web/format.ts";
import { serviceName } from "../../core/service-names.ts";
import { allRows, bodyOf, type Api } from "../client.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import type { Column, Tone } from "../output.ts";
import { durationS } from "../text.ts";
import { resolveJob } from "./job-common.ts";

const EXAMPLES = `
Examples:
  portolan diff 7d now                                   what appeared and disappeared in a week
  portolan diff 2026-11-01T00:00:00Z 2026-11-20T00:00:00Z
  portolan diff 3f9c0a1b2c3d 81d0c2aa6e55                two jobs by the beginning of their ids

Each end is a time, how long ago (90s, 12h, 7d), now, or a job. Exit code 1 when anything appeared or disappeared.
What was open at one end and not covered at the other is no difference: it is listed as not-comparable.`;

type Difference = Awaited<ReturnType<typeof readDiff>>["items"][number];

/** `portolan diff A B`: two moments or two jobs. */
export function registerDiff(program: Command, session: Session): void {
  program
    .command("diff <from> <to>")
    .description("what appeared and disappeared between two moments or jobs")
    .addHelpText("after", EXAMPLES)
    .action(async (from: string, to: string) => session.finish(await showDiff(session.context(), from, to)));
}

/** A moment as the API takes it: `now`, a time, or how long ago. Null when it is none. */
export function momentText(text: string, nowMs: number): string | null {
  if (text === "now") return new Date(nowMs).toISOString();
  const ago = durationS(text);
  if (ago !== null) return new Date(nowMs - ago * 1_000).toISOString();
  return /^\d{4}-\d{2}-\d{2}([T ]|$)/.test(text) && !Number.isNaN(Date.parse(text)) ? new Date(text).toISOString() : null;
}

async function readDiff(api: Api, query: { readonly from: string; readonly to: string; readonly limit: string; readonly cursor?: string }) {
  return bodyOf(api.v1.diff.$get({ query }));
}

async function showDiff(context: Context, from: string, to: string): Promise<number> {
  const api = context.api();
  const ends = { from: await pointText(context, api, from), to: await pointText(context, api, to) };
  const rows = await allRows((cursor) => readDiff(api, { ...ends, limit: "200", ...(cursor === undefined ? {} : { cursor }) }));
  const count = (kind: Difference["difference"]): number => rows.filter(({ difference }) => difference === kind).length;
  const order: readonly Difference["difference"][] = ["appeared", "disappeared", "not-comparable"];
  const sorted = order.flatMap((kind) => rows.filter(({ difference }) => difference === kind));
  context.output.list<Difference>(sorted, { columns: COLUMNS, empty: "No difference." });
  const different = count("appeared") + count("disappeared");
  if (rows.length > 0 && context.output.format === "table") {
    context.output.note(
      `${count("appeared")} appeared, ${count("disappeared")} disappeared, ${plural(count("not-comparable"), "service")} not comparable.`,
    );
  }
  return different > 0 ? EXIT.findings : EXIT.ok;
}

async function pointText(context: Context, api: Api, text: string): Promise<string> {
  const moment = momentText(text, context.io.now());
  if (moment !== null) return moment;
  const job = text.replace(/^job:/, "");
  if (!/^[0-9a-f]{4,64}$/.test(job)) {
    throw new PortolanError(
      "invalid",
      `"${text}" is neither a time (2026-11-20T12:00:00Z, 7d, now) nor a job ("portolan job ls" lists them)`,
    );
  }
  return `job:${await resolveJob(api, { id: job, plan: undefined })}`;
}

const TONES: Readonly<Record<Difference["difference"], Tone>> = { appeared: "bad", disappeared: "good", "not-comparable": "quiet" };

const COLUMNS: readonly Column<Difference>[] = [
  { title: "difference", value: (row) => row.difference, tone: (row) => TONES[row.difference] },
  { title: "address", value: (row) => row.address },
  { title: "port", value: (row) => `${row.port}/${row.protocol}` },
  { title: "registered for", value: (row) => serviceName(row.protocol, row.port) ?? "" },
];
