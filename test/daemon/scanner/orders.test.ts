import { createServer, type AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { newSeed, publicKeyOf, signText } from "../../../src/bus/keys.node.ts";
import type { ConfirmOrder, ConfirmReply } from "../../../src/core/messages/probe.ts";
import { confirmOrderSignedText } from "../../../src/core/statement.ts";
import { keeperSeed, makeRegion, type Region } from "./region.ts";
import { assignment, fakeTools, ownDirectory, realTools, until } from "./world.ts";

/** A loopback listener on a port of the system's choice; `close` makes it a closed port. `onConnect` is told of each connection. */
async function listener(onConnect: () => void = () => {}): Promise<{ port: number; close: () => Promise<void> }> {
  const server = createServer((socket) => {
    socket.on("error", () => {}).destroy();
    onConnect();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  onTestFinished(close);
  return { port: (server.address() as AddressInfo).port, close };
}

function orderOf(targets: ConfirmOrder["targets"], change: Partial<ConfirmOrder> = {}, seed = keeperSeed): ConfirmOrder {
  const order = {
    version: 1 as const,
    id: crypto.randomUUID().replaceAll("-", ""),
    region: "eu",
    job: "a".repeat(64),
    scanner: "s1",
    basis: "sighter" as const,
    engine: "connect" as const,
    frontier: { ["0".repeat(32)]: 3 },
    targets,
    orderedAtMs: Date.now(),
    keeper: publicKeyOf(seed),
    ...change,
  };
  return { ...order, signature: signText(seed, confirmOrderSignedText(order)) };
}

const local = (port: number): ConfirmOrder["targets"][number] => ({ address: "127.0.0.1", protocol: "tcp", port });

async function give(region: Region, order: unknown): Promise<ConfirmReply> {
  const reply = await region.bus.request("scan.eu.s1", Buffer.from(JSON.stringify({ order })), { timeoutMs: 30_000 });
  return JSON.parse(Buffer.from(reply).toString()) as ConfirmReply;
}

/** A scanner that has looked around. */
async function ready(region: Region, how: Parameters<Region["scanner"]>[1], tuning: Parameters<Region["scanner"]>[2] = {}): Promise<void> {
  await region.scanner(await ownDirectory(), how, { lookEveryMs: 100, ...tuning }).start();
  await until("a heartbeat", () => region.heartbeats.length > 0);
}

describe("confirm orders at the scanner", () => {
  test("three connects, with pauses, tell open from closed; the signed probe holds the order as it was", async () => {
    const region = await makeRegion();
    await ready(region, realTools);
    const [open, closed] = [await listener(), await listener()];
    await closed.close();
    const order = orderOf([local(open.port), local(closed.port)]);
    expect(await give(region, order)).toEqual({ ok: true });
    await until("the probe", () => region.probes.length > 0);
    const { probe, author } = region.probes[0] ?? { probe: null, author: null };
    expect(author).toBe("s1");
    expect(probe?.order).toEqual(order);
    expect(probe?.results).toEqual([
      { ...local(open.port), answer: "open", connects: 1 },
      { ...local(closed.port), answer: "closed", connects: 3 },
    ]);
    expect((probe?.endedAtMs ?? 0) - (probe?.startedAtMs ?? 0)).toBeGreaterThanOrEqual(200);
  });

  test("a service that opens between two connects is open", async () => {
    const region = await makeRegion();
    await ready(region, realTools, { lookEveryMs: 1_000 });
    // An address of its own: on 127.0.0.1 anybody may be given the port meanwhile.
    const late: ConfirmOrder["targets"][number] = { address: "127.0.9.1", protocol: "tcp", port: 20_080 };
    const server = createServer((socket) => socket.on("error", () => {}).destroy());
    onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
    // The witness is connected to after the late one, in the same round: then the first connect has been refused.
    const witness = await listener(() => void (server.listening || server.listen(late.port, late.address)));
    await give(region, orderOf([late, local(witness.port)]));
    await until("the probe", () => region.probes.length > 0);
    const [answer] = region.probes[0]?.probe.results ?? [];
    expect(answer).toMatchObject({ ...late, answer: "open" });
    expect(answer?.connects).toBeGreaterThan(1);
  });

  test("what cannot be connected to from here is an error, whatever the others are", async () => {
    const region = await makeRegion();
    await ready(region, realTools);
    const { port } = await listener();
    await give(region, orderOf([{ address: "255.255.255.255", protocol: "tcp", port: 80 }, local(port)]));
    await until("the probe", () => region.probes.length > 0);
    expect(region.probes[0]?.probe.results).toMatchObject([{ answer: "error" }, { answer: "open" }]);
  });

  test("without a majority of the canaries before and after, nothing is said to be closed or filtered; open stays open", async () => {
    const targets = [80, 81, 82].map((port) => ({ address: "198.18.0.1", protocol: "tcp" as const, port }));
    const canaries = [443, 444, 445].map((port) => ({ address: "198.18.0.2", port }));
    const silent = { 80: "o", 81: "c", 82: "f" };
    for (const [ports, answered, isHeard] of [
      [{}, [3, 3], true],
      [{ 443: "f" }, [2, 2], true],
      [{ 443: "f", 444: "c" }, [1, 1], false],
      [{ 443: "of", 444: "of" }, [3, 1], false],
      [{ 443: "fo", 444: "fo" }, [1, 3], false],
    ] as const) {
      const region = await makeRegion();
      await ready(region, await fakeTools(await ownDirectory(), { prober: { ports: { ...silent, ...ports } } }));
      expect(await give(region, orderOf(targets, { canaries }))).toEqual({ ok: true });
      await until("the probe", () => region.probes.length > 0);
      const [{ probe } = { probe: null }] = region.probes;
      const [before, after] = answered;
      expect(probe?.evidence).toEqual({
        canariesBefore: { asked: 3, answered: before },
        canariesAfter: { asked: 3, answered: after },
      });
      expect(probe?.results.map(({ answer }) => answer)).toEqual(isHeard ? ["open", "closed", "filtered"] : ["open", "error", "error"]);
    }
  });

  test("without canaries a probe carries no evidence", async () => {
    const region = await makeRegion();
    await ready(region, realTools);
    await give(region, orderOf([local((await listener()).port)]));
    await until("the probe", () => region.probes.length > 0);
    expect(region.probes[0]?.probe).not.toHaveProperty("evidence");
  });

  test("orders run beside an assignment, and several at one time", async () => {
    const region = await makeRegion();
    await ready(
      region,
      await fakeTools(await ownDirectory(), { masscan: { waits: 200, secondMs: 50 }, prober: { canaries: "c".repeat(256) } }),
    );
    await region.put(assignment());
    await until("the run", () => region.progress.length > 0);
    const orders = [80, 81, 82].map((port) => orderOf([{ address: "198.18.0.1", protocol: "tcp", port }]));
    for (const order of orders) expect(await give(region, order)).toEqual({ ok: true });
    await until("all probes", () => region.probes.length === 3);
    expect(region.reports).toEqual([]);
    expect(region.probes.map(({ probe }) => probe.order.id).toSorted()).toEqual(orders.map(({ id }) => id).toSorted());
  });

  test("an order that is repeated is one look", async () => {
    const region = await makeRegion();
    await ready(region, realTools);
    const { port } = await listener();
    const order = orderOf([local(port)]);
    expect([await give(region, order), await give(region, order)]).toEqual([{ ok: true }, { ok: true }]);
    await until("the probe", () => region.probes.length > 0);
    expect(await give(region, order)).toEqual({ ok: true });
    await give(region, orderOf([local(port)]));
    await until("the other order's probe", () => region.probes.length > 1);
    expect(region.probes.filter(({ probe }) => probe.order.id === order.id)).toHaveLength(1);
  });

  test("a probe whose reply is lost is sent again, with the same bytes", async () => {
    const region = await makeRegion();
    await ready(region, realTools);
    const { port } = await listener();
    region.replies.push({ ok: false, retry: true, problem: "busy" });
    await give(region, orderOf([local(port)]));
    await until("the probe", () => region.probes.length > 0);
  });

  test("orders that no keeper of the region has signed for this scanner are refused, and nothing is probed", async () => {
    const region = await makeRegion();
    await ready(region, realTools);
    const { port } = await listener();
    const targets = [local(port)];
    const good = orderOf(targets);
    const wrong: [what: string, order: unknown, words: RegExp][] = [
      ["of a stranger", orderOf(targets, {}, newSeed()), /keeper/],
      ["altered", { ...good, targets: [local(port + 1)] }, /signature/],
      ["for another scanner", orderOf(targets, { scanner: "s2" }), /s2/],
      ["of another region", orderOf(targets, { region: "us" }), /us/],
      ["UDP by connect", orderOf([{ ...local(port), protocol: "udp" }]), /udp/],
      ["a canary without canonical address", orderOf(targets, { canaries: [{ address: "::0001", port: 1 }] }), /canary/],
      ["a target twice", orderOf([...targets, ...targets]), /twice/],
      ["without targets", orderOf([]), /no confirm order/],
      ["a name in place of an address", orderOf([{ ...local(port), address: "localhost" }]), /localhost|address/],
      ["too many targets", orderOf(Array.from({ length: 1_001 }, (_, at) => local(at + 1))), /no confirm order/],
    ];
    for (const [what, order, words] of wrong) {
      const reply = await give(region, order);
      expect(reply, what).toMatchObject({ ok: false });
      expect(reply.ok ? "" : reply.problem, what).toMatch(words);
    }
    expect(await give(region, good)).toEqual({ ok: true });
    await until("the good one's probe", () => region.probes.length === 1);
  });

  test("more targets than it may have in hand are refused until some are done", async () => {
    const region = await makeRegion();
    await ready(region, realTools, { lookEveryMs: 60_000 });
    const { port, close } = await listener();
    await close();
    const many = Array.from({ length: 999 }, (_, at) => ({
      address: `127.0.${1 + (at >> 8)}.${at & 255}`,
      protocol: "tcp" as const,
      port,
    }));
    expect(await give(region, orderOf(many))).toEqual({ ok: true });
    expect(await give(region, orderOf([local(port), local(port + 1)]))).toMatchObject({ ok: false });
    expect(await give(region, orderOf([local(port)]))).toEqual({ ok: true });
  });

  test("UDP goes through masscan, one port at a time; silence of a whole run is filtered, of a broken or a blind one an error", async () => {
    const udp = { address: "198.18.0.1", protocol: "udp" as const, port: 53 };
    const canaries = [{ address: "198.18.0.3", port: 443 }];
    const quiet = { waits: 10, secondMs: 950, sightings: 0 };
    const cases = [
      [quiet, {}, {}, "filtered"],
      [{ exitCode: 1 }, {}, {}, "error"],
      [quiet, { canaries }, {}, "filtered"],
      [quiet, { canaries }, { 443: "f" }, "error"],
    ] as const;
    const looked = cases.map(async ([masscan, change, ports, answer]) => {
      const region = await makeRegion();
      await ready(region, await fakeTools(await ownDirectory(), { masscan, prober: { ports } }));
      const order = orderOf([udp, { ...udp, address: "198.18.0.2" }], { engine: "masscan", ...change });
      expect(await give(region, order)).toEqual({ ok: true });
      await until("the probe", () => region.probes.length > 0, 60_000);
      expect(region.probes[0]?.probe.results.map((one) => one.answer)).toEqual([answer, answer]);
    });
    await Promise.all(looked);
  });
});
