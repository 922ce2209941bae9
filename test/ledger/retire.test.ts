import fc from "fast-check";
import { afterAll, expect, test } from "vitest";
import { chainHash } from "../../src/core/statement.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import type { AcceptItem, PeerItem } from "../../src/ledger/types.ts";
import { sha256, sightingsOf, uploadOf } from "./builders.ts";
import { bound, drain } from "./delivered.ts";
import { historyOf, randomOf } from "./history.ts";
import { openMemoryDatabase } from "./memory-database.ts";
import { asSaid, TestRegion } from "./regions.ts";

const databases = [openMemoryDatabase(), openMemoryDatabase(), openMemoryDatabase()];
const [A, B, D] = ["a", "b", "d"].map((letter) => letter.repeat(32)) as [string, string, string];
const SIGNATURE = "B".repeat(86);
const SERVICE = "192.0.2.1:80";

afterAll(() => databases.forEach((database) => database.close()));

const seen = (source: string, service = SERVICE): AcceptItem => uploadOf(sightingsOf([service]), source);
const others = (count: number, name: string): AcceptItem[] =>
  Array.from({ length: count }, (_, index) => seen(`${name}${index}`, "192.0.2.200:80"));
const logOf = (region: TestRegion, log: string): Promise<PeerItem[]> => region.ledger.readLog({ log, from: 0, limit: 256 });
const forkAbove = (above: number) => ({ fork: { above, sha256, sign: () => SIGNATURE } });
const standOf = async (region: TestRegion, log: string) => (await region.ledger.logStands()).find((stand) => stand.log === log);

/** Numbers without holes, links that hold, stamps that rise. */
function expectWhole(items: readonly PeerItem[]): void {
  let previous = "";
  for (const [index, { id, acceptance }] of items.entries()) {
    const { log, rseq, stampMs, judged, chain } = acceptance;
    expect(rseq).toBe(index);
    expect(chain).toBe(chainHash({ log, rseq, previous, id, stampMs, judged }, sha256));
    previous = chain;
  }
}

/** us holds the log of eu up to 7 and a job that was planned on it; eu comes back with its first `kept` records only. */
async function rolledBack(kept: number): Promise<{ eu: TestRegion; us: TestRegion; told: AcceptItem[] }> {
  const told = [seen("old"), ...others(7, "u")];
  const before = await TestRegion.on("eu", "a", databases[2]);
  for (const item of told) await before.accept(item);
  const us = await TestRegion.on("us", "b", databases[1]);
  await us.pull(before);
  expect(await us.ledger.frontier()).toEqual({ [A]: 7 });
  await us.look(["192.0.2.200:80"]);
  expect((await us.states())[SERVICE]).toBe("closed");
  const eu = await TestRegion.on("eu", "a", databases[0]);
  for (const item of told.slice(0, kept)) await eu.accept(item);
  expect((await logOf(eu, A)).map(({ acceptance }) => acceptance.chain)).toEqual(
    (await logOf(before, A)).slice(0, kept).map(({ acceptance }) => acceptance.chain),
  );
  return { eu, us, told };
}

test.each([0, 3, 8])(
  "a ledger that comes back with %i of the 8 records that its peers hold of it begins a new log: no fresh sighting is overruled by an old frontier",
  async (kept) => {
    const { eu, us } = await rolledBack(kept);
    expect(await eu.ledger.retireLog(() => D, { epoch: eu.epoch, reason: "restored from a backup" })).toEqual({ log: D });
    expect(await eu.accept(seen("fresh"))).toEqual(["d0"]);
    await us.pull(eu);
    expect((await us.states())[SERVICE]).toBe("open");
    // What the peers still hold of the old log comes back as another log's records.
    await eu.pull(us);
    expect(await standOf(eu, A)).toEqual({ ...(await standOf(us, A)), own: false });
    expect(await standOf(eu, A)).toMatchObject({ region: "eu", prefix: 7, highest: 7 });
    expect((await eu.states())[SERVICE]).toBe("open");
    expect(await us.hash()).toEqual(await eu.hash());
    expect(await us.ledger.frontier()).toMatchObject({ [A]: 7, [D]: 0 });
    // Only a look that knew of the fresh sighting closes it again.
    await us.look(["192.0.2.200:80"]);
    await eu.pull(us);
    expect((await eu.states())[SERVICE]).toBe("closed");
  },
);

test("the end of the old log is not remembered: neither by the keeper that gave it up nor by what it had published", async () => {
  const { eu } = await rolledBack(3);
  await eu.ledger.setPublished({ log: A, rseq: 2, seq: 40 }, { epoch: eu.epoch });
  expect(await eu.accept(seen("just before"))).toEqual(["a3"]);
  await eu.ledger.retireLog(() => D, { epoch: eu.epoch, reason: "test" });
  expect(await eu.ledger.publishedUpto()).toBeNull();
  expect(await eu.accept(seen("fresh"), seen("just before"))).toEqual(["d0", "d1"]);
  expect(await eu.ledger.ensureLog(() => B)).toEqual({ log: D, next: 2 });
  expectWhole(await logOf(eu, D));
  const [rows] = await eu.database.batch([{ sql: "select id, retired from log order by id" }], "read");
  expect(rows).toMatchObject([
    { id: A, retired: "test" },
    { id: D, retired: null },
  ]);
});

test("stamps go on rising in the new log", async () => {
  const { eu } = await rolledBack(3);
  eu.nowMs -= 3_600_000;
  await eu.ledger.retireLog(() => D, { epoch: eu.epoch, reason: "test" });
  await eu.accept(seen("fresh"));
  const [last, first] = [(await logOf(eu, A)).at(-1), (await logOf(eu, D))[0]];
  expect(first?.acceptance.stampMs).toBe((last?.acceptance.stampMs ?? 0) + 1);
});

test("records that stand differently with a peer go over to the new log: nothing is lost, and the fork overrules nothing", async () => {
  const { eu, us } = await rolledBack(3);
  // Nobody noticed: it went on with the old log.
  await eu.accept(seen("forked"), ...others(2, "f"));
  expect((await eu.ledger.chainAt({ log: A, rseq: 3 })) === (await us.ledger.chainAt({ log: A, rseq: 3 }))).toBe(false);
  await expect(us.apply((await logOf(eu, A)).slice(3))).rejects.toMatchObject({ code: "conflict" });
  await eu.ledger.retireLog(() => D, { epoch: eu.epoch, reason: "differs from us", ...forkAbove(2) });
  expect(await standOf(eu, A)).toMatchObject({ prefix: 2, highest: 2, own: false });
  const moved = await logOf(eu, D);
  expect(moved.map(({ statement }) => statement.kind === "upload" && statement.content.source)).toEqual(["forked", "f0", "f1"]);
  expect(moved.every(({ acceptance }) => acceptance.signature === SIGNATURE)).toBe(true);
  expectWhole(moved);
  expect(await eu.accept(seen("later"))).toEqual(["d3"]);
  expectWhole(await logOf(eu, D));
  await drain(eu.ledger, eu.epoch);
  expect((await eu.states())[SERVICE]).toBe("open");
  await us.pull(eu);
  await eu.pull(us);
  // Seen at position 3 of the fork, it would have lain below the frontier of the job of us, which reaches to 7.
  expect([await us.states(), await eu.states()]).toMatchObject([{ [SERVICE]: "open" }, { [SERVICE]: "open" }]);
  expect(await us.hash()).toEqual(await eu.hash());
});

test("a log can be given up again and again, also an empty one and one whose every record stands differently", async () => {
  const { eu, us } = await rolledBack(0);
  await eu.ledger.retireLog(() => D, { epoch: eu.epoch, reason: "one" });
  await eu.accept(...others(3, "x"));
  await eu.ledger.retireLog(() => "e".repeat(32), { epoch: eu.epoch, reason: "two", ...forkAbove(-1) });
  await eu.ledger.retireLog(() => "f".repeat(32), { epoch: eu.epoch, reason: "three" });
  expect(await eu.accept(seen("fresh"))).toEqual(["f0"]);
  expect(await standOf(eu, D)).toMatchObject({ highest: -1, prefix: -1 });
  await drain(eu.ledger, eu.epoch);
  await us.pull(eu);
  await eu.pull(us);
  expect(await us.hash()).toEqual(await eu.hash());
  expect((await us.states())[SERVICE]).toBe("open");
});

test("a log that another keeper gave up is not appended to", async () => {
  const { eu } = await rolledBack(3);
  await eu.accept(seen("x"));
  await ledgerOn(eu.database, "eu").retireLog(() => D, { epoch: eu.epoch, reason: "test" });
  expect(await eu.accept(seen("y"))).toEqual(["d0"]);
});

test("whatever happened before and after, a rolled-back region and its peer agree in the end, and no accepted record is lost", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 5, max: 25 }), fc.boolean(), async (seed, steps, isForked) => {
      const random = randomOf(seed);
      const items = bound(historyOf(random, steps));
      const mine = items.filter(({ acceptance }) => acceptance.log === A).map(asSaid);
      const theirs = items.filter(({ acceptance }) => acceptance.log !== A).map(asSaid);
      const cut = random.below(mine.length + 1);
      const kept = random.below(cut + 1);
      const before = await TestRegion.on("eu", "a", databases[2]);
      for (const item of mine.slice(0, cut)) await before.accept(item);
      const us = await TestRegion.on("us", "b", databases[1]);
      await us.pull(before);
      for (const item of theirs) await us.accept(item);
      const eu = await TestRegion.on("eu", "a", databases[0]);
      for (const item of mine.slice(0, kept)) await eu.accept(item);
      const late = mine.slice(cut);
      if (isForked) for (const item of late.splice(0, random.below(5))) await eu.accept(item);
      await eu.ledger.retireLog(() => D, { epoch: eu.epoch, reason: "test", ...(isForked ? forkAbove(kept - 1) : {}) });
      for (const item of late) await eu.accept(item);
      if (random.chance(0.5)) await drain(eu.ledger, eu.epoch);
      await us.pull(eu);
      await eu.pull(us);
      expect(await us.hash()).toEqual({ ...(await eu.hash()), settled: true });
      expectWhole(await logOf(us, D));
      const [rows] = await us.database.batch([{ sql: "select distinct lower(hex(id)) as id from record" }], "read");
      expect(new Set(rows?.map((row) => row["id"]))).toEqual(new Set([...mine, ...theirs].map(({ id }) => id)));
    }),
    { numRuns: Number(process.env["PORTOLAN_HISTORIES"] ?? 60), endOnFailure: true },
  );
}, 300_000);
