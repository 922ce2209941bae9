import { afterEach, describe, expect, test } from "vitest";
import { ATTEMPTS_MAX } from "../../../src/ledger/types.ts";
import { until } from "../../bus/until.ts";
import { claim, finish, firstPair, messagesOf, recordKinds, send, services, startJob } from "./scanner-part.ts";
import { planOf, startWorld, type World } from "./world.ts";

describe("a job from start to end", () => {
  let world: World | undefined;
  const begin = async (...plans: Parameters<typeof startWorld>): Promise<World> => (world = await startWorld(...plans));
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  test("a job asked for runs on both scanners, ends complete and puts what was seen into the register", async () => {
    const w = await begin();
    w.startKeeper("k1");
    const job = await startJob(w);
    const row = await finish(w, job, (assignment) => (assignment.key.shard === 1 ? [firstPair(assignment)] : []));
    expect(row).toMatchObject({ state: "complete", tiles: { total: 4, complete: 4, abandoned: 0 } });
    expect((await services(w)).map((service) => service.state)).toEqual(["open", "open", "open", "open"]);
    expect((await recordKinds(w)).filter((kind) => kind === "tile-complete")).toHaveLength(4);
  });

  test("two complete jobs that do not see a service any more close it, one does not", async () => {
    const w = await begin();
    w.startKeeper("k1");
    const seen = await startJob(w);
    await finish(w, seen, (assignment) => (assignment.key.tile === 0 && assignment.key.shard === 1 ? [firstPair(assignment)] : []));
    await finish(w, await startJob(w));
    await until("a first miss", async () => (await services(w))[0]?.state === "missing");
    await finish(w, await startJob(w));
    await until("the closing", async () => (await services(w))[0]?.state === "closed");
  });

  test("a second start while a job of the plan runs is refused and names the running job", async () => {
    const w = await begin();
    w.startKeeper("k1");
    const job = await startJob(w);
    const answer = await w.command("start-job", { planId: "plan-0" });
    expect(answer).toMatchObject({ ok: false, code: "conflict" });
    expect(JSON.stringify(answer)).toContain(job);
    expect(await w.command("start-job", { planId: "nope" })).toMatchObject({ ok: false, code: "not-found" });
    expect(await w.command("start-job", { wrong: 1 })).toMatchObject({ ok: false, code: "invalid" });
    expect((await recordKinds(w)).filter((kind) => kind === "job")).toHaveLength(1);
  });

  test("a plan that was made a moment before it is started is found", async () => {
    const w = await begin();
    const keeper = w.startKeeper("k1");
    await until("the registry was read", () => keeper.status().registryVersion === 1);
    w.state.value = { ...w.state.value, version: 2, plans: [...w.state.value.plans, planOf({ id: "new", name: "new" })] };
    expect(await startJob(w, "new")).toMatch(/^[0-9a-f]{64}$/);
  });

  test("a plan with an interval runs at once and again when the interval has passed, never two at a time", async () => {
    const w = await begin([{ intervalS: 3_600, pairsMax: 64 }]);
    w.startKeeper("k1");
    const first = await until("the first job", async () => (await w.ledger.listJobs({})).items[0]);
    expect(first.cause).toBe("interval");
    w.clock.aheadMs = 0;
    await finish(w, first.id);
    expect((await w.ledger.listJobs({})).items).toHaveLength(1);
    w.clock.aheadMs = 3_600_000;
    await until("the second job", async () => (await w.ledger.listJobs({})).items.length === 2);
  });

  test("a partial report leads to attempt 2 of that shard only, and its sightings count", async () => {
    const w = await begin([{ pairsMax: 64 }]);
    w.startKeeper("k1");
    const job = await startJob(w);
    const { assignment, claim: held } = await claim(w, "s1");
    const { part, report } = messagesOf(w, {
      assignment,
      open: [firstPair(assignment)],
      outcome: { kind: "partial", reasons: ["killed"] },
    });
    for (const bytes of [part, report]) if (bytes !== null) expect(await send(w.bus, bytes)).toMatchObject({ ok: true });
    await held.ack();
    expect(await services(w)).toHaveLength(1);
    w.clock.aheadMs = 60_000;
    const again = await claim(w, "s1");
    expect(again.assignment).toEqual({ ...assignment, key: { ...assignment.key, attempt: 2 } });
    again.claim.nak(0);
    expect(await finish(w, job)).toMatchObject({ state: "complete" });
  });

  test("after twenty attempts a shard is given out no more; the job waits for its deadline and then says why", async () => {
    const w = await begin([{ pairsMax: 64, deadlineS: 7_200 }]);
    w.startKeeper("k1");
    const job = await startJob(w);
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      const { assignment, claim: held } = await claim(w, "s1");
      expect(assignment.key.attempt).toBe(attempt);
      await send(w.bus, messagesOf(w, { assignment, outcome: { kind: "partial", reasons: ["masscan exited with code 1"] } }).report);
      await held.ack();
      // The longest pause between two attempts.
      w.clock.aheadMs += 256_000;
    }
    const shard = await until("the last attempt", async () =>
      (await w.ledger.listShards({ job, nowMs: w.nowMs() })).items.find((one) => one.state === "partial"),
    );
    expect(shard).toMatchObject({ scanner: "s1", attempt: ATTEMPTS_MAX, problem: "masscan exited with code 1" });
    expect(await w.bus.queued("eu", "shards.s1.>")).toEqual([]);
    w.clock.aheadMs += 7_200_000;
    const row = await until("the end", async () => ((await w.ledger.job(job))?.state === "incomplete" ? w.ledger.job(job) : null));
    expect(row?.why).toContain("masscan exited with code 1");
    expect(await w.bus.queued("eu", "shards.s1.>")).toEqual([]);
  });

  test("a cancelled job ends incomplete, its work leaves the queue, scanners are told, and a repeat changes nothing", async () => {
    const w = await begin([{}, {}]);
    w.startKeeper("k1");
    const [job, other] = [await startJob(w, "plan-0"), await startJob(w, "plan-1")];
    await until("queued work of both", async () => (await w.bus.queued("eu", "shards.s1.>").catch(() => [])).length === 2);
    const told: string[] = [];
    w.bus.subscribe("cancel.*", (message) => told.push(message.subject));
    expect(await w.command("cancel-job", { job, reason: "wrong range" })).toEqual({ ok: true, result: {} });
    expect(await w.command("cancel-job", { job, reason: "again" })).toEqual({ ok: true, result: {} });
    expect(await w.ledger.job(job)).toMatchObject({ state: "incomplete", tiles: { total: 4, complete: 0, abandoned: 4 } });
    await until("only the other's work", async () => (await w.bus.queued("eu", "shards.>")).every((subject) => subject.includes(other)));
    await until("both were told", () => told.includes("cancel.s1") && told.includes("cancel.s2"));
    expect((await recordKinds(w)).filter((kind) => kind === "tile-abandoned")).toHaveLength(1);
    expect(await w.command("cancel-job", { job: "0".repeat(64), reason: "" })).toMatchObject({ ok: false, code: "not-found" });
    expect(await finish(w, other)).toMatchObject({ state: "complete" });
  });

  test("a tile that is not complete at the deadline covers nothing", async () => {
    const w = await begin();
    w.startKeeper("k1");
    const seen = await startJob(w);
    await finish(w, seen, (assignment) => (assignment.key.tile === 0 && assignment.key.shard === 1 ? [firstPair(assignment)] : []));
    for (let round = 0; round < 2; round += 1) {
      const job = await startJob(w);
      const { assignment, claim: held } = await claim(w, "s1");
      expect(assignment.key.tile).toBe(0);
      await send(w.bus, messagesOf(w, { assignment }).report);
      await held.ack();
      w.clock.aheadMs += 700_000;
      await until("the end", async () => (await w.ledger.job(job))?.state === "incomplete");
    }
    expect((await services(w))[0]?.state).toBe("open");
  });
});
