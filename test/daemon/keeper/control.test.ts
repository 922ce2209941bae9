import { afterEach, describe, expect, test } from "vitest";
import { until } from "../../bus/until.ts";
import { claim, finish, goodEvidence, messagesOf, recordKinds, send, startJob } from "./scanner-part.ts";
import { startWorld, type World } from "./world.ts";

describe("a job under control", () => {
  let world: World | undefined;
  const begin = async (...plans: Parameters<typeof startWorld>): Promise<World> => (world = await startWorld(...plans));
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  test("a paused job gives out nothing, what runs still counts, and a resumed one ends complete", async () => {
    const w = await begin([{}, {}]);
    w.startKeeper("k1");
    const [job, other] = [await startJob(w, "plan-0"), await startJob(w, "plan-1")];
    const { assignment, claim: held } = await claim(w, "s1");
    expect(await w.command("pause-job", { job: assignment.key.job, by: "ann" })).toEqual({ ok: true, result: {} });
    expect(await w.command("pause-job", { job: assignment.key.job, by: "bob" })).toEqual({ ok: true, result: {} });
    const paused = assignment.key.job;
    const running = paused === job ? other : job;
    await until("only the other's work", async () => {
      const subjects = await w.bus.queued("eu", "shards.>");
      return subjects.length > 0 && subjects.every((subject) => subject.includes(running));
    });
    expect(await w.ledger.job(paused)).toMatchObject({ state: "running", paused: true });
    expect((await w.ledger.job(paused))?.why).toContain("ann");
    expect(await send(w.bus, messagesOf(w, { assignment }).report)).toMatchObject({ ok: true });
    await held.ack();
    expect(await finish(w, running)).toMatchObject({ state: "complete" });
    expect((await w.ledger.job(paused))?.state).toBe("running");
    expect(await w.command("resume-job", { job: paused, by: "ann" })).toEqual({ ok: true, result: {} });
    expect(await finish(w, paused)).toMatchObject({ state: "complete", paused: false });
    expect((await recordKinds(w)).filter((kind) => kind === "job-control")).toHaveLength(2);
    expect(await w.command("pause-job", { job: paused })).toMatchObject({ ok: false, code: "conflict" });
    expect(await w.command("pause-job", { job: "0".repeat(64) })).toMatchObject({ ok: false, code: "not-found" });
  });

  test("a paused job can be cancelled, and ends at its deadline like any other", async () => {
    const w = await begin([{}, {}]);
    w.startKeeper("k1");
    const [first, second] = [await startJob(w, "plan-0"), await startJob(w, "plan-1")];
    for (const job of [first, second]) await w.command("pause-job", { job, by: "ann" });
    await w.command("cancel-job", { job: first, reason: "enough" });
    expect(await w.ledger.job(first)).toMatchObject({ state: "incomplete", why: "cancelled: enough" });
    w.clock.aheadMs += 700_000;
    const row = await until("the end", async () => ((await w.ledger.job(second))?.state === "incomplete" ? w.ledger.job(second) : null));
    expect(row?.why).toContain("paused by ann");
  });

  test("canaries of the plan reach the scanner, and a run whose canaries were silent covers nothing though it calls itself complete", async () => {
    const w = await begin([
      {
        pairsMax: 64,
        canaries: [
          { address: "192.0.2.1", port: 80 },
          { address: "192.0.2.2", port: 443 },
        ],
      },
    ]);
    w.startKeeper("k1");
    const job = await startJob(w);
    const { assignment, claim: held } = await claim(w, "s1");
    expect(assignment.canaries).toEqual([
      { address: "192.0.2.1", port: 80 },
      { address: "192.0.2.2", port: 443 },
    ]);
    for (const silent of [{ canariesAfter: { asked: 2, answered: 1 } }, { canariesBefore: { asked: 0, answered: 0 } }]) {
      const evidence = { ...goodEvidence(assignment, 0), ...silent };
      expect(await send(w.bus, messagesOf(w, { assignment, evidence }).report)).toMatchObject({ ok: true });
    }
    await held.ack();
    const shard = (await w.ledger.listShards({ job, nowMs: w.nowMs() })).items.find((one) => one.shard === 1);
    expect(shard).toMatchObject({ state: "waiting", attempt: 2 });
    expect(shard?.problem).toMatch(/canaries/);
    w.clock.aheadMs += 60_000;
    expect(await finish(w, job)).toMatchObject({ state: "complete" });
  });
});
