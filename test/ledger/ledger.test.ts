import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { parseRange } from "../../src/core/range.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import { contextAt, itemOf, jobSpecOf, sightingsOf, uploadOf } from "./builders.ts";
import { TestKeeper } from "./ledger-test.ts";
import { startLedgerDatabase } from "./sqld-ledger.ts";

let server: Awaited<ReturnType<typeof startLedgerDatabase>>;
let keeper: TestKeeper;

beforeAll(async () => {
  server = await startLedgerDatabase();
});

afterAll(async () => {
  await server.stop();
});

beforeEach(async () => {
  keeper = await TestKeeper.on(server.database);
});

describe("the life of a service", () => {
  test("is opened by a sighting, closed by two jobs in sequence, and reopened by a new sighting", async () => {
    await keeper.runJob(["192.0.2.1:80", "192.0.2.2:443"]);
    expect(await keeper.states()).toEqual({ "192.0.2.1:80": "open", "192.0.2.2:443": "open" });
    await keeper.runJob(["192.0.2.1:80"]);
    expect(await keeper.states()).toEqual({ "192.0.2.1:80": "open", "192.0.2.2:443": "missing" });
    await keeper.runJob(["192.0.2.1:80"]);
    expect(await keeper.states()).toEqual({ "192.0.2.1:80": "open", "192.0.2.2:443": "closed" });
    expect(await keeper.ledger.counts()).toEqual({ open: 1, missing: 0, closed: 1 });
    await keeper.accept(uploadOf(sightingsOf(["192.0.2.2:443"])));
    expect(await keeper.states()).toEqual({ "192.0.2.1:80": "open", "192.0.2.2:443": "open again" });
    const changes = (await keeper.ledger.listChanges({})).items.filter(({ port }) => port === 443).map(({ kind }) => kind);
    expect(changes).toEqual(["reopened", "closed", "missing", "first-observed"]);
  });

  test("is not touched by a held tile", async () => {
    await keeper.runJob(["192.0.2.1:80"]);
    await keeper.runJob([], { closeAfter: 1, held: "would newly miss 1 of 1" });
    expect(await keeper.states()).toEqual({ "192.0.2.1:80": "open" });
  });

  test("does not end by a job outside whose addresses or ports it lies", async () => {
    await keeper.accept(uploadOf(sightingsOf(["192.0.2.1:22", "192.0.2.200:80", "192.0.2.1:80"])));
    await keeper.runJob([], { closeAfter: 1 });
    expect(await keeper.states()).toEqual({ "192.0.2.1:22": "open", "192.0.2.1:80": "closed", "192.0.2.200:80": "open" });
  });

  test("does not end while a record below the job's frontier is missing", async () => {
    await keeper.runJob(["192.0.2.1:80"]);
    await keeper.plan({ frontier: { ...(await keeper.ledger.frontier()), ["b".repeat(32)]: 3 } });
    expect(await keeper.ledger.holes()).toEqual([{ log: "b".repeat(32), region: "", prefix: -1, highest: 3 }]);
  });
});

describe("accepting", () => {
  test("gives a repeat the number it has, within one call and later", async () => {
    const one = uploadOf(sightingsOf(["192.0.2.1:80"]), "a");
    const two = uploadOf(sightingsOf(["192.0.2.1:80"]), "b");
    expect(await keeper.accept(one, one, two)).toEqual([0, 0, 1]);
    expect(await keeper.accept(two, one)).toEqual([1, 0]);
    expect(await keeper.ledger.frontier()).toEqual({ ["a".repeat(32)]: 1 });
  });

  test("writes nothing for a keeper whose lease another one took", async () => {
    const { ledger, epoch } = keeper;
    expect(await ledger.takeLease({ holder: "k2", nowMs: keeper.nowMs, ttlMs: 1_000 })).toBeNull();
    const taken = await ledger.takeLease({ holder: "k2", nowMs: keeper.nowMs + 60_000, ttlMs: 1_000 });
    expect(taken?.epoch).toBe(epoch + 1);
    await expect(keeper.accept(uploadOf(sightingsOf(["192.0.2.1:80"])))).rejects.toMatchObject({ code: "conflict" });
    expect(await ledger.renewLease({ holder: "k1", epoch, nowMs: keeper.nowMs, ttlMs: 1_000 })).toBe(false);
    expect(await keeper.states()).toEqual({});
  });

  test("is dense when two writers of one lease append at once", async () => {
    const items = Array.from({ length: 12 }, (_, n) => uploadOf(sightingsOf([`192.0.2.1:${n + 1}`])));
    const other = ledgerOn(server.database, "eu");
    const context = contextAt(keeper.epoch, keeper.nowMs);
    const receipts = await Promise.all(items.map((item, n) => (n % 2 === 0 ? keeper.ledger : other).accept([item], context)));
    expect(
      receipts
        .flat()
        .map(({ rseq }) => rseq)
        .toSorted((a, b) => a - b),
    ).toEqual(items.map((_, n) => n));
  });

  test("keeps every receipt when sqld is killed and started again", async () => {
    const own = await startLedgerDatabase();
    try {
      const mine = await TestKeeper.on(own.database);
      await mine.accept(...Array.from({ length: 20 }, (_, n) => uploadOf(sightingsOf([`192.0.2.1:${n + 1}`]), String(n))));
      await own.restart();
      expect(await mine.ledger.frontier()).toEqual({ ["a".repeat(32)]: 19 });
      expect(Object.keys(await mine.states())).toHaveLength(20);
    } finally {
      await own.stop();
    }
  });

  test("stamps records in the order of their numbers even when the clock steps back", async () => {
    await keeper.accept(uploadOf(sightingsOf(["192.0.2.1:80"]), "a"));
    keeper.nowMs -= 3_600_000;
    await keeper.accept(uploadOf(sightingsOf(["192.0.2.1:80"]), "b"));
    const [rows] = await server.database.batch([{ sql: "select stamp_ms from record order by rseq" }], "read");
    const [first, second] = (rows ?? []).map((row) => Number(row["stamp_ms"]));
    expect(second).toBe((first ?? 0) + 1);
  });

  test("refuses another record for a position that it holds", async () => {
    const item = uploadOf(sightingsOf(["192.0.2.1:80"]), "a");
    const acceptance = { log: "b".repeat(32), rseq: 0, stampMs: 1, judged: null, chain: "c".repeat(64), signature: "A".repeat(86) };
    await keeper.ledger.applyPeers({ items: [{ ...item, acceptance, region: "us" }] }, contextAt(keeper.epoch, 0));
    await keeper.ledger.applyPeers({ items: [{ ...item, acceptance, region: "us" }] }, contextAt(keeper.epoch, 0));
    const fork = { ...uploadOf(sightingsOf(["192.0.2.1:81"]), "b"), acceptance, region: "us" };
    await expect(keeper.ledger.applyPeers({ items: [fork] }, contextAt(keeper.epoch, 0))).rejects.toMatchObject({ code: "conflict" });
    expect(await keeper.states()).toEqual({ "192.0.2.1:80": "open" });
  });
});

describe("a record that cannot be read", () => {
  const job = itemOf({ kind: "job", content: jobSpecOf({ ports: "443,80" }) });

  test("is refused when it is our own", async () => {
    await expect(keeper.accept(job)).rejects.toMatchObject({ code: "invalid" });
    expect(await keeper.ledger.frontier()).toEqual({});
  });

  test("leaves no hole when a peer accepted it", async () => {
    const acceptance = { log: "b".repeat(32), rseq: 0, stampMs: 1, judged: null, chain: "c".repeat(64), signature: "A".repeat(86) };
    await keeper.ledger.applyPeers({ items: [{ ...job, acceptance, region: "us" }] }, contextAt(keeper.epoch, 0));
    expect(await keeper.ledger.frontier()).toEqual({ ["b".repeat(32)]: 0 });
    expect(await keeper.ledger.job(job.id)).toBeNull();
  });
});

describe("reading services", () => {
  beforeEach(async () => {
    const texts = Array.from({ length: 30 }, (_, n) => [`192.0.2.${n + 1}:80`, `192.0.2.${n + 1}:443`]).flat();
    await keeper.runJob([...texts, "2001:db8::1:80"]);
  });

  test("pages are complete and without repeats, for each filter", async () => {
    for (const query of [{}, { port: 80 }, { range: parseRange("192.0.2.0/27") }, { state: "open" as const }]) {
      const pages: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await keeper.ledger.listServices({ ...query, limit: 7, ...(cursor === undefined ? {} : { cursor }) });
        pages.push(...page.items.map(({ address, port }) => `${address}:${port}`));
        cursor = page.next ?? undefined;
      } while (cursor !== undefined);
      const whole = await keeper.ledger.listServices({ ...query, limit: 1_000 });
      expect(pages).toEqual(whole.items.map(({ address, port }) => `${address}:${port}`));
      expect(new Set(pages).size).toBe(pages.length);
      expect(pages.length).toBeGreaterThan(20);
    }
  });

  test("a service tells who has seen it and when", async () => {
    const [service] = await keeper.ledger.host("192.0.2.1");
    expect(service).toEqual({
      address: "192.0.2.1",
      protocol: "tcp",
      port: 80,
      state: "open",
      firstSeenMs: 1_700_000_000_000,
      lastSeenMs: 1_700_000_000_000,
      seenBy: ["eu"],
      // The stamp of the last record of its transaction: a part and two reports.
      changedAtMs: keeper.nowMs - 1_000 + 2,
      reopened: false,
      tainted: false,
      known: false,
    });
    expect((await keeper.ledger.portCounts(1))[0]).toEqual({ protocol: "tcp", port: 80, open: 31, missing: 0, closed: 0 });
  });

  test("a cursor or limit that no page gave is refused", async () => {
    await expect(keeper.ledger.listServices({ cursor: "x' or 1=1" })).rejects.toMatchObject({ code: "invalid" });
    await expect(keeper.ledger.listServices({ limit: 0 })).rejects.toMatchObject({ code: "invalid" });
    await expect(keeper.ledger.listJobs({ cursor: "1" })).rejects.toMatchObject({ code: "invalid" });
  });
});
