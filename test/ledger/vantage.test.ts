import { afterAll, beforeEach, expect, test } from "vitest";
import { filterOf } from "../../src/api/search.ts";
import { withDefaults } from "../../src/core/filter/filter.ts";
import { parseRange } from "../../src/core/range.ts";
import type { AcceptItem, ServiceQuery } from "../../src/ledger/types.ts";
import { MARK_SILENT } from "../../src/ledger/vantage.ts";
import {
  authorOf,
  itemOf,
  jobSpecOf,
  keyOf,
  partOf,
  probeOf,
  reportOf,
  revokeOf,
  sightingsOf,
  tileCompleteOf,
  uploadOf,
} from "./builders.ts";
import { drain } from "./delivered.ts";
import { openMemoryDatabase } from "./memory-database.ts";
import { START_MS, TestRegion } from "./regions.ts";

const databases = [openMemoryDatabase(), openMemoryDatabase(), openMemoryDatabase()];
let eu: TestRegion;
let us: TestRegion;

afterAll(() => databases.forEach((database) => database.close()));
beforeEach(async () => {
  [eu, us] = [await TestRegion.on("eu", "a", databases[0]), await TestRegion.on("us", "b", databases[1])];
  // Both know that the other exists.
  await eu.accept(uploadOf(sightingsOf(["192.0.2.200:1"]), "eu"));
  await us.accept(uploadOf(sightingsOf(["192.0.2.200:1"]), "us"));
  await exchange();
});

async function copy(from: TestRegion, to: TestRegion, log: string): Promise<void> {
  await to.apply(await from.ledger.readLog({ log: log.repeat(32), from: 0, limit: 256 }));
  await drain(to.ledger, to.epoch);
}

/** Each gets what the other has, and does what was put off. */
async function exchange(): Promise<void> {
  for (const region of [eu, us]) await drain(region.ledger, region.epoch);
  await copy(eu, us, "a");
  await copy(us, eu, "b");
}

type Look = {
  readonly shards: readonly ("eu" | "us")[];
  readonly seen?: readonly string[];
  readonly plannedAtMs?: number;
  readonly held?: string;
};
let serial = 0;

/** A job of one tile of eu's, whose shards run in these regions; the first one's sees `seen`. */
async function look({ shards, seen = [], plannedAtMs = START_MS + ++serial, held }: Look): Promise<{ job: string; complete: AcceptItem }> {
  const scanners = shards.map((_, index) => `scanner-${index + 1}`);
  const members = scanners.map((scanner, index) => ({ scanner, region: shards[index] ?? "eu", publicKey: keyOf("A"), place: index + 1 }));
  const spec = jobSpecOf({ scanners, members, pairsMax: 1_000, plannedAtMs, frontier: await eu.ledger.frontier() });
  const job = itemOf({ kind: "job", content: spec });
  await eu.accept(job);
  await exchange();
  const reports: AcceptItem[] = [];
  for (const [index, region] of shards.entries()) {
    const key = { job: job.id, tile: 0, shard: index + 1, attempt: 1 };
    const run = `${job.id} ${index}`;
    const parts = index > 0 || seen.length === 0 ? [] : [partOf(key, run, 0, sightingsOf([...seen], START_MS / 1_000))];
    const made = reportOf({ key, run, parts });
    const content = made.statement.kind === "report" ? { ...made.statement.content, scanner: scanners[index] ?? "" } : null;
    const report = content === null ? made : { ...itemOf({ kind: "report", content }), author: authorOf(content.scanner, keyOf("A")) };
    await (region === "eu" ? eu : us).accept(...parts, report);
    reports.push(report);
  }
  await exchange();
  const complete = tileCompleteOf(job.id, 0, reports, held ?? null);
  await eu.accept(complete);
  await exchange();
  return { job: job.id, complete };
}

const S = { address: "192.0.2.1", protocol: "tcp", port: 80 } as const;

/** What both regions list; a search by filter has to find the same. */
async function disagreeing(query: ServiceQuery = {}): Promise<string[][]> {
  return Promise.all(
    [eu, us].map(async ({ ledger }) => {
      const { items } = await ledger.listServices({ vantage: "disagree", ...query });
      const filter = withDefaults(filterOf({ vantage: "disagree", port: query.port, state: query.state, known: query.known }));
      const found = await ledger.search({ filter, groups: new Map(), nowMs: 0, plans: [], limit: query.limit ?? 100 });
      if (query.range === undefined && query.cursor === undefined) expect(found.items).toEqual(items);
      return items.map(({ address, port }) => `${address}:${port}`);
    }),
  );
}

test("open from eu and missed by a complete look of us alone: both regions say so, with the times and the job", async () => {
  await look({ shards: ["eu"], seen: ["192.0.2.1:80", "192.0.2.2:80"] });
  expect(await disagreeing()).toEqual([[], []]);
  const { job } = await look({ shards: ["us"], seen: ["192.0.2.2:80"] });
  expect(await disagreeing()).toEqual([["192.0.2.1:80"], ["192.0.2.1:80"]]);
  for (const { ledger } of [eu, us]) {
    const [said] = await ledger.vantages([S]);
    expect(said).toEqual([
      { region: "eu", says: "open", lastSeenMs: START_MS, missed: null },
      { region: "us", says: "silent", lastSeenMs: null, missed: { atMs: expect.any(Number), by: "look", job } },
    ]);
    expect(await ledger.countKnown({ vantage: "disagree" })).toBe(0);
  }
});

test("a tile that both regions' scanners shared says nothing about either", async () => {
  await look({ shards: ["eu"], seen: ["192.0.2.1:80"] });
  await look({ shards: ["us", "eu"] });
  expect(await disagreeing()).toEqual([[], []]);
});

test("a held tile says nothing until it is released", async () => {
  await look({ shards: ["eu"], seen: ["192.0.2.1:80"] });
  await look({ shards: ["us"], held: "too many" });
  expect(await disagreeing()).toEqual([[], []]);
});

test("a look that was planned before anybody else had seen the service says nothing", async () => {
  await look({ shards: ["eu"], seen: ["192.0.2.1:80"] });
  await look({ shards: ["us"], plannedAtMs: START_MS - 1 });
  expect(await disagreeing()).toEqual([[], []]);
});

test("the disagreement ends when us sees it, and when eu's own look misses it too", async () => {
  await look({ shards: ["eu"], seen: ["192.0.2.1:80", "192.0.2.3:80"] });
  await look({ shards: ["us"] });
  expect((await disagreeing())[0]).toEqual(["192.0.2.1:80", "192.0.2.3:80"]);
  await look({ shards: ["us"], seen: ["192.0.2.1:80"] });
  expect((await disagreeing({ state: "all" }))[1]).toEqual(["192.0.2.3:80"]);
  await look({ shards: ["us"], seen: ["192.0.2.3:80", "192.0.2.1:80"] });
  await look({ shards: ["eu"] });
  expect((await disagreeing({ state: "all" }))[0]).toEqual(["192.0.2.1:80", "192.0.2.3:80"]);
  const [said] = await us.ledger.vantages([S]);
  expect(said?.map(({ region, says }) => `${region} ${says}`)).toEqual(["eu silent", "us open"]);
});

test("an upload lends no vantage", async () => {
  await eu.accept(uploadOf(sightingsOf(["192.0.2.1:80"]), "cron"));
  await look({ shards: ["us"] });
  expect(await disagreeing()).toEqual([[], []]);
  expect(await eu.ledger.vantages([S])).toEqual([[]]);
});

test("a confirm of us that was answered closed is a look of us; one whose key is revoked is none", async () => {
  const { job } = await look({ shards: ["eu"], seen: ["192.0.2.1:80"] });
  const frontier = await us.ledger.frontier();
  await us.accept(probeOf({ job, frontier, answers: { "192.0.2.1:80": "closed" }, region: "us", scanner: "scanner-9" }));
  await exchange();
  expect(await disagreeing({ state: "all" })).toEqual([["192.0.2.1:80"], ["192.0.2.1:80"]]);
  expect((await eu.ledger.vantages([S]))[0]?.[1]).toMatchObject({ region: "us", says: "silent", missed: { by: "probe", job } });
  await us.accept(revokeOf(keyOf("A"), "scanner-9"));
  await exchange();
  expect(await disagreeing({ state: "all" })).toEqual([[], []]);
});

test("a third ledger that gets the records in another order says the same, and a rebuilt one too", async () => {
  await look({ shards: ["eu"], seen: ["192.0.2.1:80", "192.0.2.2:443"] });
  await look({ shards: ["us"], seen: ["192.0.2.2:443"] });
  const third = await TestRegion.on("ap", "c", databases[2]);
  const logs = await Promise.all([
    us.ledger.readLog({ log: "b".repeat(32), from: 0, limit: 256 }),
    us.ledger.readLog({ log: "a".repeat(32), from: 0, limit: 256 }),
  ]);
  for (const items of logs) for (const item of items) await third.apply([item]);
  await drain(third.ledger, third.epoch, 1);
  const keys = [S, { ...S, address: "192.0.2.2", port: 443 }];
  const expected = await eu.ledger.vantages(keys);
  expect(await third.ledger.vantages(keys)).toEqual(expected);
  await third.ledger.startRebuild({ epoch: third.epoch });
  await drain(third.ledger, third.epoch, 1);
  expect(await third.ledger.vantages(keys)).toEqual(expected);
});

test("pages and filters of the list go on where they were", async () => {
  const all = [1, 2, 3, 4, 5].flatMap((host) => [`192.0.2.${host}:80`, `192.0.2.${host}:443`]);
  await look({ shards: ["eu"], seen: all });
  await look({ shards: ["us"] });
  const got: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await us.ledger.listServices({ vantage: "disagree", limit: 3, ...(cursor === undefined ? {} : { cursor }) });
    got.push(...page.items.map(({ address, port }) => `${address}:${port}`));
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
  expect(new Set(got)).toEqual(new Set(all));
  expect(got).toHaveLength(all.length);
  expect((await disagreeing({ port: 443, range: parseRange("192.0.2.2-192.0.2.3") }))[0]).toEqual(["192.0.2.2:443", "192.0.2.3:443"]);
});

test("marking walks ranges and keys by their indexes", async () => {
  const [plan] = (await databases[0]?.batch([{ sql: `explain query plan ${MARK_SILENT}`, args: ["00", "ff", "00"] }], "read")) ?? [];
  const steps = (plan ?? []).map((row) => String(row["detail"]));
  expect(steps.filter((step) => step.startsWith("SCAN"))).toEqual([]);
});
