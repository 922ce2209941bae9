import { afterEach, describe, expect, test } from "vitest";
import { sha256Hex } from "../../../src/bus/keys.node.ts";
import { parseRange } from "../../../src/core/range.ts";
import { tilingOf } from "../../../src/core/tile.ts";
import type { Plan, RegistryState } from "../../../src/registry/types.ts";
import { until } from "../../bus/until.ts";
import { regionOf } from "../../registry/harness.ts";
import { passTime } from "./passing-time.ts";
import { beat, claim, firstPair, messagesOf, recordKinds, send, startJob } from "./scanner-part.ts";
import { newSeeds, registryState, startWorld, type World } from "./world.ts";

let eu: World;
let us: World;

/** s1 is eu's scanner, s2 is us's; records travel only when the test copies them. */
async function begin(plan: Partial<Plan> = {}, stoppedClock = true): Promise<void> {
  const seeds = newSeeds();
  const base = registryState(seeds, [{ pairsMax: 64, homes: ["eu", "us"], ...plan }]);
  const registry: RegistryState = {
    ...base,
    regions: [regionOf("eu"), regionOf("us")],
    scanners: base.scanners.map((scanner) => ({ ...scanner, region: scanner.name === "s1" ? "eu" : "us" })),
  };
  [eu, us] = await Promise.all([
    startWorld([], { seeds, registry, stoppedClock }),
    startWorld([], { seeds, registry, stoppedClock, region: "us" }),
  ]);
  eu.startKeeper("k-eu");
  us.startKeeper("k-us");
  for (const world of [eu, us]) await until("its own log", async () => (await world.ledger.logStands()).some(({ own }) => own), 30_000);
}

afterEach(async () => {
  await Promise.all([eu, us].map((world) => world?.stop()));
});

/** What replication does: everything of `from`'s own log that `to` lacks. */
async function copy(from: World, to: World): Promise<void> {
  const own = (await from.ledger.logStands()).find((stand) => stand.own);
  if (own === undefined) return;
  const held = (await to.ledger.logStands()).find(({ log }) => log === own.log)?.prefix ?? -1;
  const items = await from.ledger.readLog({ log: own.log, from: held + 1, limit: 256 });
  if (items.length === 0) return;
  const [rows] = await to.store.database.batch([{ sql: "select epoch from keeper" }], "read");
  const epoch = Number(rows?.[0]?.["epoch"]);
  await to.ledger.applyPeers({ items }, { epoch, nowMs: to.nowMs(), sha256: sha256Hex });
}

const exchange = async (): Promise<void> => {
  await copy(eu, us);
  await copy(us, eu);
};

async function count(world: World, kind: string): Promise<number> {
  return (await recordKinds(world)).filter((one) => one === kind).length;
}

async function bothLive(): Promise<void> {
  await passTime(eu, 1, ["s1"]);
  await passTime(us, 1, ["s2"]);
  await until("us tells what s2 can run", async () => (await count(us, "scanner-heard")) === 1);
  await exchange();
}

describe("a job of eu with scanners of eu and us", () => {
  test("is shared: each keeper gives out its own scanner's shards, signed by itself, and eu completes the tile from both reports", async () => {
    await begin();
    await bothLive();
    expect(await eu.ledger.scannerAbilities()).toMatchObject([{ scanner: "s1" }, { scanner: "s2", region: "us", engines: ["connect"] }]);
    const job = await startJob(eu);
    const own = await claim(eu, "s1");
    await copy(eu, us);
    const other = await claim(us, "s2");
    expect([own.assignment.key.shard, other.assignment.key.shard]).toEqual([1, 2]);
    expect(other.assignment).toMatchObject({ region: "us", key: { job }, shardCount: 2 });
    // A scanner of us is no business of eu's.
    const { report } = messagesOf(us, { assignment: other.assignment });
    expect(await send(eu.bus, report)).toMatchObject({ ok: false });
    const seen = firstPair(other.assignment);
    const messages = messagesOf(us, { assignment: other.assignment, open: [seen] });
    for (const bytes of [messages.part, messages.report])
      if (bytes !== null) expect(await send(us.bus, bytes, "us")).toMatchObject({ ok: true });
    expect(await send(eu.bus, messagesOf(eu, { assignment: own.assignment }).report)).toMatchObject({ ok: true });
    expect((await us.ledger.job(job))?.state).toBe("running");
    await copy(us, eu);
    await until("eu completes its job", async () => (await eu.ledger.job(job))?.state === "complete", 30_000);
    await copy(eu, us);
    await until("us knows", async () => (await us.ledger.job(job))?.state === "complete", 30_000);
    expect([await count(us, "tile-complete"), await count(eu, "tile-complete")]).toEqual([1, 1]);
    for (const { ledger } of [eu, us]) expect((await ledger.listServices({})).items).toMatchObject([{ seenBy: ["us"], state: "open" }]);
    // Shards that both shared say nothing about one of them.
    expect((await eu.ledger.listServices({ vantage: "disagree" })).items).toEqual([]);
  }, 120_000);

  test("goes on when us loses its scanner: eu gives the shard to its own; when the scanner is back, eu knows", async () => {
    await begin();
    await bothLive();
    const job = await startJob(eu);
    await copy(eu, us);
    await claim(us, "s2");
    await passTime(us, 17, []);
    await until("us tells that s2 is lost", async () => (await count(us, "scanner-lost")) === 1);
    await copy(us, eu);
    expect(await eu.ledger.lostScanners()).toMatchObject([{ scanner: "s2", region: "us" }]);
    await passTime(eu, 3, ["s1"]);
    const given = await until("the reassignment", async () =>
      (await eu.ledger.listShards({ job, nowMs: eu.nowMs() })).items.find(({ shard, scanner }) => shard === 2 && scanner === "s1"),
    );
    expect(given.attempt).toBe(2);
    await copy(eu, us);
    await passTime(us, 2, []);
    expect((await us.bus.queued("us", "shards.s2.>")).length).toBe(0);
    await passTime(us, 2, ["s2"]);
    await until("us tells that s2 is back", async () => {
      const said = (await us.ledger.scannerAbilities()).find(({ scanner }) => scanner === "s2");
      return said !== undefined && said.lostAtMs !== null && said.saidAtMs > said.lostAtMs;
    });
    const told = await count(us, "scanner-heard");
    await copy(us, eu);
    expect(await eu.ledger.lostScanners()).toEqual([]);
    await passTime(us, 3, ["s2"]);
    expect(await count(us, "scanner-heard")).toBe(told);
  }, 120_000);

  test("is given back by eu to a scanner of us when eu's own is lost: us gives it out as the further attempt", async () => {
    await begin();
    await bothLive();
    const job = await startJob(eu);
    await copy(eu, us);
    const first = await claim(us, "s2");
    expect(await send(us.bus, messagesOf(us, { assignment: first.assignment }).report, "us")).toMatchObject({ ok: true });
    await first.claim.ack();
    await copy(us, eu);
    await passTime(eu, 19, []);
    await until("the reassignment", async () => (await count(eu, "reassignment")) === 1);
    await copy(eu, us);
    const second = await claim(us, "s2");
    expect(second.assignment).toMatchObject({ scanner: "s2", region: "us", key: { job, shard: 1, attempt: 2 } });
    expect(await send(us.bus, messagesOf(us, { assignment: second.assignment }).report, "us")).toMatchObject({ ok: true });
    await copy(us, eu);
    await until("eu completes its job", async () => (await eu.ledger.job(job))?.state === "complete", 30_000);
  }, 120_000);

  test("knows from us's keeper what us's scanner can run: a masscan plan is not given to a scanner without masscan", async () => {
    await begin({ engine: "masscan" });
    await bothLive();
    beat(eu, "s1", { engines: ["masscan", "connect"], masscanVersion: "1.3.2" });
    await until("eu heard s1", async () => (await eu.ledger.scanners()).length === 1);
    const answer = await eu.command("start-job", { planId: "plan-0" });
    expect(answer).toMatchObject({ ok: false, message: expect.stringMatching(/s2/) });
  }, 120_000);
});

describe("a plan whose home is silent", () => {
  test("is taken over by the next home when it is overdue, once; the home's return brings no second running job of one region", async () => {
    await begin({ intervalS: 3_600, takeoverAfterS: 600 });
    await bothLive();
    const first = await until("eu plans", async () => (await eu.ledger.listJobs({})).items[0], 30_000);
    await copy(eu, us);
    const refused = await us.command("start-job", { planId: "plan-0" });
    expect(refused).toMatchObject({ ok: false, message: expect.stringMatching(/planned by region eu/) });
    // eu is cut off: nothing comes from it any more, and its job runs on there.
    us.clock.aheadMs += 4_100_000;
    await passTime(us, 2, ["s2"]);
    expect((await us.ledger.listJobs({})).items).toHaveLength(1);
    us.clock.aheadMs += 200_000;
    const taken = await until("us plans", async () => (await us.ledger.listJobs({})).items.find(({ home }) => home === "us"), 30_000);
    expect(taken.plan).toBe("plan0");
    await passTime(us, 3, ["s2"]);
    expect((await us.ledger.listJobs({})).items.filter(({ home }) => home === "us")).toHaveLength(1);
    eu.clock.aheadMs += 300_000;
    await copy(us, eu);
    await passTime(eu, 3, ["s1"]);
    const jobs = (await eu.ledger.listJobs({})).items;
    expect(jobs.map(({ home }) => home).toSorted()).toEqual(["eu", "us"]);
    expect(first.home).toBe("eu");
  }, 120_000);
});

test("a deny in a region that is cut off from a job's home stops its own scanners at once; the home ends the tile when the record arrives", async () => {
  await begin({ pairsMax: 16 });
  await bothLive();
  const job = await startJob(eu);
  await exchange();
  const spec = await us.ledger.jobSpec(job);
  const hit = spec === null ? [] : tilingOf(spec).tilesWith({ ranges: [parseRange("192.0.2.5")], ports: null });
  expect(hit).toHaveLength(1);
  const tile = hit[0]?.first ?? -1;
  const queued = async (): Promise<string[]> => us.bus.queued("us", "shards.s2.>").catch(() => []);
  await until("work for s2", async () => (await queued()).length === 2);
  us.state.down = true;
  expect(await us.command("deny", { ranges: ["192.0.2.5"], reason: "complaint", by: "ann" })).toMatchObject({ ok: true });
  await until("other work only", async () => {
    const subjects = await queued();
    return subjects.length === 2 && subjects.every((subject) => !subject.includes(`.${job}.${tile}.`));
  });
  expect(await us.ledger.tileState(job, tile)).toBe("open");
  await exchange();
  await until("the end of the tile", async () => (await eu.ledger.tileState(job, tile)) === "abandoned");
  await exchange();
  expect(await us.ledger.tileState(job, tile)).toBe("abandoned");
  const all = { only: "all", nowMs: eu.nowMs() } as const;
  expect(await eu.ledger.listDenies(all)).toEqual(await us.ledger.listDenies(all));
});
