import { afterEach, describe, expect, test } from "vitest";
import { signText } from "../../../src/bus/keys.node.ts";
import type { ConfirmOrder } from "../../../src/core/messages/probe.ts";
import { confirmOrderSignedText } from "../../../src/core/statement.ts";
import { until } from "../../bus/until.ts";
import { type Missing, nextOrder, orderAlone, probeMessage, probeOf, startMissing, takeOrders } from "./confirm-part.ts";
import { passTime } from "./passing-time.ts";
import { recordKinds, send } from "./scanner-part.ts";
import type { World } from "./world.ts";

describe("confirm orders", () => {
  let world: World | undefined;
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  const missingService = async (...how: Parameters<typeof startMissing>): Promise<Missing> => {
    const missing = await startMissing(...how);
    world = missing.w;
    return missing;
  };

  test("go to the last sighter and one other beside it, with a frontier that holds the missing job's tile-complete; both have to agree", async () => {
    const { w, job, state } = await missingService();
    const [own, other] = [takeOrders(w, "s1"), takeOrders(w, "s2")];
    const orders = [await nextOrder(w, own.orders), await nextOrder(w, other.orders)];
    const records = (await recordKinds(w)).length;
    for (const [index, order] of orders.entries()) {
      expect(order).toMatchObject({ job, region: "eu", scanner: `s${index + 1}`, basis: "others", engine: "connect" });
      expect(order.targets).toEqual([{ address: "192.0.2.0", protocol: "tcp", port: 80 }]);
      expect(Object.values(order.frontier)).toEqual([records - 1]);
      expect(await state()).toBe("missing");
      expect(await send(w.bus, probeMessage(w, probeOf(order, "filtered")))).toMatchObject({ ok: true });
      await passTime(w, 3, ["s1", "s2"]);
    }
    await until("the closing", async () => (await state()) === "closed");
    expect([own.orders.length, other.orders.length]).toEqual([1, 1]);
  });

  test("a last sighter that is the only one there confirms alone, but not before the others have had time to be heard", async () => {
    const { w, state } = await missingService();
    const own = takeOrders(w, "s1");
    await passTime(w, 12, ["s1"]);
    expect(own.orders).toEqual([]);
    const order = await orderAlone(w, own.orders);
    expect(order).toMatchObject({ scanner: "s1", basis: "sighter" });
    expect(await send(w.bus, probeMessage(w, probeOf(order, "filtered")))).toMatchObject({ ok: true });
    await until("the closing", async () => (await state()) === "closed");
  });

  test("are repeated when no probe comes within a minute, and not before", async () => {
    const { w } = await missingService();
    const { orders } = takeOrders(w, "s1");
    await nextOrder(w, orders);
    await passTime(w, 58, ["s1", "s2"]);
    expect(orders).toHaveLength(1);
    await passTime(w, 4, ["s1", "s2"]);
    expect(orders).toHaveLength(2);
    expect(new Set(orders.map(({ id }) => id)).size).toBe(2);
  });

  test("an error confirms nothing and is asked again later; an open answer is a sighting that opens the service", async () => {
    const { w, state } = await missingService();
    const { orders } = takeOrders(w, "s1");
    const order = await nextOrder(w, orders);
    expect(await send(w.bus, probeMessage(w, probeOf(order, "error")))).toMatchObject({ ok: true });
    await passTime(w, 25, ["s1", "s2"]);
    expect([await state(), orders.length]).toEqual(["missing", 1]);
    await passTime(w, 10, ["s1", "s2"]);
    const again = await until("another order", () => orders[1]);
    expect(await send(w.bus, probeMessage(w, probeOf(again, "open")))).toMatchObject({ ok: true });
    await until("it is open", async () => (await state()) === "open");
    await passTime(w, 3, ["s1", "s2"]);
    expect(orders).toHaveLength(2);
  });

  test("a scanner that refuses is asked again later; one that is silent is not asked", async () => {
    const { w } = await missingService();
    const own = takeOrders(w, "s1");
    own.reply = { ok: false, problem: "too much to do" };
    await nextOrder(w, own.orders);
    await passTime(w, 25, ["s1", "s2"]);
    expect(own.orders).toHaveLength(1);
    await passTime(w, 20, ["s2"]);
    const before = own.orders.length;
    await passTime(w, 40, ["s2"]);
    expect(own.orders).toHaveLength(before);
  });

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
    const order = await orderAlone(w, orders);
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
