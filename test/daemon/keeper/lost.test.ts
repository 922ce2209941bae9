import { afterEach, describe, expect, test } from "vitest";
import { until } from "../../bus/until.ts";
import { passTime } from "./passing-time.ts";
import { claim, finish, firstPair, messagesOf, recordKinds, send, services, startJob } from "./scanner-part.ts";
import { startWorld, type World } from "./world.ts";

describe("a scanner that falls silent", () => {
  let world: World | undefined;
  const begin = async (...plans: Parameters<typeof startWorld>): Promise<World> =>
    (world = await startWorld(plans[0], { stoppedClock: true }));
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });
  const count = async (w: World, kind: string): Promise<number> => (await recordKinds(w)).filter((one) => one === kind).length;

  test("is told lost once, and another member runs its shards as a further attempt: the job ends complete", async () => {
    const w = await begin();
    w.startKeeper("k1");
    await passTime(w, 1, ["s1", "s2"]);
    const job = await startJob(w);
    const { assignment } = await claim(w, "s1");
    await passTime(w, 14, ["s2"]);
    expect(await count(w, "scanner-lost")).toBe(0);
    await passTime(w, 3, ["s2"]);
    expect(await count(w, "scanner-lost")).toBe(1);
    expect(await w.ledger.lostScanners()).toMatchObject([{ scanner: "s1", region: "eu" }]);
    const given = await until("the reassignment", async () =>
      (await w.ledger.listShards({ job, nowMs: w.nowMs() })).items.find((one) => one.tile === 0 && one.shard === 1 && one.scanner === "s2"),
    );
    expect(given.attempt).toBe(2);
    await until("its message for the lost one is gone", async () =>
      (await w.bus.queued("eu", "shards.s1.>")).every((subject) => !subject.endsWith(`${job}.0.1.1`)),
    );
    const alive = setInterval(() => void passTime(w, 1, ["s2"]).catch(() => undefined), 100);
    try {
      expect(await finish(w, job, () => [])).toMatchObject({ state: "complete" });
    } finally {
      clearInterval(alive);
    }
    expect(await count(w, "scanner-lost")).toBe(1);
    expect(assignment.key.attempt).toBe(1);
  });

  test("may come back as a zombie: its late report counts, its sightings too, and nothing counts twice", async () => {
    const w = await begin([{ pairsMax: 64 }]);
    w.startKeeper("k1");
    await passTime(w, 1, ["s1", "s2"]);
    const job = await startJob(w);
    const zombie = await claim(w, "s1");
    const own = await claim(w, "s2");
    await send(w.bus, messagesOf(w, { assignment: own.assignment }).report);
    await own.claim.ack();
    await passTime(w, 18, ["s2"]);
    const second = await claim(w, "s2");
    expect(second.assignment).toMatchObject({ scanner: "s2", key: { shard: 1, attempt: 2 }, region: "eu" });
    const late = messagesOf(w, { assignment: zombie.assignment, open: [firstPair(zombie.assignment)] });
    for (const bytes of [late.part, late.report]) if (bytes !== null) expect(await send(w.bus, bytes)).toMatchObject({ ok: true });
    await until("the job is complete by the zombie's report", async () => (await w.ledger.job(job))?.state === "complete");
    expect(await send(w.bus, messagesOf(w, { assignment: second.assignment }).report)).toMatchObject({ ok: true });
    await zombie.claim.ack();
    await second.claim.ack();
    expect(await count(w, "tile-complete")).toBe(1);
    expect(await services(w)).toMatchObject([{ state: "open" }]);
    const [heard] = await w.ledger.lostScanners();
    expect(heard).toBeUndefined();
  });

  test("a shard that was never given to a scanner is not taken from it", async () => {
    const w = await begin([{ pairsMax: 64 }]);
    w.startKeeper("k1");
    await passTime(w, 1, ["s1", "s2"]);
    await startJob(w);
    const { assignment } = await claim(w, "s1");
    const stolen = { ...assignment, scanner: "s2", key: { ...assignment.key, attempt: 2 } };
    expect(await send(w.bus, messagesOf(w, { assignment: stolen }).report)).toMatchObject({ ok: false, retry: false });
  });

  test("when no other member lives, the job says that there is no live scanner, and why again at its deadline", async () => {
    const w = await begin([{ pairsMax: 64 }]);
    w.startKeeper("k1");
    const job = await startJob(w);
    await passTime(w, 20, []);
    const why = await until("the reason", async () => (await w.ledger.job(job))?.why);
    expect(why).toMatch(/no live scanner in group @all; start one .*npm run scanner/);
    expect(await count(w, "reassignment")).toBe(0);
    w.clock.aheadMs += 700_000;
    const ended = await until("the end", async () => ((await w.ledger.job(job))?.state === "incomplete" ? w.ledger.job(job) : null));
    expect(ended?.why).toContain("no live scanner in group @all");
  });

  test("a keeper that was asleep itself tells nobody lost", async () => {
    const w = await begin();
    w.startKeeper("k1");
    await passTime(w, 1, ["s1", "s2"]);
    await startJob(w);
    w.clock.monotonicAheadMs += 120_000;
    await passTime(w, 3, ["s1", "s2"]);
    expect(await count(w, "scanner-lost")).toBe(0);
  });
});
