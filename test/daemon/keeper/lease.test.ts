import { afterEach, describe, expect, test } from "vitest";
import type { Ledger } from "../../../src/ledger/types.ts";
import { until } from "../../bus/until.ts";
import { claim, finish, firstPair, messagesOf, recordKinds, send, startJob } from "./scanner-part.ts";
import { startWorld, type World } from "./world.ts";

describe("one keeper at a time", () => {
  let world: World | undefined;
  const begin = async (...plans: Parameters<typeof startWorld>): Promise<World> => (world = await startWorld(...plans));
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  test("the second keeper stands by, takes over at once when the first ends in order, and finishes its job", async () => {
    const w = await begin();
    const first = w.startKeeper("k1");
    await until("k1 leads", () => first.status().leader);
    const second = w.startKeeper("k2");
    const job = await startJob(w);
    expect(second.status().leader).toBe(false);
    await first.stop();
    await until("k2 leads", () => second.status().leader);
    expect(await finish(w, job)).toMatchObject({ state: "complete" });
    expect((await recordKinds(w)).filter((kind) => kind === "job")).toHaveLength(1);
  });

  test("a keeper that cannot renew its lease falls silent before another takes over, and writes nothing afterwards", async () => {
    const w = await begin();
    const cut = { off: false };
    const first = w.startKeeper("k1", { ledger: cuttable(w.ledger, cut), leaseTtlMs: 1_000 });
    await until("k1 leads", () => first.status().leader);
    const job = await startJob(w);
    const { assignment, claim: held } = await claim(w, "s1");
    held.nak(0);
    const second = w.startKeeper("k2", { leaseTtlMs: 30_000 });
    cut.off = true;
    await until("k2 leads", () => second.status().leader);
    expect(first.status().leader).toBe(false);
    cut.off = false;
    const { part } = messagesOf(w, { assignment, open: [firstPair(assignment)] });
    if (part === null) throw new Error("no part");
    for (let round = 0; round < 5; round += 1) expect(await send(w.bus, part)).toMatchObject({ ok: true });
    expect(first.status().counters.accepted).toBe(0);
    expect(second.status().counters.accepted).toBe(5);
    expect(await finish(w, job)).toMatchObject({ state: "complete" });
  });

  test("what a stale keeper has still under way is refused by the ledger: asked to send again, nothing stored", async () => {
    const w = await begin();
    const gate = { hold: null as Promise<void> | null };
    const slow: Ledger = { ...w.ledger, accept: async (items, context) => (await gate.hold, w.ledger.accept(items, context)) };
    const first = w.startKeeper("k1", { ledger: slow });
    await until("k1 leads", () => first.status().leader);
    await startJob(w);
    const { assignment, claim: held } = await claim(w, "s1");
    held.nak(60_000);
    const before = await recordKinds(w);
    const { part } = messagesOf(w, { assignment, open: [firstPair(assignment)] });
    if (part === null) throw new Error("no part");
    let open = (): void => undefined;
    gate.hold = new Promise((resolve) => (open = resolve));
    const reply = send(w.bus, part);
    await until(
      "the part waits for its transaction",
      async () =>
        first.status().counters.accepted === 0 &&
        (await w.ledger.takeLease({ holder: "k2", nowMs: w.nowMs() + 60_000, ttlMs: 60_000 })) !== null,
    );
    open();
    expect(await reply).toMatchObject({ ok: false, retry: true });
    expect(await recordKinds(w)).toEqual(before);
    await until("k1 stands by", () => !first.status().leader);
  });

  test("work goes on with the registry's last known state while the registry is down, also after a restart", async () => {
    const w = await begin([{ intervalS: 3_600, pairsMax: 64 }]);
    const first = w.startKeeper("k1");
    await finish(w, (await until("a job", async () => (await w.ledger.listJobs({})).items[0])).id);
    w.state.down = true;
    await first.stop();
    w.clock.aheadMs = 3_600_000;
    const again = w.startKeeper("k1");
    const second = await until("the next job", async () => (await w.ledger.listJobs({ state: "running" })).items[0]);
    expect(again.status().registryVersion).toBe(1);
    expect(await finish(w, second.id)).toMatchObject({ state: "complete" });
  });

  test("a registry state that cannot be understood is not adopted; work goes on with the one before", async () => {
    const w = await begin();
    const keeper = w.startKeeper("k1");
    await until("the registry was read", () => keeper.status().leader && keeper.status().registryVersion === 1);
    w.state.value = { ...w.state.value, version: 2, rangeGroups: [] };
    await until("the problem is said", () => w.lines.some((line) => line.includes("registry cannot be read")));
    expect(keeper.status().registryVersion).toBe(1);
    expect(await finish(w, await startJob(w))).toMatchObject({ state: "complete" });
  });

  test("a keeper that never saw the registry asks scanners and callers to come again", async () => {
    const w = await begin();
    w.state.down = true;
    const keeper = w.startKeeper("k1");
    await until("k1 leads", () => keeper.status().leader);
    expect(await w.ledger.submitCommand("start-job", { planId: "plan-0" }, { nowMs: w.nowMs(), ttlMs: 60_000 })).toBeTypeOf("string");
    await until("the problem is named", () => keeper.status().problems["commands"]?.includes("registry"));
    w.state.down = false;
    await until("the job", async () => (await w.ledger.listJobs({})).items.length === 1);
  });
});

/** A ledger that the keeper cannot reach while `off`. */
function cuttable(ledger: Ledger, cut: { off: boolean }): Ledger {
  const away = () => Promise.reject(new Error("cut off"));
  return {
    ...ledger,
    renewLease: (request) => (cut.off ? away() : ledger.renewLease(request)),
    takeLease: (request) => (cut.off ? away() : ledger.takeLease(request)),
    accept: (items, context) => (cut.off ? away() : ledger.accept(items, context)),
  };
}
