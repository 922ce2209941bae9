import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import type { Interval } from "../../src/core/history/fold.ts";
import { parseAddress } from "../../src/core/address.ts";
import { foldVerdicts } from "../../src/core/verdict/fold.ts";
import { diff, historyOf as serviceHistory, openAt } from "../../src/ledger/history.ts";
import type { PeerItem, Service } from "../../src/ledger/types.ts";
import { bound, chained, ledgerWith } from "./delivered.ts";
import { deliveryOf, foldRecordOf, historyOf, type Random, randomOf } from "./history.ts";
import { openMemoryDatabase } from "./memory-database.ts";

const HISTORIES = Number(process.env["PORTOLAN_HISTORIES"] ?? 100);
const memory = openMemoryDatabase();
const other = openMemoryDatabase();

afterAll(() => {
  memory.close();
  other.close();
});

/** Keepers' clocks differ: stamps rise within each log only. */
function skewed(random: Random, items: readonly PeerItem[]): PeerItem[] {
  const skews = new Map<string, number>();
  for (const { acceptance } of items) if (!skews.has(acceptance.log)) skews.set(acceptance.log, random.below(12));
  return items.map((item) => {
    const stampMs = item.acceptance.stampMs + (skews.get(item.acceptance.log) ?? 0);
    return { ...item, acceptance: { ...item.acceptance, stampMs } };
  });
}

type Key = Pick<Service, "address" | "protocol" | "port">;

/** The states of a service, by folding everything that had been accepted by each moment. */
function intervalsByFolding(verdicts: Verdicts, { address, protocol, port }: Key): Interval[] {
  const intervals: Interval[] = [];
  for (const [atMs, states] of verdicts) {
    const state = states.get(`${parseAddress(address)}/${protocol}/${port}`);
    const before = intervals.at(-1);
    if (state === undefined || before?.state === state) continue;
    if (before !== undefined) intervals[intervals.length - 1] = { ...before, toMs: atMs };
    intervals.push({ fromMs: atMs, toMs: null, state });
  }
  return intervals;
}

type Verdicts = Map<number, Map<string, Interval["state"]>>;

function verdictsByMoment(items: readonly PeerItem[]): Verdicts {
  const moments = [...new Set(items.map(({ acceptance }) => acceptance.stampMs))].toSorted((a, b) => a - b);
  return new Map(
    moments.map((atMs) => {
      const here = items.filter(({ acceptance }) => acceptance.stampMs <= atMs).map(foldRecordOf);
      const states = foldVerdicts(here).map(
        ({ service, verdict }) => [`${service.address}/${service.protocol}/${service.port}`, verdict] as const,
      );
      return [atMs, new Map(states)];
    }),
  );
}

test("the history of a service is what the reference fold says at each moment, and equal in ledgers that took the records in other orders", async () => {
  const turns: Record<string, number> = {};
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 5, max: 25 }), async (seed, steps) => {
      const random = randomOf(seed);
      const items = skewed(random, chained(bound(historyOf(random, steps))));
      memory.clear();
      other.clear();
      const { ledger } = await ledgerWith(memory, deliveryOf(random, items, "shuffled"));
      await ledgerWith(other, deliveryOf(random, items, "reversed"));
      const verdicts = verdictsByMoment(items);
      for (const service of (await ledger.listServices({ state: "all" })).items) {
        const history = await serviceHistory(memory, service, {});
        expect(history?.intervals).toEqual(intervalsByFolding(verdicts, service));
        expect(history?.intervals.at(-1)?.state).toBe(service.state);
        expect(history).toEqual(await serviceHistory(other, service, {}));
        for (const { kind } of history?.turns ?? []) turns[kind] = (turns[kind] ?? 0) + 1;
      }
    }),
    { numRuns: HISTORIES, endOnFailure: true },
  );
  console.info(JSON.stringify(turns));
  for (const kind of ["first-observed", "opened", "missing", "closed", "reopened", "seen-again"]) expect(turns[kind]).toBeGreaterThan(0);
}, 600_000);

test("what was open at a moment, and what differs between two, is read page by page from the same histories", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 5, max: 25 }), async (seed, steps) => {
      const random = randomOf(seed);
      const items = chained(bound(historyOf(random, steps)));
      memory.clear();
      await ledgerWith(memory, deliveryOf(random, items, "shuffled"));
      const verdicts = verdictsByMoment(items);
      const [a, b] = [random.pick([...verdicts.keys()]), random.pick([...verdicts.keys()])];
      const isOpen = (atMs: number, key: string): boolean => ["open", "missing"].includes(verdicts.get(atMs)?.get(key) ?? "");
      const keyOf = ({ address, protocol, port }: Key): string => `${parseAddress(address)}/${protocol}/${port}`;
      const open = await all((cursor) => openAt(memory, { atMs: a, limit: 2, ...cursor }, {}));
      expect(open.map(keyOf).toSorted()).toEqual([...(verdicts.get(a)?.keys() ?? [])].filter((key) => isOpen(a, key)).toSorted());
      const differences = await all((cursor) => diff(memory, { a: { atMs: a }, b: { atMs: b }, limit: 3, ...cursor }, {}));
      const changed = [...(verdicts.get(Math.max(a, b))?.keys() ?? [])].filter((key) => isOpen(a, key) !== isOpen(b, key));
      expect(differences.map(keyOf).toSorted()).toEqual(changed.toSorted());
      for (const { difference, ...service } of differences) {
        if (difference !== "not-comparable") expect(difference).toBe(isOpen(b, keyOf(service)) ? "appeared" : "disappeared");
      }
    }),
    { numRuns: HISTORIES, endOnFailure: true },
  );
}, 600_000);

async function all<T>(read: (cursor: { cursor?: string }) => Promise<{ items: T[]; next: string | null }>): Promise<T[]> {
  const items: T[] = [];
  for (let cursor: { cursor?: string } | null = {}; cursor !== null;) {
    const page: { items: T[]; next: string | null } = await read(cursor);
    items.push(...page.items);
    cursor = page.next === null ? null : { cursor: page.next };
  }
  return items;
}
