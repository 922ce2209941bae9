import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { deliveryOf, historyOf, randomOf } from "./history.ts";
import { openMemoryDatabase } from "./memory-database.ts";
import { deliver, ORDERS, OWN_LOG, type Register, type Seen } from "./projection-check.ts";
import { startLedgerDatabase } from "./sqld-ledger.ts";

const HISTORIES = Number(process.env["PORTOLAN_HISTORIES"] ?? 200);

const memory = openMemoryDatabase();
let server: Awaited<ReturnType<typeof startLedgerDatabase>>;

beforeAll(async () => {
  server = await startLedgerDatabase();
});

afterAll(async () => {
  memory.close();
  await server.stop();
});

test("I10 the SQL projection equals the reference fold for any order, grouping and repetition of records", async () => {
  const seen: Seen = { comparisons: 0, states: {} };
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 5, max: 30 }), async (seed, steps) => {
      const random = randomOf(seed);
      const items = historyOf(random, steps);
      const ends: Register[] = [];
      for (const order of ORDERS) {
        memory.clear();
        const own = random.chance(0.5) ? items.filter(({ acceptance }) => acceptance.log === OWN_LOG) : null;
        ends.push(await deliver(memory, random, deliveryOf(random, items, order), own, seen));
      }
      for (const end of ends) expect(end).toEqual(ends[0]);
    }),
    { numRuns: HISTORIES, endOnFailure: true },
  );
  // A generator that never closes anything would prove nothing.
  expect(seen.states["closed"]).toBeGreaterThan(HISTORIES / 20);
  expect(seen.states["missing"]).toBeGreaterThan(HISTORIES / 20);
  console.info(`${HISTORIES} histories, ${seen.comparisons} comparisons, ${JSON.stringify(seen.states)}`);
}, 600_000);

test("I10 the same holds on sqld", async () => {
  const seen: Seen = { comparisons: 0, states: {} };
  const tables = memory.sqlite.prepare("select name from sqlite_master where type = 'table' and name <> 'keeper'").pluck().all();
  for (let seed = 1; seed <= 6; seed++) {
    const random = randomOf(seed);
    const items = historyOf(random, 25);
    const clear = [
      ...tables.map((table) => ({ sql: `delete from ${String(table)}` })),
      { sql: "update keeper set holder = '', until_ms = 0" },
    ];
    await server.database.batch(clear, "write");
    const own = items.filter(({ acceptance }) => acceptance.log === OWN_LOG);
    await deliver(server.database, random, deliveryOf(random, items, "shuffled"), own, seen);
  }
  expect(seen.comparisons).toBeGreaterThanOrEqual(6);
});
