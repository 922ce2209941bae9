import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { Progress } from "../../src/core/messages/bus.ts";
import type { TileAbandoned } from "../../src/core/messages/record.ts";
import type { Report } from "../../src/core/messages/report.ts";
import { ATTEMPTS_MAX, type AcceptItem } from "../../src/ledger/types.ts";
import { contextAt, itemOf, jobSpecOf, partOf, reportOf, sha256, sightingsOf, tileCompleteOf } from "./builders.ts";
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

const abandon = (job: string, tiles: TileAbandoned["tiles"], cause: TileAbandoned["cause"] = "deadline"): AcceptItem =>
  itemOf({ kind: "tile-abandoned", content: { version: 1, job, tiles, cause, detail: "no scanner in time" } });

async function due(perScanner = 2, region = "eu"): Promise<string[]> {
  const open = await keeper.ledger.openAssignments({ region, nowMs: keeper.nowMs, perScanner });
  return open.map(({ tile, shard, scanner, attempt }) => `${scanner} ${tile}/${shard}#${attempt}`);
}

describe("the shards of a job", () => {
  test("are named with their scanners; each scanner of the region gets its first ones", async () => {
    const job = await keeper.plan({ pairsMax: 8 });
    expect(await keeper.ledger.job(job)).toMatchObject({
      state: "running",
      tiles: { total: 4, complete: 0, abandoned: 0 },
      pairs: 32,
      plan: "office",
    });
    expect(await due()).toEqual(["scanner-1 0/1#1", "scanner-2 0/2#1", "scanner-1 1/1#1", "scanner-2 1/2#1"]);
    expect(await due(2, "us")).toEqual([]);
    expect((await keeper.ledger.listShards({ job, nowMs: 0, limit: 3 })).items).toHaveLength(3);
  });

  test("are shared out fairly between jobs", async () => {
    const first = await keeper.plan({ pairsMax: 8, scanners: ["scanner-1"], plannedAtMs: 1 });
    const second = await keeper.plan({ pairsMax: 8, scanners: ["scanner-1"], plannedAtMs: 2, plan: { id: "p2", name: "p2", revision: 0 } });
    const open = await keeper.ledger.openAssignments({ region: "eu", nowMs: keeper.nowMs, perScanner: 2 });
    expect(open.map(({ job, tile }) => [job === first ? "first" : job === second ? "second" : "?", tile])).toEqual([
      ["first", 0],
      ["second", 0],
      ["first", 1],
      ["second", 1],
    ]);
  });

  test("are due again as the next attempt after a partial report and a pause, twenty times at most", async () => {
    const job = await keeper.plan({ pairsMax: 1_000, scanners: ["scanner-1"], deadlineAtMs: keeper.nowMs + 7_200_000 });
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      expect(await due()).toEqual([`scanner-1 0/1#${attempt}`]);
      await keeper.accept(reportOf({ key: { job, tile: 0, shard: 1, attempt }, partial: true }));
      expect(await due()).toEqual([]);
      keeper.nowMs += 256_000;
    }
    expect(await due()).toEqual([]);
    const { items } = await keeper.ledger.listShards({ job, nowMs: keeper.nowMs });
    expect(items).toMatchObject([{ state: "partial", attempt: ATTEMPTS_MAX, problem: "interrupted" }]);
  });

  test("end with a complete report of any attempt, whichever report came last", async () => {
    const job = await keeper.plan({ pairsMax: 1_000, scanners: ["scanner-1"] });
    const key = { job, tile: 0, shard: 1, attempt: 1 };
    await keeper.accept(
      reportOf({ key: { ...key, attempt: 2 }, partial: true }),
      reportOf({ key }),
      reportOf({ key: { ...key, attempt: 3 }, partial: true }),
    );
    expect((await keeper.ledger.listShards({ job, nowMs: 0 })).items).toMatchObject([{ state: "complete", attempt: 1, percent: 100 }]);
    expect(await keeper.ledger.isWanted(key)).toBe(false);
  });

  test("show live progress while it is fresh", async () => {
    const job = await keeper.plan({ pairsMax: 1_000, scanners: ["scanner-1"] });
    const live: Progress = {
      key: { job, tile: 0, shard: 1, attempt: 1 },
      scanner: "scanner-1",
      phase: "probing",
      percent: 41.5,
      ratePps: 990,
      found: 3,
      remainingS: 12,
      sentAtMs: 5,
    };
    await keeper.ledger.putProgress([live], 1_000);
    expect(await keeper.ledger.progress({ job, nowMs: 2_000 })).toEqual([live]);
    expect((await keeper.ledger.listShards({ job, nowMs: 2_000 })).items).toMatchObject([
      { state: "running", percent: 41.5, found: 3, remainingS: 12 },
    ]);
    expect((await keeper.ledger.listShards({ job, nowMs: 20_000 })).items).toMatchObject([{ state: "waiting", percent: null }]);
  });
});

describe("a tile", () => {
  test("can be completed when each shard has a complete report with all its parts", async () => {
    const job = await keeper.plan({ pairsMax: 1_000 });
    const key = (shard: number): Report["key"] => ({ job, tile: 0, shard, attempt: 1 });
    const part = partOf(key(1), "run", 0, sightingsOf(["192.0.2.1:80"]));
    const first = reportOf({ key: key(1), run: "run", parts: [part] });
    const second = reportOf({ key: key(2), run: "other" });
    await keeper.accept(first);
    expect(await keeper.ledger.completableTiles({ home: "eu", limit: 10 })).toEqual([]);
    await keeper.accept(second);
    expect(await keeper.ledger.completableTiles({ home: "eu", limit: 10 })).toEqual([]);
    await keeper.accept(part);
    const tiles = await keeper.ledger.completableTiles({ home: "eu", limit: 10 });
    expect(tiles).toEqual([
      {
        job,
        tile: 0,
        reports: [
          { shard: 1, id: first.id },
          { shard: 2, id: second.id },
        ],
      },
    ]);
    expect(await keeper.ledger.completableTiles({ home: "us", limit: 10 })).toEqual([]);
    await keeper.accept(tileCompleteOf(job, 0, [first, second]));
    expect(await keeper.ledger.completableTiles({ home: "eu", limit: 10 })).toEqual([]);
    expect(await keeper.ledger.job(job)).toMatchObject({ state: "complete", endedAtMs: keeper.nowMs });
  });

  test("that is abandoned ends the job incomplete, with the reason, and nothing of it is due", async () => {
    const job = await keeper.plan({ pairsMax: 8 });
    expect(await keeper.ledger.openTiles(job)).toEqual([{ first: 0, last: 3 }]);
    const reports = [1, 2].map((shard) => reportOf({ key: { job, tile: 1, shard, attempt: 1 }, run: `r${shard}` }));
    await keeper.accept(...reports);
    await keeper.accept(tileCompleteOf(job, 1, reports));
    expect(await keeper.ledger.openTiles(job)).toEqual([
      { first: 0, last: 0 },
      { first: 2, last: 3 },
    ]);
    expect(await keeper.ledger.planRuns()).toMatchObject([{ planId: "plan-1", running: [{ job, home: "eu" }] }]);
    await keeper.accept(abandon(job, await keeper.ledger.openTiles(job)));
    expect(await keeper.ledger.job(job)).toMatchObject({
      state: "incomplete",
      why: "deadline: no scanner in time",
      tiles: { total: 4, complete: 1, abandoned: 3 },
    });
    expect(await due()).toEqual([]);
    expect(await keeper.ledger.runningJobs()).toEqual([]);
    expect(await keeper.ledger.planRuns()).toMatchObject([{ planId: "plan-1", running: [] }]);
    expect((await keeper.ledger.listTiles({ job })).items.map(({ state }) => state)).toEqual([
      "abandoned",
      "complete",
      "abandoned",
      "abandoned",
    ]);
  });

  test("has the same state when its records came before its job", async () => {
    const job = itemOf({ kind: "job", content: jobSpecOf({ pairsMax: 8 }) });
    const reports = [1, 2].map((shard) => reportOf({ key: { job: job.id, tile: 1, shard, attempt: 1 }, run: `r${shard}` }));
    await keeper.accept(abandon(job.id, [{ first: 0, last: 2 }]), tileCompleteOf(job.id, 1, reports), ...reports);
    await keeper.accept(reportOf({ key: { job: job.id, tile: 3, shard: 1, attempt: 1 }, partial: true }));
    await keeper.accept(job);
    expect((await keeper.ledger.listTiles({ job: job.id })).items.map(({ state, shardsComplete }) => [state, shardsComplete])).toEqual([
      ["abandoned", 0],
      ["complete", 2],
      ["abandoned", 0],
      ["open", 0],
    ]);
    keeper.nowMs += 60_000;
    expect(await due()).toEqual(["scanner-1 3/1#2", "scanner-2 3/2#1"]);
  });
});

describe("a job of thousands of tiles", () => {
  test("is accepted at once, cut in windows by any keeper, and pages", async () => {
    const job = await keeper.plan({
      ranges: ["10.0.0.0/18", "10.128.0.0/18"],
      ports: "1-100",
      pairsMax: 1_000,
      scanners: ["scanner-1", "scanner-2", "scanner-3"],
    });
    const total = 3_277;
    expect(await keeper.ledger.job(job)).toMatchObject({ tiles: { total } });
    expect((await keeper.ledger.openTiles(job)).at(-1)?.last).toBe(total - 1);
    let windows = 0;
    while (await keeper.ledger.runDeferred({ epoch: keeper.epoch, sha256 })) windows++;
    expect(windows).toBeGreaterThan(2);
    const [rows] = await server.database.batch([{ sql: "select count(*) as n, min(n) as first, max(n) as last from tile" }], "read");
    expect({ ...rows?.[0] }).toEqual({ n: total, first: 0, last: total - 1 });
    expect(await keeper.ledger.openTiles(job)).toEqual([{ first: 0, last: total - 1 }]);
    expect(await due(1)).toHaveLength(3);
    const page = await keeper.ledger.listShards({ job, nowMs: 0, limit: 1_000 });
    expect(page.next).toBe("333.1");
  });
});

describe("the inbox", () => {
  test("brings a command to the keeper and its result back, together with the record", async () => {
    const id = await keeper.ledger.submitCommand("start-job", { planId: "p1" }, { nowMs: keeper.nowMs });
    const [command] = await keeper.ledger.takeCommands({ limit: 5, nowMs: keeper.nowMs });
    expect(command).toMatchObject({ id, kind: "start-job", body: { planId: "p1" } });
    expect(await keeper.ledger.awaitCommand(id, 0)).toBeNull();
    const job = itemOf({ kind: "job", content: jobSpecOf() });
    const waiting = keeper.ledger.awaitCommand(id, 5_000);
    await keeper.ledger.accept([job], { ...contextAt(keeper.epoch, keeper.nowMs), finishes: [{ id, result: { job: job.id } }] });
    expect(await waiting).toEqual({ ok: true, result: { job: job.id } });
    expect(await keeper.ledger.takeCommands({ limit: 5, nowMs: keeper.nowMs })).toEqual([]);
  });

  test("ends commands that no keeper came to in time", async () => {
    const { ledger, epoch, nowMs } = keeper;
    const late = await ledger.submitCommand("cancel-job", { job: "x" }, { nowMs, ttlMs: 5_000 });
    expect(await ledger.takeCommands({ limit: 5, nowMs: nowMs + 6_000 })).toEqual([]);
    await ledger.finishCommand("none", { ok: true, result: null }, { epoch, nowMs: nowMs + 6_000 });
    expect(await ledger.awaitCommand(late, 0)).toMatchObject({ ok: false, code: "unavailable" });
  });
});
