import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { chainHash } from "../../src/core/statement.ts";
import { type Database, numberOf, textOf } from "../../src/ledger/database.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import type { PeerItem } from "../../src/ledger/types.ts";
import { contextAt, sha256, sightingsOf, uploadOf } from "./builders.ts";
import { type Random, randomOf } from "./history.ts";
import { openMemoryDatabase } from "./memory-database.ts";

const LOG = "a".repeat(32);
const memory = openMemoryDatabase();

beforeEach(() => memory.clear());
afterAll(() => memory.close());

/** Calls fail as they do on a network: before the commit, or after it, when only the reply is lost. */
function flaky(database: Database, random: Random): Database {
  return {
    ...database,
    batch: async (statements, mode) => {
      if (random.chance(0.15)) throw new Error("the connection was refused");
      const rows = await database.batch(statements, mode);
      if (random.chance(0.15)) throw new Error("the reply was lost");
      return rows;
    },
  };
}

async function records(): Promise<{ rseq: number; id: string; stampMs: number; chain: string }[]> {
  const [rows] = await memory.batch(
    [
      {
        sql: "select r.rseq, lower(hex(r.id)) as id, r.stamp_ms, lower(hex(r.chain)) as chain from record r cross join log l on l.n = r.log where l.own = 1 order by rseq",
      },
    ],
    "read",
  );
  return (rows ?? []).map((row) => ({
    rseq: numberOf(row, "rseq"),
    id: textOf(row, "id"),
    stampMs: numberOf(row, "stamp_ms"),
    chain: textOf(row, "chain"),
  }));
}

type Receipts = Map<string, number>;

/** One keeper that sends what it has again until it gets a receipt, and begins anew now and then. */
async function keep(random: Random, rounds: number): Promise<Receipts> {
  const receipts: Receipts = new Map();
  let ledger = ledgerOn(flaky(memory, random), "eu");
  const steady = ledgerOn(memory, "eu");
  await steady.ensureLog(() => LOG);
  let epoch = (await steady.takeLease({ holder: "k", nowMs: 0, ttlMs: 1 }))?.epoch ?? -1;
  const waiting = Array.from({ length: rounds }, (_, index) => uploadOf(sightingsOf([`192.0.2.${1 + (index % 9)}:80`]), String(index)));
  while (waiting.length > 0) {
    const items = waiting.slice(0, 1 + random.below(4));
    if (random.chance(0.2)) items.push(...items.slice(0, 1));
    try {
      for (const { id, rseq } of await ledger.accept(items, contextAt(epoch, 1))) {
        // A receipt never changes.
        expect(receipts.get(id) ?? rseq).toBe(rseq);
        receipts.set(id, rseq);
      }
      waiting.splice(0, random.chance(0.7) ? new Set(items).size : 0);
    } catch {
      if (!random.chance(0.3)) continue;
      ledger = ledgerOn(flaky(memory, random), "eu");
      epoch = (await steady.takeLease({ holder: "k", nowMs: 0, ttlMs: 1 }))?.epoch ?? -1;
    }
  }
  return receipts;
}

describe("the log of a ledger whose calls fail at any moment", () => {
  test("I11 what got a receipt is there, at the position that the receipt names", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        memory.clear();
        const receipts = await keep(randomOf(seed), 20);
        const held = new Map((await records()).map(({ id, rseq }) => [id, rseq]));
        expect(receipts.size).toBe(20);
        for (const [id, rseq] of receipts) expect(held.get(id)).toBe(rseq);
      }),
      { numRuns: 60 },
    );
  });

  test("I12 its numbers are dense, each is chained to the one before, and none is used twice", async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), async (seed) => {
        memory.clear();
        await keep(randomOf(seed), 20);
        const all = await records();
        let previous = "";
        for (const [index, { rseq, id, stampMs, chain }] of all.entries()) {
          expect(rseq).toBe(index);
          expect(chain).toBe(chainHash({ log: LOG, rseq, previous, id, stampMs, judged: null }, sha256));
          previous = chain;
        }
        expect(new Set(all.map(({ id }) => id)).size).toBe(all.length);
      }),
      { numRuns: 60 },
    );
  });

  test("I17 the frontier names the contiguous prefix of each log and nothing above a hole", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.constantFrom("b", "c"), fc.nat(9)), { maxLength: 25 }), async (delivered) => {
        memory.clear();
        const ledger = ledgerOn(memory, "eu");
        await ledger.ensureLog(() => LOG);
        const epoch = (await ledger.takeLease({ holder: "k", nowMs: 0, ttlMs: 1 }))?.epoch ?? -1;
        const held = new Map<string, Set<number>>();
        for (const [letter, rseq] of delivered) {
          const log = letter.repeat(32);
          const acceptance = { log, rseq, stampMs: 1, judged: null, chain: sha256(`${log}${rseq}`), signature: "A".repeat(86) };
          const item: PeerItem = { ...uploadOf(sightingsOf(["192.0.2.1:80"]), `${letter}${rseq}`), region: "us", acceptance };
          await ledger.applyPeers({ items: [item] }, contextAt(epoch, 1));
          held.set(log, (held.get(log) ?? new Set()).add(rseq));
          const expected = [...held].flatMap(([name, numbers]) => {
            let upto = -1;
            while (numbers.has(upto + 1)) upto++;
            return upto < 0 ? [] : [[name, upto] as const];
          });
          expect(await ledger.frontier()).toEqual(Object.fromEntries(expected));
        }
      }),
      { numRuns: 60 },
    );
  });
});
