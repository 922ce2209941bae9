import { open, readFile, type FileHandle } from "node:fs/promises";
import { z } from "zod";
import { assignmentKeySchema, type AssignmentKey } from "../../src/core/messages/job.ts";
import { runIdSchema, timeMsSchema } from "../../src/core/messages/common.ts";
import { writeDurably } from "./durable.ts";

const finishedSchema = z.strictObject({ key: assignmentKeySchema, runId: runIdSchema, endedAtMs: timeMsSchema });

/** One assignment that was run, and by which run. */
export type FinishedRun = z.infer<typeof finishedSchema>;

/** Fsynced list of finished assignments: a repeat of the queue is answered from it and not run again. */
export type FinishedList = {
  find(key: AssignmentKey): FinishedRun | undefined;
  /** Durable when it returns. Repeatable. */
  add(run: FinishedRun): Promise<void>;
  close(): Promise<void>;
};

/** Newest entries that are kept over a restart. */
const ENTRIES_MAX = 10_000;

/** Opens the list; a torn last line (a crash while adding) is dropped, as its assignment was not acknowledged. */
export async function openFinishedList(path: string): Promise<FinishedList> {
  const entries = new Map<string, FinishedRun>();
  for (const line of (await textOf(path)).split("\n").slice(0, -1).slice(-ENTRIES_MAX)) {
    const run = readEntry(line);
    if (run !== null) entries.set(keyText(run.key), run);
  }
  await writeDurably(path, [...entries.values()].map(entryLine).join(""));
  const handle: FileHandle = await open(path, "a", 0o600);
  let chain: Promise<void> = Promise.resolve();
  const append = async (run: FinishedRun): Promise<void> => {
    const { size } = await handle.stat();
    try {
      await handle.appendFile(entryLine(run));
      await handle.datasync();
    } catch (error) {
      await handle.truncate(size);
      throw error;
    }
    entries.set(keyText(run.key), run);
    if (entries.size > 2 * ENTRIES_MAX) for (const key of [...entries.keys()].slice(0, ENTRIES_MAX)) entries.delete(key);
  };
  return {
    find: (key) => entries.get(keyText(key)),
    add: (run) => {
      const known = entries.get(keyText(run.key));
      if (known?.runId === run.runId) return Promise.resolve();
      const next = chain.then(() => append(run));
      chain = next.catch(() => {});
      return next;
    },
    close: async () => {
      await chain;
      await handle.close();
    },
  };
}

/** One text per assignment key. */
export function keyText({ job, tile, shard, attempt }: AssignmentKey): string {
  return `${job}.${tile}.${shard}.${attempt}`;
}

function entryLine(run: FinishedRun): string {
  return `${JSON.stringify(run)}\n`;
}

function readEntry(line: string): FinishedRun | null {
  try {
    return finishedSchema.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return "";
    throw error;
  }
}
