import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Bus } from "../../src/bus/bus.ts";
import { assignmentSubject } from "../../src/bus/names.ts";
import { until } from "./until.ts";
import { ACK_WAIT_MS, memoryWorld, natsWorld, REGION } from "./worlds.ts";

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (data: Uint8Array): string => new TextDecoder().decode(data);
const key = (tile: number, attempt = 1) => ({ job: "a".repeat(64), tile, shard: 1, attempt });
const subject = (scanner: string, tile: number): string => assignmentSubject(scanner, key(tile));

for (const [name, world] of [
  ["memory", memoryWorld()],
  ["nats-server", natsWorld()],
] as const) {
  describe(`the bus on ${name}`, () => {
    const open: Bus[] = [];
    const client = async (clientName = "one"): Promise<Bus> => {
      const bus = await world.connect(clientName);
      open.push(bus);
      return bus;
    };
    const queueFor = async (scanner: string): Promise<Bus> => {
      const bus = await client("keeper");
      await bus.ensureWorkQueue(REGION);
      await bus.ensureClaimer(REGION, scanner);
      return bus;
    };
    const enqueue = (bus: Bus, scanner: string, tile: number, id = `${scanner}-${tile}`) =>
      bus.enqueue(REGION, { subject: subject(scanner, tile), data: bytes(`tile ${tile}`), id });

    beforeAll(() => world.start());
    afterAll(() => world.stop());
    afterEach(async () => {
      await Promise.all(open.splice(0).map((bus) => bus.close()));
    });

    test("a request gets the reply of one server of the queue group", async () => {
      const [asker, first, second] = [await client("asker"), await client("first"), await client("second")];
      let calls = 0;
      for (const bus of [first, second]) {
        bus.serve("reports.eu", { queue: "keepers", handler: async ({ data }) => (calls++, bytes(`got ${textOf(data)}`)) });
      }
      await until("a reply", () => asker.request("reports.eu", bytes("ready?"), { timeoutMs: 1_000 }).catch(() => null));
      calls = 0;
      const replies = await Promise.all(
        Array.from({ length: 20 }, (_, index) => asker.request("reports.eu", bytes(`${index}`), { timeoutMs: 30_000 })),
      );
      expect(replies.map(textOf)).toEqual(Array.from({ length: 20 }, (_, index) => `got ${index}`));
      expect(calls).toBe(20);
    });

    test("a request that nobody serves, or whose handler throws, is refused as unavailable in time", async () => {
      const [asker, server] = [await client("asker"), await client("server")];
      await expect(asker.request("repair.none", bytes("x"), { timeoutMs: 300 })).rejects.toMatchObject({ code: "unavailable" });
      server.serve("repair.eu", { queue: "keepers", handler: () => Promise.reject(new Error("no")) });
      await expect(asker.request("repair.eu", bytes("x"), { timeoutMs: 300 })).rejects.toMatchObject({ code: "unavailable" });
    });

    test("subscribers get what fits their wildcard, in order, until they stop", async () => {
      const [sender, reader] = [await client("sender"), await client("reader")];
      const seen: string[] = [];
      const subscription = reader.subscribe("progress.>", (message) => seen.push(`${message.subject} ${textOf(message.data)}`));
      await until("the subscription is known", () => {
        sender.publish("progress.probe.x", bytes("?"));
        return seen.length > 0;
      });
      seen.length = 0;
      sender.publish("heartbeat.s1", bytes("no"));
      for (let index = 0; index < 3; index++) sender.publish("progress.s1.job", bytes(`${index}`));
      await until("three messages", () => seen.filter((line) => line.startsWith("progress.s1")).length === 3);
      expect(seen.filter((line) => line.startsWith("progress.s1"))).toEqual([
        "progress.s1.job 0",
        "progress.s1.job 1",
        "progress.s1.job 2",
      ]);
      subscription.stop();
      const probe = new Promise<void>((resolve) => void reader.subscribe("other.s1", () => resolve()));
      sender.publish("progress.s1.job", bytes("late"));
      const again = setInterval(() => sender.publish("other.s1", bytes("x")), 20);
      await probe.finally(() => clearInterval(again));
      expect(seen).not.toContain("progress.s1.job late");
    });

    test("setting up queues is repeatable", async () => {
      const bus = await queueFor("s-setup");
      await bus.ensureWorkQueue(REGION);
      await bus.ensureClaimer(REGION, "s-setup");
      await bus.removeClaimer(REGION, "s-setup");
      await bus.removeClaimer(REGION, "s-setup");
      await expect(bus.claim(REGION, "s-setup", { waitMs: 1_000 })).rejects.toMatchObject({ code: "unavailable" });
    });

    test("a scanner claims its own work, in order, and what it acknowledged never comes back", async () => {
      const bus = await queueFor("s-own");
      await bus.ensureClaimer(REGION, "s-other");
      for (const tile of [0, 1]) expect(await enqueue(bus, "s-own", tile)).toEqual({ duplicate: false });
      await enqueue(bus, "s-other", 7);
      expect(await bus.queued(REGION, "shards.s-own.>")).toEqual([subject("s-own", 0), subject("s-own", 1)]);
      const first = await bus.claim(REGION, "s-own", { waitMs: 30_000 });
      expect(first).toMatchObject({ subject: subject("s-own", 0), deliveryCount: 1 });
      expect(textOf(first?.data ?? bytes(""))).toBe("tile 0");
      await first?.ack();
      const second = await bus.claim(REGION, "s-own", { waitMs: 30_000 });
      expect(second?.subject).toBe(subject("s-own", 1));
      await second?.ack();
      expect(await bus.claim(REGION, "s-own", { waitMs: 1_000 })).toBeNull();
      expect(await bus.queued(REGION, "shards.s-own.>")).toEqual([]);
      expect(await bus.queued(REGION, "shards.>")).toContain(subject("s-other", 7));
    });

    test("the same message id is stored once", async () => {
      const bus = await queueFor("s-dup");
      expect(await enqueue(bus, "s-dup", 1)).toEqual({ duplicate: false });
      expect(await enqueue(bus, "s-dup", 1)).toEqual({ duplicate: true });
      await (await bus.claim(REGION, "s-dup", { waitMs: 30_000 }))?.ack();
      expect(await bus.claim(REGION, "s-dup", { waitMs: 1_000 })).toBeNull();
    });

    test("unacknowledged work is handed out again after the ack wait, never while its claimer says that it works", async () => {
      const bus = await queueFor("s-slow");
      await enqueue(bus, "s-slow", 1);
      const claim = await bus.claim(REGION, "s-slow", { waitMs: 30_000 });
      const working = setInterval(() => claim?.working(), ACK_WAIT_MS / 5);
      try {
        expect(await bus.claim(REGION, "s-slow", { waitMs: ACK_WAIT_MS * 2 })).toBeNull();
      } finally {
        clearInterval(working);
      }
      const again = await bus.claim(REGION, "s-slow", { waitMs: 30_000 });
      expect(again).toMatchObject({ subject: subject("s-slow", 1), deliveryCount: 2 });
      await again?.ack();
    });

    test("work that was given back comes again after its delay", async () => {
      const bus = await queueFor("s-nak");
      await enqueue(bus, "s-nak", 1);
      (await bus.claim(REGION, "s-nak", { waitMs: 30_000 }))?.nak(100);
      const again = await bus.claim(REGION, "s-nak", { waitMs: 30_000 });
      expect(again?.deliveryCount).toBe(2);
      await again?.ack();
    });

    test("a waiting claim gets work the moment it arrives and ends at once when it is aborted", async () => {
      const bus = await queueFor("s-wait");
      const waiting = bus.claim(REGION, "s-wait", { waitMs: 10_000 });
      await enqueue(bus, "s-wait", 3);
      expect((await waiting)?.subject).toBe(subject("s-wait", 3));
      const stop = new AbortController();
      const idle = bus.claim(REGION, "s-wait", { waitMs: 60_000, signal: stop.signal });
      stop.abort();
      expect(await idle).toBeNull();
      expect(await bus.claim(REGION, "s-wait", { waitMs: 60_000, signal: stop.signal })).toBeNull();
    });

    test("a purge of a later message leaves an earlier one to be claimed", async () => {
      const bus = await queueFor("s-later");
      for (const tile of [1, 2, 3]) await enqueue(bus, "s-later", tile);
      const running = await bus.claim(REGION, "s-later", { waitMs: 1_000 });
      expect(running?.subject).toBe(subject("s-later", 1));
      expect(await bus.purge(REGION, subject("s-later", 3))).toBe(1);
      await running?.ack();
      expect((await bus.claim(REGION, "s-later", { waitMs: 30_000 }))?.subject).toBe(subject("s-later", 2));
    });

    test("work that is purged while it is in hand can still be acknowledged, and later work is handed out", async () => {
      const bus = await queueFor("s-inhand");
      for (const tile of [1, 2]) await enqueue(bus, "s-inhand", tile);
      const claim = await bus.claim(REGION, "s-inhand", { waitMs: 30_000 });
      expect(claim?.subject).toBe(subject("s-inhand", 1));
      expect(await bus.purge(REGION, subject("s-inhand", 1))).toBe(1);
      claim?.working();
      await claim?.ack();
      const next = await bus.claim(REGION, "s-inhand", { waitMs: 2_000 });
      expect(next?.subject).toBe(subject("s-inhand", 2));
    });

    test("a purge takes the exact subject only; a wildcard is refused", async () => {
      const bus = await queueFor("s-purge");
      for (const tile of [1, 11]) await enqueue(bus, "s-purge", tile);
      expect(await bus.purge(REGION, subject("s-purge", 1))).toBe(1);
      expect(await bus.purge(REGION, subject("s-purge", 1))).toBe(0);
      await expect(bus.purge(REGION, "shards.s-purge.>")).rejects.toMatchObject({ code: "invalid" });
      expect(await bus.queued(REGION, "shards.s-purge.>")).toEqual([subject("s-purge", 11)]);
    });

    test("while the server is gone calls fail as unavailable; afterwards queued work, subscriptions and requests are there again", async () => {
      const bus = await queueFor("s-crash");
      const seen: string[] = [];
      bus.subscribe("heartbeat.*", (message) => seen.push(message.subject));
      bus.serve("scan.eu", { queue: "scanners", handler: async () => bytes("here") });
      await enqueue(bus, "s-crash", 1);
      await world.down();
      await until("the loss is noticed", () => !bus.connected());
      await expect(bus.request("scan.eu", bytes("x"), { timeoutMs: 500 })).rejects.toMatchObject({ code: "unavailable" });
      await expect(enqueue(bus, "s-crash", 2)).rejects.toMatchObject({ code: "unavailable" });
      bus.publish("heartbeat.s1", bytes("lost"));
      await world.up();
      await until("the connection is back", () => bus.connected());
      const claim = await until("the queued work", () => bus.claim(REGION, "s-crash", { waitMs: 1_000 }).catch(() => null));
      expect(claim.subject).toBe(subject("s-crash", 1));
      await claim.ack();
      await until("a heartbeat", () => {
        bus.publish("heartbeat.s1", bytes("x"));
        return seen.length > 0;
      });
      expect(textOf(await bus.request("scan.eu", bytes("x"), { timeoutMs: 30_000 }))).toBe("here");
    });

    test("a server that lost all it stored can be set up again by the same clients, and the same message id is taken anew", async () => {
      const bus = await queueFor("s-wipe");
      await enqueue(bus, "s-wipe", 1);
      await (await bus.claim(REGION, "s-wipe", { waitMs: 30_000 }))?.ack();
      await world.wipe();
      const lost = await until("the loss shows", () =>
        bus.queued(REGION, "shards.>").then(
          () => null,
          (error: unknown) => error,
        ),
      );
      expect(lost).toMatchObject({ code: "unavailable" });
      await expect(bus.claim(REGION, "s-wipe", { waitMs: 1_000 })).rejects.toMatchObject({ code: "unavailable" });
      await until("set up again", () =>
        bus.ensureWorkQueue(REGION).then(
          () => true,
          () => false,
        ),
      );
      await bus.ensureClaimer(REGION, "s-wipe");
      expect(await enqueue(bus, "s-wipe", 1)).toEqual({ duplicate: false });
      const claim = await bus.claim(REGION, "s-wipe", { waitMs: 30_000 });
      expect(claim?.subject).toBe(subject("s-wipe", 1));
      await claim?.ack();
    });

    test("a closed client refuses work and can be closed again", async () => {
      const bus = await client("closing");
      await bus.close();
      await bus.close();
      expect(bus.connected()).toBe(false);
      await expect(bus.request("scan.eu", bytes("x"), { timeoutMs: 100 })).rejects.toMatchObject({ code: "unavailable" });
    });
  });
}
