import { afterEach, describe, expect, test } from "vitest";
import { parseAssignmentSubject, progressSubject } from "../../../src/bus/names.ts";
import { createTurns } from "../../../scanner-daemon/keeper/dispatch.ts";
import type { OpenAssignment } from "../../../src/ledger/types.ts";
import { until } from "../../bus/until.ts";
import { beat, claim, finish, messagesOf, send, startJob } from "./scanner-part.ts";
import { startWorld, type World } from "./world.ts";

describe("the work queue", () => {
  let world: World | undefined;
  const begin = async (...plans: Parameters<typeof startWorld>): Promise<World> => (world = await startWorld(...plans));
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });
  const queuedJobs = async (w: World, scanner: string): Promise<string[]> =>
    (await w.bus.queued("eu", `shards.${scanner}.>`).catch(() => [])).map((subject) => parseAssignmentSubject(subject).key.job);

  test("never more than two assignments of a scanner are in the queue, also while it works", async () => {
    const w = await begin([{ pairsMax: 4 }]);
    w.startKeeper("k1");
    const job = await startJob(w);
    let most = 0;
    const looking = setInterval(
      () =>
        void w.bus.queued("eu", "shards.s1.>").then(
          (all) => (most = Math.max(most, all.length)),
          () => undefined,
        ),
      2,
    );
    try {
      expect(await finish(w, job)).toMatchObject({ state: "complete", tiles: { total: 16, complete: 16 } });
    } finally {
      clearInterval(looking);
    }
    expect(most).toBe(2);
  });

  test("two running jobs get turns: each has one of the two places", async () => {
    const w = await begin([{}, {}]);
    w.startKeeper("k1");
    const first = await startJob(w, "plan-0");
    await until("two of the first job", async () => (await queuedJobs(w, "s1")).length === 2);
    const second = await startJob(w, "plan-1");
    const { assignment, claim: held } = await claim(w, "s1");
    expect(assignment.key.job).toBe(first);
    await send(w.bus, messagesOf(w, { assignment }).report);
    await held.ack();
    await until("one of each", async () => (await queuedJobs(w, "s1")).toSorted().join() === [first, second].toSorted().join());
  });

  test("a queue that lost everything is filled again, and the job ends complete", async () => {
    const w = await begin();
    w.startKeeper("k1");
    const job = await startJob(w);
    await until("queued work", async () => (await w.bus.queued("eu", "shards.>").catch(() => [])).length === 4);
    w.server.wipe();
    await until("work again", async () => (await w.bus.queued("eu", "shards.>").catch(() => [])).length === 4);
    expect(await finish(w, job)).toMatchObject({ state: "complete" });
  });

  test("an assignment that was acknowledged without a report is given out again", async () => {
    const w = await begin([{ pairsMax: 64 }]);
    w.startKeeper("k1");
    await startJob(w);
    const { assignment, claim: held } = await claim(w, "s1");
    await held.ack();
    const again = await claim(w, "s1");
    expect(again.assignment).toEqual(assignment);
  });

  test("a message server that is away delays work and loses none", async () => {
    const w = await begin();
    w.startKeeper("k1");
    const job = await startJob(w);
    w.server.stop();
    await until("the trouble is known", () => w.lines.some((line) => line.includes("dispatch:")));
    w.server.start();
    expect(await finish(w, job)).toMatchObject({ state: "complete" });
  });

  test("a scanner that still works for an ended job is told to stop until it does", async () => {
    const w = await begin();
    w.startKeeper("k1");
    const job = await startJob(w);
    await w.command("cancel-job", { job, reason: "" });
    const told: string[] = [];
    w.bus.subscribe("cancel.s1", ({ data }) => told.push(new TextDecoder().decode(data)));
    const key = { job, tile: 0, shard: 1, attempt: 1 };
    await until("three reminders", () => {
      beat(w, "s1", { running: key });
      return told.length >= 3;
    });
    beat(w, "s1");
    await until("the heartbeat is stored", async () => (await w.ledger.scanners()).some((scanner) => scanner.running === null));
  });

  test("scanners' signs of life reach the ledger; those of strangers and of liars do not", async () => {
    const w = await begin();
    w.startKeeper("k1");
    await until("the heartbeat", async () => {
      beat(w, "s1");
      beat(w, "outsider");
      w.bus.publish("heartbeat.s2", new TextEncoder().encode("garbage"));
      return (await w.ledger.scanners()).length > 0;
    });
    expect((await w.ledger.scanners()).map((scanner) => scanner.scanner)).toEqual(["s1"]);
  });

  test("the progress of a shard reaches the job's page, from the scanner that runs it only", async () => {
    const w = await begin();
    w.startKeeper("k1");
    const job = await startJob(w);
    const key = { job, tile: 0, shard: 1, attempt: 1 };
    const progress = { key, scanner: "s1", phase: "probing", percent: 30, ratePps: 900, found: 2, remainingS: 7, sentAtMs: w.nowMs() };
    const publish = (over: object): void =>
      w.bus.publish(progressSubject("s1", key), new TextEncoder().encode(JSON.stringify({ ...progress, ...over })));
    const shown = await until("the progress", async () => {
      publish({});
      publish({ scanner: "s2", percent: 99 });
      publish({ percent: 101 });
      return (await w.ledger.listShards({ job, nowMs: w.nowMs() })).items.find((shard) => shard.percent !== null);
    });
    expect(shown).toMatchObject({ tile: 0, shard: 1, state: "running", percent: 30, found: 2, remainingS: 7 });
  });
});

describe("turns between jobs", () => {
  const open = (job: string, tile: number): OpenAssignment => ({
    job,
    tile,
    shard: 1,
    attempt: 1,
    plan: job,
    scanner: "s",
    deadlineAtMs: 1,
  });
  const run = async (
    turns: ReturnType<typeof createTurns>,
    candidates: OpenAssignment[],
    queued: OpenAssignment[],
    refuse: OpenAssignment[] = [],
  ) => {
    const sent: OpenAssignment[] = [];
    const send = async (next: OpenAssignment): Promise<boolean> => {
      if (refuse.includes(next)) return false;
      sent.push(next);
      return true;
    };
    await turns({ scanner: "s", candidates, queued, send });
    return sent.map(({ job, tile }) => `${job}${tile}`);
  };

  test("with three jobs and two places every job is served about equally often", async () => {
    const turns = createTurns();
    const served: string[] = [];
    let queued: OpenAssignment[] = [];
    for (let round = 0; round < 30; round += 1) {
      const candidates = ["a", "b", "c"].flatMap((job) => [0, 1, 2].map((tile) => open(job, round * 3 + tile)));
      const [next = ""] = await run(turns, candidates, queued);
      served.push(next.slice(0, 1));
      queued = [open(next.slice(0, 1), 1_000 + round)];
    }
    for (const job of ["a", "b", "c"]) {
      const times = served.filter((one) => one === job).length;
      expect(times).toBeGreaterThanOrEqual(9);
      expect(times).toBeLessThanOrEqual(11);
    }
  });

  test("what lies in the queue is not sent again, and what could not be added takes no place", async () => {
    const [first, second, third] = [open("a", 0), open("a", 1), open("a", 2)];
    expect(await run(createTurns(), [first, second, third], [first])).toEqual(["a1"]);
    expect(await run(createTurns(), [first, second, third], [], [first])).toEqual(["a1", "a2"]);
    expect(await run(createTurns(), [first], [second, third])).toEqual([]);
  });
});
