import { resolve } from "node:path";
import type { Command } from "commander";
import type { Sighting } from "../../core/columns.ts";
import { PortolanError } from "../../core/errors.ts";
import { formatCount, plural } from "../../web/format.ts";
import type { Context, Session } from "../context.ts";
import { EXIT } from "../io.ts";
import { openOldDatabase, type OldDatabase } from "../legacy-db.ts";
import { createSender, regionHeader, request } from "../upload.ts";

const HELP = `
Services come in as open, with the old times for people, and are labelled "never covered" until a job covers them: the old program never
recorded what it had probed, so nothing imported is ever closed. Users are listed only: nobody gets access by an import. The file is opened
for reading only; a second import changes nothing.

  portolan import legacy-db scan.db --region eu --dry-run`;

/** The source under which everything imported stands. */
const SOURCE = "legacy-import";

type Count = { read: number; imported: number; refused: number; readonly reasons: Record<string, number> };

/** `portolan import legacy-db`: the database of the program that Portolan replaces. */
export function registerLegacyDb(parent: Command, session: Session): void {
  parent
    .command("legacy-db <file>")
    .description("take over the SQLite database of the old program")
    .option("--region <name>", "the region that all of it belongs to")
    .addHelpText("after", HELP)
    .action(async (file: string, _: object, command: Command) => {
      // The command above has an option of this name too, which takes it.
      const { region } = command.optsWithGlobals<{ region?: string }>();
      if (region === undefined) throw new PortolanError("invalid", "give --region NAME: the region that all of it belongs to");
      return session.finish(await importDatabase(session.context(), file, region));
    });
}

async function importDatabase(context: Context, file: string, region: string): Promise<number> {
  const database = openOldDatabase(resolve(context.io.cwd, file));
  try {
    const services = await importScans(context, database, region);
    const jobs = await importJobs(context, database, region);
    const traceroutes = await importTraceroutes(context, database, region);
    const users = database.users();
    const finished = database.finished();
    const result = { region, dryRun: context.isDryRun, services, jobs, traceroutes, finished, users };
    context.output.one(result, [
      ...countLines("service rows", services),
      ...countLines("open jobs", jobs),
      ...countLines("traceroutes", traceroutes),
      `${plural(finished.jobs, "finished job")} and ${plural(finished.submissions, "submission")} are history of the old program; they become no facts.`,
      ...(users.length === 0 ? [] : [`Users, none of whom got access: ${users.slice(0, 50).join(", ")}`]),
      ...(context.isDryRun ? ["Dry run: nothing was changed."] : []),
    ]);
    return services.refused + jobs.refused + traceroutes.refused === 0 ? EXIT.ok : EXIT.partial;
  } finally {
    database.close();
  }
}

/** First and last times go separately: of one service, one upload keeps only one time. */
async function importScans(context: Context, database: OldDatabase, region: string): Promise<Count> {
  const count = newCount();
  for (const side of ["first", "last"] as const) {
    const sender = context.isDryRun ? null : createSender(context, { source: SOURCE, region });
    let held: Sighting | null = null;
    for (const row of database.scans()) {
      if (side === "first") add(count, row.ok ? null : row.reason);
      if (!row.ok) continue;
      const seen = row[side];
      // The old table may hold a service more than once; its rows come one after the other.
      if (held !== null && isSame(held, seen)) held = further(held, seen, side);
      else {
        if (held !== null) sender?.add(held);
        held = seen;
        await sender?.flush();
      }
    }
    if (held !== null) sender?.add(held);
    await sender?.finish();
  }
  return count;
}

function isSame(a: Sighting, b: Sighting): boolean {
  return a.address === b.address && a.port === b.port && a.protocol === b.protocol;
}

function further(a: Sighting, b: Sighting, side: "first" | "last"): Sighting {
  return a.observedAtS < b.observedAtS === (side === "first") ? a : b;
}

async function importJobs(context: Context, database: OldDatabase, region: string): Promise<Count> {
  const count = newCount();
  for (const { cidr, ports, protocol, origin, number } of database.openJobs()) {
    const refusal = await attempt(context, async () => {
      const body = JSON.stringify({ cidr, ports, protocol, origin });
      await request(context, "/v1/legacy-jobs", {
        method: "POST",
        headers: { "content-type": "application/json", ...regionHeader(region) },
        body,
      });
    });
    add(count, refusal === null ? null : `job ${number} (${cidr}): ${refusal}`);
  }
  return count;
}

async function importTraceroutes(context: Context, database: OldDatabase, region: string): Promise<Count> {
  const count = newCount();
  for (const { destination, path } of database.traceroutes()) {
    if (destination === null) {
      add(count, "no address");
      continue;
    }
    const refusal = await attempt(context, async () => {
      const body = new FormData();
      body.set("dest", destination);
      body.set("traceroute", new File([path], "traceroute.txt"));
      // The old table has no times: whatever was sent since is newer, and a repeat is the same record.
      body.set("at", "0");
      await request(context, "/traceroute", { method: "POST", headers: regionHeader(region), body });
    });
    add(count, refusal);
  }
  return count;
}

/** What the API refuses of one entry is counted; that it is away ends the import. */
async function attempt({ isDryRun }: Context, send: () => Promise<void>): Promise<string | null> {
  if (isDryRun) return null;
  try {
    await send();
    return null;
  } catch (error) {
    if (error instanceof PortolanError && ["invalid", "conflict", "too-large"].includes(error.code)) return error.message;
    throw error;
  }
}

function newCount(): Count {
  return { read: 0, imported: 0, refused: 0, reasons: {} };
}

function add(count: Count, refusal: string | null): void {
  count.read += 1;
  if (refusal === null) count.imported += 1;
  else {
    count.refused += 1;
    count.reasons[refusal] = (count.reasons[refusal] ?? 0) + 1;
  }
}

function countLines(what: string, { read, imported, refused, reasons }: Count): string[] {
  const lines = Object.entries(reasons).slice(0, 20);
  return [
    `${what}: ${formatCount(read)} read, ${formatCount(imported)} imported, ${formatCount(refused)} refused`,
    ...lines.map(([reason, times]) => `  ${formatCount(times)} × ${reason}`),
  ];
}
