import { readdir, truncate } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Kept } from "../../../src/core/messages/bus.ts";
import { openRunStore, type RunStore } from "../../../scanner-daemon/scanner/store.ts";
import { assignment, ownDirectory } from "./world.ts";

const [OLD, NEW] = ["a".repeat(32), "b".repeat(32)];
const DAY_MS = 86_400_000;

/** A store with one run that was acknowledged at number 7 of the old log. */
async function acknowledged(marks: ReadonlyMap<string, number> = new Map([[OLD, 7]])): Promise<{ directory: string; store: RunStore }> {
  const directory = await ownDirectory();
  const store = await openRunStore(directory);
  const run = await store.create({ version: 1, assignment: assignment(), runId: "0".repeat(32), startedAtMs: 5 });
  await run.spool.add({ address: 1n, protocol: "tcp", port: 80, observedAtS: 1 });
  await run.spool.seal();
  await run.finish({ version: 1, outcome: { kind: "complete" }, evidence: null, probesSent: 1, endedAtMs: 6 });
  await store.retire(run, marks, 0);
  return { directory, store };
}

const said = (change: Partial<Kept>): Kept => ({ alone: false, log: OLD, certain: true, logs: [], ...change });
const kept = (directory: string): Promise<string[]> => readdir(join(directory, "kept"));

test("an acknowledged run is kept until a peer holds everything of it", async () => {
  const { directory, store } = await acknowledged();
  expect([store.runs().length, store.bytes()]).toEqual([0, 0]);
  await store.hear(said({ logs: [{ log: OLD, here: 9, peers: 6 }] }), 1);
  expect(await kept(directory)).toHaveLength(1);
  await store.hear(said({ logs: [{ log: OLD, here: 9, peers: 7 }] }), 2);
  expect(await kept(directory)).toEqual([]);
  await store.close();
});

test("it is dropped after a day, and at once where no other region is registered", async () => {
  const first = await acknowledged();
  await first.store.hear(said({ logs: [{ log: OLD, here: 9, peers: 6 }] }), DAY_MS + 1);
  expect(await kept(first.directory)).toEqual([]);
  const second = await acknowledged();
  await second.store.hear(said({ alone: true }), 1);
  expect(await kept(second.directory)).toEqual([]);
  for (const { store } of [first, second]) await store.close();
});

test("what neither the ledger nor a peer holds is taken up again, once that is certain, with the same content", async () => {
  const { directory, store } = await acknowledged();
  const lost = [{ log: NEW, here: 3, peers: -1 }];
  expect(await store.hear(said({ log: NEW, certain: false, logs: lost }), 1)).toBe(0);
  // The old log is still held here, or comes from a peer.
  for (const at of [
    { here: 7, peers: -1 },
    { here: -1, peers: 7 },
  ]) {
    const logs = [...lost, { log: OLD, ...at }];
    const again = await acknowledged();
    expect(await again.store.hear(said({ log: NEW, logs }), 1)).toBe(0);
    await again.store.close();
  }
  expect(await store.hear(said({ log: NEW, logs: [...lost, { log: OLD, here: 6, peers: 6 }] }), 2)).toBe(1);
  const [run] = store.runs();
  expect([run?.start.runId, run?.end()?.outcome, run?.spool.parts().length]).toEqual(["0".repeat(32), { kind: "complete" }, 1]);
  expect(await kept(directory)).toEqual([]);
  await store.close();
});

test("a restart keeps it; one whose receipt a crash has cut is sent again", async () => {
  const { directory, store } = await acknowledged();
  await store.close();
  const second = await openRunStore(directory);
  expect([second.runs().length, (await kept(directory)).length]).toEqual([0, 1]);
  await second.close();
  await truncate(join(directory, "kept", "0".repeat(32), "receipt.json"), 5);
  const third = await openRunStore(directory);
  expect([third.runs().length, (await kept(directory)).length]).toEqual([1, 0]);
  await third.close();
});

test("a run that got numbers of two logs is kept until both are safe", async () => {
  const { directory, store } = await acknowledged(
    new Map([
      [OLD, 7],
      [NEW, 2],
    ]),
  );
  const logs = (peersOfNew: number) => [
    { log: OLD, here: 7, peers: 7 },
    { log: NEW, here: 2, peers: peersOfNew },
  ];
  await store.hear(said({ log: NEW, logs: logs(1) }), 1);
  expect(await kept(directory)).toHaveLength(1);
  await store.hear(said({ log: NEW, logs: logs(2) }), 2);
  expect(await kept(directory)).toEqual([]);
  await store.close();
});
