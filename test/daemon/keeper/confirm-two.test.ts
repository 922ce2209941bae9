import { afterEach, expect, test } from "vitest";
import type { ConfirmOrder } from "../../../src/core/messages/probe.ts";
import { until } from "../../bus/until.ts";
import { nextOrder, probeMessage, probeOf, startMissing, takeOrders } from "./confirm-part.ts";
import { passTime } from "./passing-time.ts";
import { recordKinds, send } from "./scanner-part.ts";
import type { World } from "./world.ts";

// A scanner whose way to a service is filtered sees what it would see of a dead one, so another one looks too.

let world: World | undefined;
afterEach(async () => {
  await world?.stop();
  world = undefined;
});

const missing = async (...how: Parameters<typeof startMissing>): Promise<Awaited<ReturnType<typeof startMissing>>> => {
  const started = await startMissing(...how);
  world = started.w;
  return started;
};

test("a last sighter that hears nothing closes nothing while another scanner gets an answer, whoever is quicker", async () => {
  for (const quick of ["s1", "s2"] as const) {
    const { w, state } = await missing();
    const desks = { s1: takeOrders(w, "s1"), s2: takeOrders(w, "s2") };
    const orders = [await nextOrder(w, desks.s1.orders), await nextOrder(w, desks.s2.orders)];
    const probes = orders.map((order) => probeOf(order, order.scanner === "s1" ? "filtered" : "open"));
    for (const probe of quick === "s1" ? probes : probes.toReversed()) {
      expect(await send(w.bus, probeMessage(w, probe))).toMatchObject({ ok: true });
      await passTime(w, 2, ["s1", "s2"]);
    }
    await until("it is open", async () => (await state()) === "open");
    const { items } = await w.ledger.listChanges({ first: "oldest", kinds: ["closed"] });
    expect(items, "not even for a moment").toEqual([]);
    await w.stop();
    world = undefined;
  }
});

test("a keeper that starts anew goes on with the voice that is there", async () => {
  const { w, keeper, state } = await missing();
  const [own, other] = [takeOrders(w, "s1"), takeOrders(w, "s2")];
  const [first] = [await nextOrder(w, own.orders), await nextOrder(w, other.orders)];
  expect(await send(w.bus, probeMessage(w, probeOf(first, "filtered")))).toMatchObject({ ok: true });
  await keeper.stop();
  w.startKeeper("k2");
  const again = await nextOrder(w, other.orders, 2);
  expect(again).toMatchObject({ basis: "others" });
  expect([await state(), own.orders.length]).toEqual(["missing", 1]);
  expect(await send(w.bus, probeMessage(w, probeOf(again, "filtered")))).toMatchObject({ ok: true });
  await until("the closing", async () => (await state()) === "closed");
});

test("a last sighter whose companion gives no usable answer goes on alone after a while, and that is told", async () => {
  const { w, state } = await missing();
  const [own, other] = [takeOrders(w, "s1"), takeOrders(w, "s2")];
  other.reply = { ok: false, problem: "too much to do" };
  const first = await nextOrder(w, own.orders);
  expect(await send(w.bus, probeMessage(w, probeOf(first, "filtered")))).toMatchObject({ ok: true });
  await passTime(w, 50, ["s1", "s2"]);
  expect([await state(), own.orders.length]).toEqual(["missing", 1]);
  await passTime(w, 20, ["s1", "s2"]);
  const alone = await until("another order", () => own.orders[1]);
  expect(alone).toMatchObject({ basis: "sighter" });
  expect(w.lines.some((line) => /s1" confirms alone/.test(line))).toBe(true);
  expect(await send(w.bus, probeMessage(w, probeOf(alone, "filtered")))).toMatchObject({ ok: true });
  await until("the closing", async () => (await state()) === "closed");
});

const CANARIES = [1, 2, 3].map((last) => ({ address: `198.51.100.${last}`, port: 443 }));
const heard = (answered: number, asked = CANARIES.length) => ({ asked, answered });

test("an order carries the canaries of the job, and silence that they do not vouch for is refused", async () => {
  const { w, state } = await missing({ canaries: CANARIES });
  const desks = [takeOrders(w, "s1"), takeOrders(w, "s2")];
  const orders: ConfirmOrder[] = [];
  for (const { orders: taken } of desks) orders.push(await nextOrder(w, taken));
  const records = (await recordKinds(w)).length;
  const blind = [
    undefined,
    { canariesBefore: heard(0), canariesAfter: heard(3) },
    { canariesBefore: heard(3), canariesAfter: heard(1) },
    { canariesBefore: heard(1, 1), canariesAfter: heard(1, 1) },
  ];
  for (const order of orders) {
    expect(order.canaries).toEqual(CANARIES);
    for (const evidence of blind) {
      for (const answer of ["closed", "filtered"] as const) {
        const probe = probeOf(order, answer, evidence === undefined ? {} : { evidence });
        expect(await send(w.bus, probeMessage(w, probe))).toMatchObject({ ok: false, retry: false });
      }
    }
  }
  expect([await state(), (await recordKinds(w)).length]).toEqual(["missing", records]);
  const evidence = { canariesBefore: heard(3), canariesAfter: heard(2) };
  for (const order of orders) {
    expect(await send(w.bus, probeMessage(w, probeOf(order, "closed", { evidence })))).toMatchObject({ ok: true });
  }
  await until("the closing", async () => (await state()) === "closed");
});

test("what a blind scanner saw open is open", async () => {
  const { w, state } = await missing({ canaries: CANARIES });
  const { orders } = takeOrders(w, "s1");
  const evidence = { canariesBefore: heard(0), canariesAfter: heard(0) };
  const order = await nextOrder(w, orders);
  expect(await send(w.bus, probeMessage(w, probeOf(order, "open", { evidence })))).toMatchObject({ ok: true });
  await until("it is open", async () => (await state()) === "open");
});

test("canaries that are excluded by now are not asked; when none is left nobody is", async () => {
  for (const [last, left] of [
    ["198.51.100.1", CANARIES.slice(1)],
    ["198.51.100.0/29", null],
  ] as const) {
    const { w } = await missing({ canaries: CANARIES });
    const { orders } = takeOrders(w, "s1");
    const exclusion = { id: "1", ranges: [last], ports: null, owner: "o", reason: "r", expiresAtMs: null, createdAtMs: 0 };
    w.state.value = { ...w.state.value, version: 2, exclusions: [exclusion] };
    await passTime(w, 2, []);
    await passTime(w, 3, ["s1", "s2"]);
    expect(orders.map(({ canaries }) => canaries)).toEqual(left === null ? [] : [left]);
    await w.stop();
    world = undefined;
  }
});
