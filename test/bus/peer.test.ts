import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Bus } from "../../src/bus/bus.ts";
import { recordMessageId, repairSubject, resultSubject } from "../../src/bus/names.ts";
import type { LogMessage, PeerLink } from "../../src/bus/peer.ts";
import { until } from "./until.ts";
import { memoryWorld, natsWorld, REGION } from "./worlds.ts";

const LOG = "a".repeat(32);
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (data: Uint8Array): string => new TextDecoder().decode(data);

for (const [name, world] of [
  ["memory", memoryWorld()],
  ["nats-server", natsWorld()],
] as const) {
  describe(`the log stream of a region and its peers on ${name}`, () => {
    const open: { close(): Promise<void> }[] = [];
    let keeper: Bus;
    let peer: PeerLink;
    const publish = (rseq: number, data = bytes(`record ${rseq}`)) =>
      keeper.publishRecord(REGION, { subject: resultSubject(REGION, LOG), data, id: recordMessageId(LOG, rseq) });
    const enter = async (): Promise<Bus> => {
      const bus = await world.connect("keeper");
      open.push(bus);
      return bus;
    };
    const enterPeer = async (): Promise<PeerLink> => {
      const link = await world.connectPeer();
      open.push(link);
      return link;
    };
    const publishAll = async (from: number, upto: number): Promise<void> => {
      for (let rseq = from; rseq <= upto; rseq++) await publish(rseq);
    };
    /** Reads until so many messages are there, or the stream ends. */
    const read = async (link: PeerLink, fromSeq: number, count: number): Promise<LogMessage[]> => {
      const stop = new AbortController();
      const found: LogMessage[] = [];
      for await (const message of link.follow({ fromSeq, signal: stop.signal })) {
        found.push(message);
        if (found.length >= count) break;
      }
      return found;
    };
    const sequences = (messages: readonly LogMessage[]): number[] => messages.map(({ seq }) => seq);

    beforeEach(async () => {
      await world.start();
      keeper = await enter();
      peer = await enterPeer();
      await keeper.ensureLogStream(REGION);
    });
    afterEach(async () => {
      await Promise.all(open.splice(0).map((one) => one.close()));
      await world.stop();
    });

    test("an empty stream stands at nothing; each record gets the next sequence, and a repeat the one it has", async () => {
      expect(await keeper.logStreamState(REGION)).toMatchObject({ lastSeq: 0, messages: 0 });
      expect(await publish(0)).toEqual({ seq: 1, duplicate: false });
      expect(await publish(1)).toEqual({ seq: 2, duplicate: false });
      expect(await publish(0)).toEqual({ seq: 1, duplicate: true });
      expect(await keeper.logStreamState(REGION)).toEqual({ firstSeq: 1, lastSeq: 2, messages: 2 });
      expect(await peer.streamState()).toEqual({ firstSeq: 1, lastSeq: 2, messages: 2 });
    });

    test("a full stream takes new records and drops the oldest; setting it up again changes its limits and keeps what is there", async () => {
      await publishAll(0, 4);
      await keeper.ensureLogStream(REGION, { maxBytes: 20_000 });
      expect(await keeper.logStreamState(REGION)).toEqual({ firstSeq: 1, lastSeq: 5, messages: 5 });
      for (let rseq = 5; rseq < 15; rseq++) await publish(rseq, new Uint8Array(4_000));
      const state = await keeper.logStreamState(REGION);
      expect(state.lastSeq).toBe(15);
      expect(state.firstSeq).toBeGreaterThan(10);
      expect(sequences(await read(peer, 1, 2))).toEqual([state.firstSeq, state.firstSeq + 1]);
    });

    test("records disappear when they are too old", async () => {
      await keeper.ensureLogStream(REGION, { maxAgeMs: 300 });
      await publishAll(0, 2);
      await until("the records are gone", async () => (await keeper.logStreamState(REGION)).messages === 0);
      expect((await keeper.logStreamState(REGION)).lastSeq).toBe(3);
      expect(await publish(3)).toMatchObject({ seq: 4 });
    });

    test("a stream that fell behind is raised above what was published; what follows goes on from there", async () => {
      await publishAll(0, 2);
      await keeper.raiseLogStream(REGION, 100);
      expect(await keeper.logStreamState(REGION)).toMatchObject({ lastSeq: 99, messages: 0 });
      expect(await publish(50)).toEqual({ seq: 100, duplicate: false });
      await keeper.raiseLogStream(REGION, 100);
      await keeper.raiseLogStream(REGION, 5);
      expect(await keeper.logStreamState(REGION)).toEqual({ firstSeq: 100, lastSeq: 100, messages: 1 });
      expect(sequences(await read(peer, 4, 1))).toEqual([100]);
    });

    test("a peer follows from its checkpoint, and gets what comes while it waits", async () => {
      await publishAll(0, 4);
      expect(sequences(await read(peer, 3, 3))).toEqual([3, 4, 5]);
      const waiting = read(peer, 6, 2);
      await publishAll(5, 6);
      const found = await waiting;
      expect(found.map(({ seq, data }) => [seq, textOf(data)])).toEqual([
        [6, "record 5"],
        [7, "record 6"],
      ]);
    });

    test("a long backlog comes whole and in order, large records among it", async () => {
      const large = new Uint8Array(3_000_000).fill(7);
      for (let rseq = 0; rseq < 450; rseq++) await publish(rseq, rseq % 100 === 50 ? large : bytes(`record ${rseq}`));
      const found = await read(peer, 1, 450);
      expect(sequences(found)).toEqual(Array.from({ length: 450 }, (_, index) => index + 1));
      expect(found.filter(({ data }) => data.length === large.length)).toHaveLength(4);
    });

    test("following ends at once when it is aborted, before and while it waits", async () => {
      const stop = new AbortController();
      const all: LogMessage[] = [];
      const waiting = (async () => {
        for await (const message of peer.follow({ fromSeq: 1, signal: stop.signal })) all.push(message);
      })();
      await publish(0);
      await until("the first record", () => all.length === 1);
      stop.abort();
      await waiting;
      for await (const message of peer.follow({ fromSeq: 1, signal: stop.signal })) all.push(message);
      expect(all).toHaveLength(1);
    });

    test("following ends, without an error, when the connection is lost, and goes on from the checkpoint without a loss or a repeat", async () => {
      await publishAll(0, 1);
      const seen: number[] = [];
      const stop = new AbortController();
      const follow = async (): Promise<void> => {
        for await (const { seq } of peer.follow({ fromSeq: (seen.at(-1) ?? 0) + 1, signal: stop.signal })) seen.push(seq);
      };
      const first = follow();
      await until("two records", () => seen.length === 2);
      await world.down();
      await first;
      await until("the loss is noticed", () => !peer.connected());
      await expect(peer.streamState()).rejects.toMatchObject({ code: "unavailable" });
      await expect(peer.request(repairSubject(REGION), bytes("x"), { timeoutMs: 300 })).rejects.toMatchObject({ code: "unavailable" });
      await expect(follow()).rejects.toMatchObject({ code: "unavailable" });
      await world.up();
      await until("both are back", () => peer.connected() && keeper.connected());
      await until("the server takes records", () => publish(2).catch(() => null));
      const second = follow();
      await until("the third record", () => seen.length === 3);
      stop.abort();
      await second;
      expect(seen).toEqual([1, 2, 3]);
    });

    test("a server that lost all it stored shows it: its last sequence lies below the checkpoint, and a start beyond the end is clamped", async () => {
      await publishAll(0, 9);
      const { lastSeq: checkpoint } = await peer.streamState();
      await world.wipe();
      const state = await until("the server is back", async () => {
        await keeper.ensureLogStream(REGION).catch(() => undefined);
        return peer.streamState().catch(() => null);
      });
      expect(state.lastSeq).toBeLessThan(checkpoint);
      await publish(10);
      const clamped = read(peer, checkpoint + 1, 1);
      // Silently clamped to what comes next: that is why a reader compares first.
      const at = await until("something comes", async () => {
        const { seq } = await publish(11 + Math.floor(performance.now()));
        return Promise.race([clamped, Promise.resolve(null)]).then((found) => found ?? (seq > 200 ? [] : null));
      });
      expect(at[0]?.seq).toBeLessThan(checkpoint);
    });

    test("a peer's request is answered by one keeper of the region; without one it fails in time", async () => {
      await expect(peer.request(repairSubject(REGION), bytes("x"), { timeoutMs: 300 })).rejects.toMatchObject({ code: "unavailable" });
      keeper.serve(repairSubject(REGION), { queue: "keepers", handler: async ({ data }) => bytes(`got ${textOf(data)}`) });
      const reply = await until("a reply", () =>
        peer.request(repairSubject(REGION), bytes("stands"), { timeoutMs: 1_000 }).catch(() => null),
      );
      expect(textOf(reply)).toBe("got stands");
    });

    test("without a stream, and after its end, everything is unavailable; closing is repeatable", async () => {
      await world.wipe();
      await until("the loss shows", () =>
        peer.streamState().then(
          () => null,
          (error: unknown) => error,
        ),
      );
      await until("connected again", () => peer.connected() && keeper.connected());
      await expect(peer.streamState()).rejects.toMatchObject({ code: "unavailable" });
      await expect(read(peer, 1, 1)).rejects.toMatchObject({ code: "unavailable" });
      await expect(publish(0)).rejects.toMatchObject({ code: "unavailable" });
      await peer.close();
      await peer.close();
      expect(peer.connected()).toBe(false);
      await expect(peer.streamState()).rejects.toMatchObject({ code: "unavailable" });
    });
  });
}
