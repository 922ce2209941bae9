import { PortolanError } from "../core/errors.ts";
import { formatCount, formatDuration, formatPercent, formatRate, shortId } from "../web/format.ts";
import { bodyOf, type Api } from "./client.ts";
import { tilesOf, type Job, type Shard } from "./commands/job-common.ts";
import type { Context } from "./context.ts";
import { EXIT } from "./io.ts";
import { visible } from "./text.ts";
import { createBars } from "./watch-bars.ts";

const POLL_MS = 1_000;
/** How long the API may be silent before watching is given up: a restart takes less. */
const SILENCE_MS_MAX = 60_000;
/** Without a terminal a line is written when tiles complete, and otherwise this often. */
const LINE_EVERY_MS = 10_000;
const SHARDS_PER_PAGE = "200";
const PAGES_PER_LOOK_MAX = 20;

/** One look at a job while it runs. */
export type Look = { readonly job: Job; readonly running: readonly Shard[] };
/** Shows looks: bars on a terminal, lines elsewhere. */
export type Watcher = {
  show(look: Look): void;
  note(text: string): void;
  /** The job as it ended, or null when only the watching did; may be called again. */
  end(job: Job | null): void;
};

/** Follows a job until it ends. Ctrl-C ends the watching only. Returns 0 when it is complete, 6 when it ended incomplete. */
export async function watchJob(context: Context, api: Api, id: string): Promise<number> {
  const { io, output } = context;
  const watcher =
    output.format === "table" && io.stderr.isTTY && io.stderr.stream !== null ? createBars(io.stderr.stream) : createLines(context);
  try {
    const job = await follow(context, { api, id, watcher });
    watcher.end(job);
    if (job === null) {
      output.note(`Job ${shortId(id)} goes on. Watch again: portolan job watch ${shortId(id)}`);
      return EXIT.interrupted;
    }
    output.one(job, [endLine(job)]);
    const next = job.state === "complete" ? "service ls" : `job show ${shortId(id)}`;
    output.note(`See ${job.state === "complete" ? "what it found" : "its shards"}: portolan ${next}`);
    return job.state === "complete" ? EXIT.ok : EXIT.partial;
  } finally {
    watcher.end(null);
  }
}

/** The job when it has ended; null when the person has had enough. */
async function follow({ io }: Context, { api, id, watcher }: { api: Api; id: string; watcher: Watcher }): Promise<Job | null> {
  const lookAt = createLookout(api, id);
  let heardAtMs = io.now();
  while (!io.signal.aborted) {
    try {
      const look = await lookAt();
      heardAtMs = io.now();
      if (look.job.state !== "running") return look.job;
      watcher.show(look);
    } catch (error) {
      if (io.signal.aborted) return null;
      // The job does not depend on us or on the API: an API that restarts is no reason to give up at once.
      const isPassing = error instanceof PortolanError && error.code === "unavailable" && io.now() - heardAtMs < SILENCE_MS_MAX;
      if (!isPassing) throw error;
      watcher.note(`no answer for ${formatDuration((io.now() - heardAtMs) / 1_000)}, still trying`);
    }
    await io.sleep(POLL_MS);
  }
  return null;
}

/**
 * Looks at a job again and again. A big job has more shards than one page: the place of the first unfinished ones is
 * remembered, because tiles are done about in their order.
 */
function createLookout(api: Api, id: string): () => Promise<Look> {
  let cursor: string | undefined;
  return async () => {
    const job = await bodyOf(api.v1.jobs[":id"].$get({ param: { id } }));
    if (job.state !== "running") return { job, running: [] };
    for (let pages = 0; pages < PAGES_PER_LOOK_MAX; pages++) {
      const query = { limit: SHARDS_PER_PAGE, ...(cursor === undefined ? {} : { cursor }) };
      const page = await bodyOf(api.v1.jobs[":id"].shards.$get({ param: { id }, query }));
      const isDone = page.items.every((shard) => shard.state === "complete" || shard.state === "abandoned");
      if (!isDone || page.next_cursor === null) return { job, running: page.items.filter((shard) => shard.state === "running") };
      cursor = page.next_cursor;
    }
    return { job, running: [] };
  };
}

function createLines({ io, output }: Context): Watcher {
  let saidAtMs = Number.NEGATIVE_INFINITY;
  let said = "";
  return {
    show: ({ job, running }) => {
      const key = `${job.tiles.complete} ${job.tiles.abandoned}`;
      if (key === said && io.now() - saidAtMs < LINE_EVERY_MS) return;
      said = key;
      saidAtMs = io.now();
      if (output.format === "ndjson") io.stdout.write(`${JSON.stringify({ ...job, shards: running })}\n`);
      else output.note(progressLine({ job, running }));
    },
    note: (text) => output.note(text),
    end: () => undefined,
  };
}

/** `office 3f9c0a1b2c3d: 3 of 8 tiles; de01 tile 4 shard 1 41 %, …; 20.0 kpps, 128 found in them`. */
export function progressLine({ job, running }: Look): string {
  const head = `${visible(job.plan)} ${shortId(job.id)}: ${tilesOf(job)} tiles`;
  if (running.length === 0) return `${head}; no shard is running`;
  const shards = running
    .slice(0, 8)
    .map((shard) => `${visible(shard.scanner)} tile ${shard.tile} shard ${shard.shard} ${formatPercent(shard.percent ?? 0)}`);
  const ratePps = running.reduce((sum, shard) => sum + (shard.ratePps ?? 0), 0);
  return `${head}; ${shards.join(", ")}${running.length > 8 ? " …" : ""}; ${formatRate(ratePps)}`;
}

function endLine(job: Job): string {
  const took = job.endedAtMs === null ? "" : ` after ${formatDuration((job.endedAtMs - job.plannedAtMs) / 1_000)}`;
  const head = `${visible(job.plan)} ${shortId(job.id)} is ${job.state}${took}: ${tilesOf(job)} tiles, ${formatCount(job.pairs)} pairs`;
  return job.why === null ? head : `${head}. ${visible(job.why)}`;
}
