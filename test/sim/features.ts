import type { Statement } from "../../src/core/messages/record.ts";
import type { StoredRecord } from "./records.ts";
import { EVENTS } from "./scenario.ts";
import { LIES } from "./place.ts";

/** What the runs have to bring about, or it is not tested by them. */
const OUTCOMES = [
  "tiles complete",
  "tiles held",
  "tiles released by the next job",
  "tiles released by an operator",
  "services closed",
  "services reopened",
  "reports of a later attempt",
  "scanners told lost",
  "shards reassigned",
  "reports of a scanner whose shard was reassigned",
  "jobs paused",
  "jobs resumed",
  "jobs cancelled",
  "jobs past their deadline",
  "crashes within a step",
  "connects err",
] as const;

/** The same under a policy with confirms. */
const CONFIRM_OUTCOMES = [
  "services closed after a confirm",
  "probes by the last sighter",
  "probes by others",
  "probe answers closed",
  "probe answers filtered",
  "probe answers open",
  "probe answers error",
] as const;

/** How often each thing happened. */
export type Happened = Readonly<Record<string, number>>;

/** Everything that runs with these options should bring about, with 0 for what has not happened. */
export function expected({ weakest }: { readonly weakest: boolean }): Record<string, number> {
  const lies = LIES.filter((lie) => lie !== "erring").map((lie) => `masscan is ${lie}`);
  const all: readonly string[] = [...EVENTS, ...lies, ...OUTCOMES, ...(weakest ? [] : CONFIRM_OUTCOMES)];
  return Object.fromEntries(all.map((what) => [what, 0]));
}

/** Adds up what happened in several runs. */
export function addTo(total: Record<string, number>, happened: Happened): void {
  for (const [what, times] of Object.entries(happened)) total[what] = (total[what] ?? 0) + times;
}

/** What the records of one run, in their order, say that happened in it. */
export function happenedIn(records: readonly StoredRecord[]): Record<string, number> {
  const counts: Record<string, number> = {};
  const given = new Map<string, number>();
  for (const { statement } of records) {
    for (const what of saidBy(statement)) counts[what] = (counts[what] ?? 0) + 1;
    if (statement.kind === "reassignment") given.set(shardOf(statement.content), statement.content.attempt);
    if (statement.kind !== "report") continue;
    const { key } = statement.content;
    if (key.attempt < (given.get(shardOf(key)) ?? 0)) addTo(counts, { "reports of a scanner whose shard was reassigned": 1 });
  }
  return counts;
}

function shardOf({ job, tile, shard }: { readonly job: string; readonly tile: number; readonly shard: number }): string {
  return `${job} ${tile} ${shard}`;
}

function saidBy({ kind, content }: Statement): string[] {
  if (kind === "tile-complete") return [content.held === null ? "tiles complete" : "tiles held"];
  if (kind === "tile-abandoned") return [...(ENDS[content.cause] ?? [])];
  if (kind === "release") return [content.cause === "operator" ? "tiles released by an operator" : "tiles released by the next job"];
  if (kind === "report") return content.key.attempt > 1 ? ["reports of a later attempt"] : [];
  if (kind === "reassignment") return ["shards reassigned"];
  if (kind === "scanner-lost") return ["scanners told lost"];
  if (kind === "job-control") return [content.action === "pause" ? "jobs paused" : "jobs resumed"];
  if (kind !== "probe") return [];
  const basis = content.order.basis === "sighter" ? "probes by the last sighter" : "probes by others";
  return [basis, ...content.results.map(({ answer }) => `probe answers ${answer}`)];
}

const ENDS: Readonly<Record<string, readonly string[]>> = { cancelled: ["jobs cancelled"], deadline: ["jobs past their deadline"] };
