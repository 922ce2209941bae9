import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import type { Kept } from "../../src/core/messages/bus.ts";
import { logIdSchema, timeMsSchema } from "../../src/core/messages/common.ts";

/** How long acknowledged runs are kept, how much of them, and how many, when no peer has them by then. */
const AGE_MAX_MS = 24 * 3_600_000;
const BYTES_MAX = 1024 ** 3;
const RUNS_MAX = 10_000;

/** Highest number of each log that a statement of one run got. */
export type Marks = ReadonlyMap<string, number>;

const receiptSchema = z.strictObject({
  version: z.literal(1),
  keptAtMs: timeMsSchema,
  marks: z.array(z.strictObject({ log: logIdSchema, rseq: z.int().nonnegative() })).max(1_000),
});

/** Acknowledged runs that wait until another region has their records too. */
export type KeptRuns = {
  /** Takes over the directory of a run that was acknowledged as a whole. A crash before the end leaves it where it was. */
  add(
    directory: string,
    run: { readonly id: string; readonly bytes: number; readonly marks: Marks; readonly nowMs: number },
  ): Promise<void>;
  /** Drops what need not be kept any more; gives the directories of runs that the ledger has lost, which are the caller's from now on. */
  hear(kept: Kept, nowMs: number): Promise<{ readonly id: string; readonly directory: string }[]>;
  /** Removes the directory of a run that need not be kept at all. */
  discard(directory: string, id: string): Promise<void>;
  /** Drops the oldest one; false when there is none. */
  dropOldest(): Promise<boolean>;
};

type KeptRun = { readonly id: string; readonly bytes: number; readonly keptAtMs: number; readonly marks: Marks };

/**
 * Opens what is kept below `home`. Directories whose receipt cannot be read (a crash of the host) are moved to `unsure`: they are sent again.
 */
export async function openKeptRuns(home: string, unsure: string): Promise<KeptRuns> {
  await mkdir(home, { recursive: true, mode: 0o700 });
  const kept: KeptRun[] = [];
  for (const id of await readdir(home)) {
    const run = await readKept(home, id);
    if (id.endsWith(GONE)) await rm(join(home, id), { recursive: true, force: true });
    else if (run === null) await rename(join(home, id), join(unsure, id));
    else kept.push(run);
  }
  const runs = new Map(kept.toSorted((a, b) => a.keptAtMs - b.keptAtMs).map((run) => [run.id, run]));
  let bytes = kept.reduce((sum, run) => sum + run.bytes, 0);
  const forget = (run: KeptRun): void => {
    if (runs.delete(run.id)) bytes -= run.bytes;
  };
  const discard = async (directory: string, id: string): Promise<void> => {
    await rename(directory, join(home, id + GONE));
    await rm(join(home, id + GONE), { recursive: true, force: true });
  };
  const drop = async (run: KeptRun): Promise<void> => {
    forget(run);
    await discard(join(home, run.id), run.id);
  };
  const dropOldest = async (): Promise<boolean> => {
    const [oldest] = runs.values();
    if (oldest !== undefined) await drop(oldest);
    return oldest !== undefined;
  };
  const prune = async (nowMs: number): Promise<void> => {
    for (const run of runs.values()) {
      if (bytes <= BYTES_MAX && runs.size <= RUNS_MAX && nowMs - run.keptAtMs <= AGE_MAX_MS) return;
      await drop(run);
    }
  };
  return {
    add: async (directory, { id, bytes: size, marks, nowMs }) => {
      const receipt = { version: 1, keptAtMs: nowMs, marks: [...marks].map(([log, rseq]) => ({ log, rseq })) };
      await writeFile(join(directory, RECEIPT), JSON.stringify(receipt), { mode: 0o600 });
      await rename(directory, join(home, id));
      runs.set(id, { id, bytes: size, keptAtMs: nowMs, marks });
      bytes += size;
      await prune(nowMs);
    },
    hear: async (message, nowMs) => {
      await prune(nowMs);
      const lost: { id: string; directory: string }[] = [];
      for (const run of runs.values()) {
        const fate = message.alone ? "drop" : fateOf(run.marks, message);
        if (fate === "drop") await drop(run);
        if (fate !== "send") continue;
        forget(run);
        lost.push({ id: run.id, directory: join(home, run.id) });
      }
      return lost;
    },
    discard,
    dropOldest,
  };
}

const RECEIPT = "receipt.json";
/** Ends the name of a directory that is being removed: a crash amid that must not leave a run that looks whole, without its sightings. */
const GONE = ".gone";

/** What a keeper's word means for one run. A number of the log that is continued is held by its ledger, else that would be given up. */
function fateOf(marks: Marks, { log, certain, logs }: Kept): "drop" | "keep" | "send" {
  const held = new Map(logs.map((one) => [one.log, one]));
  const all = [...marks].map(([of, rseq]) => {
    const { here, peers } = held.get(of) ?? { here: -1, peers: -1 };
    if (peers >= rseq) return "drop";
    return of === log || here >= rseq || !certain ? "keep" : "send";
  });
  if (all.includes("send")) return "send";
  return all.includes("keep") ? "keep" : "drop";
}

async function readKept(home: string, id: string): Promise<KeptRun | null> {
  try {
    const { keptAtMs, marks } = receiptSchema.parse(JSON.parse(await readFile(join(home, id, RECEIPT), "utf8")));
    const { size } = await stat(join(home, id, "sightings"));
    return { id, bytes: size, keptAtMs, marks: new Map(marks.map(({ log, rseq }) => [log, rseq])) };
  } catch {
    return null;
  }
}
