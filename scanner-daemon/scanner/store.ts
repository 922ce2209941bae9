import { mkdir, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { runIdSchema, timeMsSchema } from "../../src/core/messages/common.ts";
import type { Kept } from "../../src/core/messages/bus.ts";
import { assignmentSchema } from "../../src/core/messages/job.ts";
import { evidenceSchema, outcomeSchema } from "../../src/core/messages/report.ts";
import { isDiskFull, syncDirectory, writeDurably } from "./durable.ts";
import { type Marks, openKeptRuns } from "./kept.ts";
import { openSpool, type Spool } from "./spool.ts";

const startSchema = z.strictObject({ version: z.literal(1), assignment: assignmentSchema, runId: runIdSchema, startedAtMs: timeMsSchema });
const endSchema = z.strictObject({
  version: z.literal(1),
  outcome: outcomeSchema,
  evidence: evidenceSchema.nullable(),
  probesSent: z.int().nonnegative(),
  endedAtMs: timeMsSchema,
});

/** What is known when a run starts; durable before anything is probed. */
export type RunStart = z.infer<typeof startSchema>;
/** The last word about a run. Together with start and spool it makes the report, always the same one. */
export type RunEnd = z.infer<typeof endSchema>;

/** One run as it lies on disk, until the ledger has acknowledged all of it. */
export type StoredRun = {
  readonly directory: string;
  readonly start: RunStart;
  readonly spool: Spool;
  end(): RunEnd | null;
  /** Writes the last word, durably. */
  finish(end: RunEnd): Promise<void>;
};

/** The runs of this scanner whose sightings are not acknowledged yet. */
export type RunStore = {
  /** Oldest first. */
  runs(): readonly StoredRun[];
  create(start: RunStart): Promise<StoredRun>;
  /** Takes an acknowledged run aside, until another region has its records too or 24 h, 1 GiB or a full disk are reached; `marks` are its receipts. */
  retire(run: StoredRun, marks: Marks, nowMs: number): Promise<void>;
  /** Drops acknowledged runs that need not be kept any more, and takes those up again that the ledger has lost: how many. */
  hear(kept: Kept, nowMs: number): Promise<number>;
  /** Takes a run that the keeper refuses for good out of the way, for a person to look at; nothing is deleted. */
  setAside(run: StoredRun): Promise<string>;
  /** Bytes of all unacknowledged spools. */
  bytes(): number;
  /** Makes sure that the reserved room for last words is there; false when the disk is full. */
  reserve(): Promise<boolean>;
  /** Frees the reserved room, so that seals and last words find place on a full disk. */
  useReserve(): Promise<void>;
  close(): Promise<void>;
};

/** Room kept for last words on a full disk. */
const RESERVE_BYTES = 1024 * 1024;

/** Opens the store under `directory`, repairs what a crash left, and drops directories of runs that never began. */
export async function openRunStore(directory: string): Promise<RunStore> {
  const home = join(directory, "runs");
  const aside = join(directory, "refused");
  const reserveFile = join(directory, "reserve");
  await mkdir(home, { recursive: true, mode: 0o700 });
  const kept = await openKeptRuns(join(directory, "kept"), home);
  const runs = await openRuns(home);
  const drop = (run: StoredRun): void => void runs.splice(runs.indexOf(run), 1);
  let alone = false;
  return {
    runs: () => runs,
    create: async (start) => {
      const path = join(home, start.runId);
      await mkdir(path, { mode: 0o700 });
      await writeDurably(join(path, "start.json"), JSON.stringify(start));
      await syncDirectory(home);
      const run = storedRun(path, start, await openSpool(join(path, "sightings")), null);
      runs.push(run);
      return run;
    },
    retire: async (run, marks, nowMs) => {
      drop(run);
      await run.spool.close();
      try {
        if (!alone) return await kept.add(run.directory, { id: run.start.runId, bytes: run.spool.bytes(), marks, nowMs });
      } catch (error) {
        if (!isDiskFull(error)) throw error;
      }
      await kept.discard(run.directory, run.start.runId);
    },
    hear: async (message, nowMs) => {
      alone = message.alone;
      const lost = await kept.hear(message, nowMs);
      for (const { id, directory: place } of lost) {
        await rename(place, join(home, id));
        const run = await openRun(join(home, id));
        if (run !== null) runs.push(run);
      }
      return lost.length;
    },
    setAside: async (run) => {
      drop(run);
      await run.spool.close();
      await mkdir(aside, { recursive: true, mode: 0o700 });
      const path = join(aside, run.start.runId);
      await rename(run.directory, path);
      return path;
    },
    bytes: () => runs.reduce((sum, { spool }) => sum + spool.bytes(), 0),
    reserve: async () => {
      // What is acknowledged goes before what is not.
      while (!(await reserve(reserveFile))) if (!(await kept.dropOldest())) return false;
      return true;
    },
    useReserve: () => rm(reserveFile, { force: true }),
    close: async () => {
      for (const run of runs) await run.spool.close();
    },
  };
}

/** Oldest first. */
async function openRuns(home: string): Promise<StoredRun[]> {
  const runs: StoredRun[] = [];
  for (const name of (await readdir(home)).sort()) {
    const run = await openRun(join(home, name));
    if (run !== null) runs.push(run);
    else await rm(join(home, name), { recursive: true, force: true });
  }
  return runs.sort((a, b) => a.start.startedAtMs - b.start.startedAtMs);
}

async function reserve(file: string): Promise<boolean> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size === RESERVE_BYTES) return true;
  try {
    await writeDurably(file, new Uint8Array(RESERVE_BYTES));
    return true;
  } catch (error) {
    if (isDiskFull(error)) return false;
    throw error;
  }
}

async function openRun(directory: string): Promise<StoredRun | null> {
  const start = startSchema.safeParse(await jsonOf(join(directory, "start.json")));
  if (!start.success) return null;
  const end = endSchema.safeParse(await jsonOf(join(directory, "end.json")));
  const spool = await openSpool(join(directory, "sightings"));
  return storedRun(directory, start.data, spool, end.success ? end.data : null);
}

function storedRun(directory: string, start: RunStart, spool: Spool, known: RunEnd | null): StoredRun {
  let end = known;
  return {
    directory,
    start,
    spool,
    end: () => end,
    finish: async (last) => {
      await writeDurably(join(directory, "end.json"), JSON.stringify(last));
      end = last;
    },
  };
}

async function jsonOf(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, "utf8"));
  } catch {
    return null;
  }
}
