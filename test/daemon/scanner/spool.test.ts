import { appendFile, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseAddress } from "../../../src/core/address.ts";
import type { Sighting } from "../../../src/core/columns.ts";
import { SIGHTINGS_PER_PART_MAX } from "../../../src/core/messages/report.ts";
import { openFinishedList } from "../../../scanner-daemon/scanner/finished.ts";
import { openSpool, type Spool } from "../../../scanner-daemon/scanner/spool.ts";
import { openRunStore } from "../../../scanner-daemon/scanner/store.ts";
import { assignment, ownDirectory } from "./world.ts";

const first = parseAddress("198.18.0.0");

function sightings(count: number): Sighting[] {
  return Array.from({ length: count }, (_, index) => ({
    address: index % 3 === 0 ? parseAddress("2001:db8::") + BigInt(index) : first + BigInt(index),
    protocol: index % 5 === 0 ? ("udp" as const) : ("tcp" as const),
    port: index % 65_536,
    observedAtS: 1_795_180_783 + index,
  }));
}

async function everything(spool: Spool): Promise<Sighting[][]> {
  return Promise.all(spool.parts().map((_, index) => spool.readPart(index)));
}

describe("the spool", () => {
  test("gives back what was put in, in parts of at most 20,000, also after it was opened again", async () => {
    const file = join(await ownDirectory(), "sightings");
    const all = sightings(SIGHTINGS_PER_PART_MAX + 5);
    const spool = await openSpool(file);
    for (const sighting of all) await spool.add(sighting);
    await spool.seal();
    expect(spool.parts().map(({ lines }) => lines)).toEqual([SIGHTINGS_PER_PART_MAX, 5]);
    expect((await everything(spool)).flat()).toEqual(all);
    await spool.close();
    const again = await openSpool(file);
    expect((await everything(again)).flat()).toEqual(all);
    await again.close();
  });

  test("cut at any byte keeps every whole sighting, and every sealed part as it was", async () => {
    const directory = await ownDirectory();
    const file = join(directory, "sightings");
    const all = sightings(12);
    const spool = await openSpool(file);
    for (const [index, sighting] of all.entries()) {
      await spool.add(sighting);
      if (index % 4 === 3) await spool.seal();
    }
    const sealed = await everything(spool);
    await spool.close();
    const bytes = await readFile(file);
    for (let length = 0; length <= bytes.length; length += 1) {
      await writeFile(file, bytes.subarray(0, length));
      const cut = await openSpool(file);
      const wholeLines = bytes.subarray(0, length).toString().split("\n").slice(0, -1);
      const kept = await everything(cut);
      expect(kept.flat()).toEqual(all.slice(0, wholeLines.filter((line) => line.startsWith("s")).length));
      const sealsKept = wholeLines.filter((line) => line.startsWith("p")).length;
      expect(kept.slice(0, sealsKept)).toEqual(sealed.slice(0, sealsKept));
      await cut.add(all[0] ?? sightings(1)[0] ?? raise());
      await cut.seal();
      expect((await everything(cut)).at(-1)).toEqual([all[0]]);
      await cut.close();
    }
  });

  test("drops everything from the first line that is not its own", async () => {
    const file = join(await ownDirectory(), "sightings");
    const spool = await openSpool(file);
    for (const sighting of sightings(3)) await spool.add(sighting);
    await spool.seal();
    await spool.close();
    await appendFile(file, "\0\0\0\0\n");
    await appendFile(file, "s 0 6 80 1\n");
    const again = await openSpool(file);
    expect((await everything(again)).flat()).toEqual(sightings(3));
    await again.close();
  });
});

describe("the store", () => {
  test("finds runs again with start, sightings and last word, and forgets them only when they are retired", async () => {
    const directory = await ownDirectory();
    const store = await openRunStore(directory);
    const run = await store.create({ version: 1, assignment: assignment(), runId: "0".repeat(32), startedAtMs: 5 });
    for (const sighting of sightings(3)) await run.spool.add(sighting);
    await run.spool.flush();
    await store.close();

    const second = await openRunStore(directory);
    const [found] = second.runs();
    expect(found?.start).toEqual(run.start);
    expect(found?.end()).toBe(null);
    expect(await found?.spool.readPart(0)).toEqual(sightings(3));
    const last = { version: 1, outcome: { kind: "partial", reasons: ["x"] }, evidence: null, probesSent: 0, endedAtMs: 6 } as const;
    await found?.finish({ ...last, outcome: { kind: "partial", reasons: ["x"] } });
    await second.close();

    const third = await openRunStore(directory);
    const [ended] = third.runs();
    expect(ended?.end()?.outcome).toEqual(last.outcome);
    expect(third.bytes()).toBeGreaterThan(0);
    if (ended !== undefined) await third.retire(ended, new Map([["c".repeat(32), 3]]), 5);
    await third.close();
    const fourth = await openRunStore(directory);
    expect(fourth.runs()).toEqual([]);
    await fourth.close();
  });
});

describe("the finished list", () => {
  test("cut at any byte keeps every whole entry and takes new ones", async () => {
    const file = join(await ownDirectory(), "finished");
    const entries = [1, 2, 3].map((shard) => ({ key: { ...assignment().key, shard }, runId: `${shard}`.repeat(32), endedAtMs: shard }));
    const list = await openFinishedList(file);
    for (const entry of entries) await list.add(entry);
    await list.close();
    const bytes = await readFile(file);
    for (let length = 0; length <= bytes.length; length += 7) {
      await writeFile(file, bytes);
      await truncate(file, length);
      const whole = bytes.subarray(0, length).toString().split("\n").length - 1;
      const cut = await openFinishedList(file);
      expect(entries.map(({ key }) => cut.find(key)?.runId)).toEqual(
        entries.map(({ runId }, index) => (index < whole ? runId : undefined)),
      );
      await cut.add({ ...entries[2], key: { ...assignment().key, shard: 9 }, runId: "9".repeat(32), endedAtMs: 9 });
      await cut.close();
      const again = await openFinishedList(file);
      expect(again.find({ ...assignment().key, shard: 9 })?.runId).toBe("9".repeat(32));
      await again.close();
    }
  });
});

function raise(): never {
  throw new Error("unreachable");
}
