import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { stateHash } from "../../src/ledger/state-hash.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import { verify } from "../../src/ledger/verify.ts";
import { contextAt, sha256 } from "./builders.ts";
import { bound, chained, drain, ledgerWith } from "./delivered.ts";
import { deliveryOf, historyOf, randomOf } from "./history.ts";
import { openMemoryDatabase } from "./memory-database.ts";

const HISTORIES = Number(process.env["PORTOLAN_HISTORIES"] ?? 150);
const live = openMemoryDatabase();
const other = openMemoryDatabase();

afterAll(() => {
  live.close();
  other.close();
});

const seeds = fc.integer({ min: 0, max: 2 ** 31 });
const lengths = fc.integer({ min: 5, max: 40 });

test("two ledgers that hold the same records have one state hash, whatever order the records came in", async () => {
  await fc.assert(
    fc.asyncProperty(seeds, lengths, async (seed, steps) => {
      const random = randomOf(seed);
      const items = chained(bound(historyOf(random, steps)));
      const hashes = [];
      for (const order of ["shuffled", "log by log", "reversed"] as const) {
        live.clear();
        await ledgerWith(live, deliveryOf(random, items, order));
        hashes.push(await stateHash(live, sha256));
      }
      expect(hashes[0]?.settled).toBe(true);
      for (const hash of hashes) expect(hash).toEqual(hashes[0]);
    }),
    { numRuns: HISTORIES, endOnFailure: true },
  );
}, 600_000);

test("a replay of all records says the same as the ledger that took them as they came", async () => {
  await fc.assert(
    fc.asyncProperty(seeds, lengths, async (seed, steps) => {
      const random = randomOf(seed);
      live.clear();
      other.clear();
      await ledgerWith(live, deliveryOf(random, chained(bound(historyOf(random, steps))), "shuffled"));
      const result = await verify(live, { shadow: { ledger: ledgerOn(other, "eu"), database: other }, sha256 });
      expect(result).toMatchObject({ ok: true, differences: [] });
    }),
    { numRuns: HISTORIES, endOnFailure: true },
  );
}, 600_000);

test("a register that was tampered with is found out, with the services concerned", async () => {
  live.clear();
  other.clear();
  await ledgerWith(live, deliveryOf(randomOf(7), chained(bound(historyOf(randomOf(7), 40))), "as accepted"));
  live.sqlite.exec(
    "update service set state = 2 where rowid_of is null".replace(
      "rowid_of is null",
      "(ip, port) = (select ip, port from service where state < 2 limit 1)",
    ),
  );
  const result = await verify(live, { shadow: { ledger: ledgerOn(other, "eu"), database: other }, sha256 });
  expect(result.ok).toBe(false);
  expect(result.differences).toHaveLength(1);
  await expect(verify(live, { shadow: { ledger: ledgerOn(other, "eu"), database: other }, sha256 })).rejects.toMatchObject({
    code: "conflict",
  });
});

test("a rebuild in place, broken off anywhere and with news in between, makes the register that the records say", async () => {
  await fc.assert(
    fc.asyncProperty(seeds, lengths, async (seed, steps) => {
      const random = randomOf(seed);
      const items = chained(bound(historyOf(random, steps)));
      const cut = random.below(items.length);
      other.clear();
      await ledgerWith(other, deliveryOf(random, items, "shuffled"));
      live.clear();
      const { ledger, epoch } = await ledgerWith(live, [...deliveryOf(random, items.slice(0, cut), "shuffled")]);
      const told = live.sqlite.prepare("select count(*) from change").pluck();
      live.sqlite.exec("delete from sighting where port = 80");
      const before = told.get();
      await ledger.startRebuild({ epoch });
      for (let steps = random.below(4); steps > 0; steps--) await ledger.runDeferred({ epoch, sha256, window: 1 });
      for (const group of deliveryOf(random, items.slice(cut), "shuffled")) {
        await ledger.applyPeers({ items: group }, contextAt(epoch, 0));
        if (random.chance(0.3)) await ledger.runDeferred({ epoch, sha256, window: 1 });
        if (random.chance(0.05)) await ledger.startRebuild({ epoch });
      }
      await drain(ledger, epoch, 1 + random.below(3));
      expect(await stateHash(live, sha256)).toEqual(await stateHash(other, sha256));
      if (cut === items.length) expect(told.get()).toBe(before);
      const wrong = live.sqlite
        .prepare("select count(*) from verdict v join service s using (ip, port, proto) where v.state <> s.state")
        .pluck();
      expect(wrong.get()).toBe(0);
      const tally = live.sqlite.prepare("select port, proto, state, n from tally where n > 0 order by 1, 2, 3").all();
      expect(tally).toEqual(
        live.sqlite.prepare("select port, proto, state, count(*) as n from service group by 1, 2, 3 order by 1, 2, 3").all(),
      );
    }),
    { numRuns: HISTORIES, endOnFailure: true },
  );
}, 600_000);
