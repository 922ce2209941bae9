import { afterEach, describe, expect, test } from "vitest";
import { chooseScanners } from "../../../scanner-daemon/keeper/confirm-choice.ts";
import { signText } from "../../../src/bus/keys.node.ts";
import type { ConfirmOrder } from "../../../src/core/messages/probe.ts";
import { confirmOrderSignedText } from "../../../src/core/statement.ts";
import { until } from "../../bus/until.ts";
import { probeMessage, probeOf, takeOrders } from "./confirm-part.ts";
import { passTime } from "./passing-time.ts";
import { finish, firstPair, recordKinds, send, services, startJob } from "./scanner-part.ts";
import { startWorld, type World } from "./world.ts";

describe("confirm orders", () => {
  let world: World | undefined;
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  /** s1 has seen one service, and the next job has missed it. */
  const missingService = async (): Promise<{ w: World; job: string; state: () => Promise<string | undefined> }> => {
    const w = await startWorld([{ pairsMax: 64, closeAfter: 1, confirm: true }], { stoppedClock: true });
    world = w;
    w.startKeeper("k1");
    const seen = await startJob(w);
    await finish(w, seen, (assignment) => (assignment.key.shard === 1 ? [firstPair(assignment)] : []));
    const job = await startJob(w);
    await finish(w, job);
    const state = async (): Promise<string | undefined> => (await services(w))[0]?.state;
    await until("the miss", async () => (await state()) === "missing");
    return { w, job, state };
  };
  const firstOrder = async (w: World, orders: readonly ConfirmOrder[]): Promise<ConfirmOrder> => {
    for (let second = 0; second < 5 && orders.length === 0; second += 1) await passTime(w, 1, ["s1", "s2"]);
    return until("an order", () => orders[0]);
  };

  test("go to the scanner that last sighted the service, with a frontier that holds the missing job's tile-complete", async () => {
    const { w, job, state } = await missingService();
    const [own, other] = [takeOrders(w, "s1"), takeOrders(w, "s2")];
    const order = await firstOrder(w, own.orders);
    expect(order).toMatchObject({ job, region: "eu", scanner: "s1", basis: "sighter", engine: "connect" });
    expect(order.targets).toEqual([{ address: "192.0.2.0", protocol: "tcp", port: 80 }]);
    const records = (await recordKinds(w)).length;
    expect(Object.values(order.frontier)).toEqual([records - 1]);
    expect(await state()).toBe("missing");
    expect(await send(w.bus, probeMessage(w, probeOf(order, "filtered")))).toMatchObject({ ok: true });
    await until("the closing", async () => (await state()) === "closed");
    await passTime(w, 3, ["s1", "s2"]);
    expect([own.orders.length, other.orders.length]).toEqual([1, 0]);
  });

  test("are repeated when no probe comes within a minute, and not before", async () => {
    const { w } = await missingService();
    const { orders } = takeOrders(w, "s1");
    await firstOrder(w, orders);
    await passTime(w, 58, ["s1", "s2"]);
    expect(orders).toHaveLength(1);
    await passTime(w, 4, ["s1", "s2"]);
    expect(orders).toHaveLength(2);
    expect(new Set(orders.map(({ id }) => id)).size).toBe(2);
  }, 60_000);

  test("an error confirms nothing and is asked again later; an open answer is a sighting that opens the service", async () => {
    const { w, state } = await missingService();
    const { orders } = takeOrders(w, "s1");
    const order = await firstOrder(w, orders);
    expect(await send(w.bus, probeMessage(w, probeOf(order, "error")))).toMatchObject({ ok: true });
    await passTime(w, 25, ["s1", "s2"]);
    expect([await state(), orders.length]).toEqual(["missing", 1]);
    await passTime(w, 10, ["s1", "s2"]);
    const again = await until("another order", () => orders[1]);
    expect(await send(w.bus, probeMessage(w, probeOf(again, "open")))).toMatchObject({ ok: true });
    await until("it is open", async () => (await state()) === "open");
    await passTime(w, 3, ["s1", "s2"]);
    expect(orders).toHaveLength(2);
  }, 60_000);

  test("a scanner that refuses is asked again later; one that is silent is not asked", async () => {
    const { w } = await missingService();
    const own = takeOrders(w, "s1");
    own.reply = { ok: false, problem: "too much to do" };
    await firstOrder(w, own.orders);
    await passTime(w, 25, ["s1", "s2"]);
    expect(own.orders).toHaveLength(1);
    await passTime(w, 20, ["s2"]);
    const before = own.orders.length;
    await passTime(w, 40, ["s2"]);
    expect(own.orders).toHaveLength(before);
  }, 60_000);

  test("what is excluded by now is not probed", async () => {
    const { w } = await missingService();
    const { orders } = takeOrders(w, "s1");
    const exclusion = { id: "1", ranges: ["192.0.2.0/30"], ports: "80", owner: "o", reason: "r", expiresAtMs: null, createdAtMs: 0 };
    w.state.value = { ...w.state.value, version: 2, exclusions: [exclusion] };
    await passTime(w, 2, []);
    await passTime(w, 5, ["s1", "s2"]);
    expect(orders).toEqual([]);
  });

  test("probes that are not the answer to an order of this keeper are refused", async () => {
    const { w, state } = await missingService();
    const { orders } = takeOrders(w, "s1");
    const order = await firstOrder(w, orders);
    const before = (await recordKinds(w)).length;
    const resigned = (change: Partial<ConfirmOrder>, seed = w.seeds.s1): ConfirmOrder => {
      const changed = { ...order, ...change };
      return { ...changed, signature: signText(seed, confirmOrderSignedText(changed)) };
    };
    const good = probeOf(order, "closed");
    const wrong: [what: string, message: Uint8Array][] = [
      ["signed by the scanner itself", probeMessage(w, probeOf(resigned({}), "closed"))],
      ["with a higher frontier", probeMessage(w, probeOf({ ...order, frontier: { ["0".repeat(32)]: 9 } }, "closed"))],
      ["of another scanner", probeMessage(w, good, "s2")],
      ["of a stranger", probeMessage(w, good, "outsider")],
      ["of another region", probeMessage(w, probeOf(resigned({ region: "us" }, w.seeds.keeper), "closed"))],
      ["about another target", probeMessage(w, { ...good, results: good.results.map((one) => ({ ...one, port: 443 })) })],
      ["with a result twice", probeMessage(w, { ...good, results: [...good.results, ...good.results] })],
      ["after two connects", probeMessage(w, { ...good, results: good.results.map((one) => ({ ...one, connects: 2 })) })],
      ["in too short a time", probeMessage(w, { ...good, endedAtMs: good.startedAtMs + 9_999 })],
    ];
    for (const [what, message] of wrong) expect(await send(w.bus, message), what).toMatchObject({ ok: false, retry: false });
    expect(await recordKinds(w)).toHaveLength(before);
    expect(await state()).toBe("missing");
    expect(await send(w.bus, probeMessage(w, good))).toMatchObject({ ok: true });
    const receipts = [await send(w.bus, probeMessage(w, good)), await send(w.bus, probeMessage(w, good))];
    expect(receipts[0]).toEqual(receipts[1]);
    await until("the closing", async () => (await state()) === "closed");
  });
});

describe("who confirms", () => {
  const asked = (tries: Record<string, number>, pending: readonly string[] = []) =>
    new Map(Object.entries(tries).map(([name, count]) => [name, { tries: count, pending: pending.includes(name), untilMs: 0 }]));
  const none = asked({});

  test("the last sighter alone, while it lives and answers", () => {
    expect(chooseScanners({ sighter: "a", confirmedBy: [], able: ["a", "b", "c"], asked: none })).toEqual({
      basis: "sighter",
      scanners: ["a"],
    });
    expect(chooseScanners({ sighter: "a", confirmedBy: [], able: ["a", "b", "c"], asked: asked({ a: 3 }, ["a"]) }).scanners).toEqual(["a"]);
  });

  test("else two others, never one of them twice, and the last sighter is none of them", () => {
    expect(chooseScanners({ sighter: "a", confirmedBy: [], able: ["b", "c", "d"], asked: none })).toEqual({
      basis: "others",
      scanners: ["b", "c"],
    });
    expect(chooseScanners({ sighter: "a", confirmedBy: ["b"], able: ["b", "c", "d"], asked: none })).toEqual({
      basis: "others",
      scanners: ["c"],
    });
    expect(chooseScanners({ sighter: "a", confirmedBy: [], able: ["a", "b", "c"], asked: asked({ a: 3 }) }).scanners).toEqual(["b", "c"]);
    expect(chooseScanners({ sighter: null, confirmedBy: [], able: ["b", "c"], asked: none })).toEqual({
      basis: "others",
      scanners: ["b", "c"],
    });
  });

  test("nobody, when there is only one other; but a last sighter that failed often is asked again then", () => {
    expect(chooseScanners({ sighter: "a", confirmedBy: [], able: ["b"], asked: none }).scanners).toEqual([]);
    expect(chooseScanners({ sighter: null, confirmedBy: [], able: ["b"], asked: none }).scanners).toEqual([]);
    expect(chooseScanners({ sighter: "a", confirmedBy: [], able: ["a", "b"], asked: asked({ a: 9 }) })).toEqual({
      basis: "sighter",
      scanners: ["a"],
    });
  });

  test("of the others those that are asked already come first, then those that failed least", () => {
    const able = ["b", "c", "d", "e"];
    expect(chooseScanners({ sighter: "a", confirmedBy: [], able, asked: asked({ d: 1, b: 2 }, ["d"]) }).scanners).toEqual(["d", "c"]);
  });
});
