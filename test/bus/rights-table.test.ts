import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect, nkeyAuthenticator, type NatsConnection, PermissionViolationError } from "nats";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { Bus } from "../../src/bus/bus.ts";
import { newSeed, publicKeyOf } from "../../src/bus/keys.node.ts";
import { peerClient, recordMessageId, repairSubject, resultSubject } from "../../src/bus/names.ts";
import { connectNats } from "../../src/bus/nats.ts";
import { connectPeer } from "../../src/bus/nats-peer.ts";
import type { PeerLink } from "../../src/bus/peer.ts";
import { startNats, type LocalNats } from "../../src/local/nats.ts";
import { type Attempts, FORBIDDEN, LOG } from "./forbidden.ts";
import { until } from "./until.ts";

const seeds = { KEEPER: newSeed(), s1: newSeed(), s2: newSeed(), api: newSeed(), peer_us: newSeed(), peer_ap: newSeed() };
const STRANGER = newSeed();
type Name = keyof typeof seeds;
const user = (name: Name) => ({ name, publicKey: publicKeyOf(seeds[name]) });
const users = {
  keepers: [user("KEEPER")],
  scanners: [user("s1"), user("s2")],
  watchers: [user("api")],
  // Two keepers of one region share its name.
  peers: [user("peer_us"), { name: peerClient("us"), publicKey: publicKeyOf(newSeed()) }, user("peer_ap")],
};
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

const dir = mkdtempSync(join(tmpdir(), "portolan-rights-table-"));
const open: { close(): Promise<void> }[] = [];
let server: LocalNats;

/** A client that keeps to nothing but what the server refuses. */
async function raw(name: string, seed: string | null): Promise<NatsConnection> {
  const connection = await connect({
    servers: server.url,
    inboxPrefix: `_INBOX.${name}`,
    reconnect: false,
    timeout: 5_000,
    ...(seed === null ? {} : { authenticator: nkeyAuthenticator(bytes(seed)) }),
  });
  open.push(connection);
  return connection;
}

async function keeper(): Promise<Bus> {
  const bus = await connectNats({ url: server.url, client: "KEEPER", seed: seeds.KEEPER });
  open.push(bus);
  await bus.ensureWorkQueue("eu");
  await bus.ensureLogStream("eu");
  return bus;
}

async function peer(name: "peer_us" | "peer_ap" = "peer_us"): Promise<PeerLink> {
  const link = await connectPeer({ region: "eu", url: server.url, client: name, seed: seeds[name] });
  open.push(link);
  return link;
}

/** Which of the attempts the server refused, as "verb subject". */
async function refusals(connection: NatsConnection, { publish, subscribe }: Attempts): Promise<Set<string>> {
  const refused = new Set<string>();
  const watch = (async () => {
    for await (const status of connection.status()) {
      if (status.type !== "error" || !(status.error instanceof PermissionViolationError)) continue;
      const { operation, subject, queue } = status.error;
      refused.add(`${operation} ${subject}${queue === undefined ? "" : ` ${queue}`}`);
    }
  })();
  for (const subject of publish) connection.publish(subject, "forged");
  for (const text of subscribe) {
    const [subject = "", queue] = text.split(" ");
    connection.subscribe(subject, { ...(queue === undefined ? {} : { queue }), callback: () => undefined });
  }
  const wanted = publish.length + subscribe.length;
  await until("all refusals", () => refused.size >= wanted, 5_000).catch(() => undefined);
  await connection.close();
  await watch;
  return refused;
}

beforeAll(async () => {
  server = await startNats({ dir, region: "eu", ...users });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});
afterAll(async () => {
  await server.stop();
  rmSync(dir, { recursive: true, force: true });
});

describe("what nobody but the region's own keepers may do", () => {
  test("is a table of more than a hundred pairs", () => {
    const pairs = Object.entries(FORBIDDEN).flatMap(([who, { publish, subscribe }]) => [
      ...publish.map((subject) => `${who} publishes ${subject}`),
      ...subscribe.map((subject) => `${who} reads ${subject}`),
    ]);
    expect(new Set(pairs).size).toBe(pairs.length);
    expect(pairs.length).toBeGreaterThanOrEqual(150);
  });

  test.each(Object.entries(FORBIDDEN))("the server refuses %s every one of them, and nothing of it arrives", async (who, forbidden) => {
    const own = await keeper();
    const arrived: string[] = [];
    for (const subject of [
      "results.>",
      "shards.>",
      "reports.>",
      "repair.>",
      "cancel.>",
      "kept.>",
      "scan.>",
      "heartbeat.*",
      "progress.>",
      "_INBOX.s1.>",
    ])
      own.subscribe(subject, (message) => arrived.push(message.subject));
    const before = await own.logStreamState("eu");
    const found = await refusals(await raw(who, seeds[who as Name]), forbidden);
    const expected = [
      ...forbidden.publish.map((subject) => `publish ${subject}`),
      ...forbidden.subscribe.map((one) => `subscription ${one}`),
    ];
    expect(expected.filter((one) => !found.has(one))).toEqual([]);
    expect(arrived).toEqual([]);
    expect(await own.logStreamState("eu")).toEqual(before);
    expect(await own.queued("eu", "shards.>")).toEqual([]);
  });

  test.each([
    ["without a key", null, "nobody"],
    ["with a key that the server does not know", STRANGER, "peer_us"],
    ["with a stranger's key under a scanner's name", STRANGER, "s1"],
  ])("a client %s gets in for none of them", async (_, seed, name) => {
    await expect(raw(name, seed)).rejects.toThrow(/Authorization Violation/i);
    await expect(connectPeer({ region: "eu", url: server.url, client: name, ...(seed === null ? {} : { seed }) })).rejects.toMatchObject({
      code: "unavailable",
    });
  });

  test("a peer that is removed is cut off while it reads, and gets in no more; the others notice nothing", async () => {
    const own = await keeper();
    const [us, ap] = [await peer(), await peer("peer_ap")];
    const seen: number[] = [];
    const reading = (async () => {
      for await (const { seq } of us.follow({ fromSeq: 1, signal: new AbortController().signal })) seen.push(seq);
    })();
    await own.publishRecord("eu", { subject: resultSubject("eu", LOG), data: bytes("x"), id: recordMessageId(LOG, 900) });
    await until("it reads", () => seen.length > 0);
    server.reload({ ...users, peers: [user("peer_ap")] });
    try {
      await reading;
      await until("it is out", () => !us.connected());
      await expect(us.streamState()).rejects.toMatchObject({ code: "unavailable" });
      await expect(raw("peer_us", seeds.peer_us)).rejects.toThrow(/Authorization Violation/i);
      expect(ap.connected()).toBe(true);
      expect((await ap.streamState()).lastSeq).toBeGreaterThan(0);
    } finally {
      server.reload(users);
    }
    await until("it may come back", () => us.connected());
  });
});

describe("what a peer may do", () => {
  test("works with its rights: look at the stream, follow it, tidy up, and ask for records", async () => {
    const own = await keeper();
    const us = await peer();
    own.serve(repairSubject("eu"), { queue: "keepers", handler: async () => bytes("here") });
    const admin = await jetstreamManager(await raw("KEEPER", seeds.KEEPER));
    const consumers = (await admin.streams.info("RESULTS_eu")).state.consumer_count;
    const from = (await us.streamState()).lastSeq + 1;
    for (let rseq = 0; rseq < 3; rseq++)
      await own.publishRecord("eu", { subject: resultSubject("eu", LOG), data: bytes(`${rseq}`), id: recordMessageId(LOG, rseq) });
    const seen: string[] = [];
    for await (const { data } of us.follow({ fromSeq: from, signal: new AbortController().signal })) {
      seen.push(new TextDecoder().decode(data));
      if (seen.length === 3) break;
    }
    expect(seen).toEqual(["0", "1", "2"]);
    const reply = await until("a reply", () => us.request(repairSubject("eu"), bytes("?"), { timeoutMs: 1_000 }).catch(() => null));
    expect(new TextDecoder().decode(reply)).toBe("here");
    await until("its consumer is gone", async () => (await admin.streams.info("RESULTS_eu")).state.consumer_count === consumers);
  });

  test("two keepers of a region share its name but no key", async () => {
    expect(() => server.reload({ ...users, peers: [user("peer_us"), user("peer_us")] })).toThrow(/two NATS clients/);
    expect(() => server.reload({ ...users, peers: [{ ...user("peer_us"), name: "s1" }] })).toThrow(/two NATS clients/);
  });
});

describe("holes that are known, so nothing may trust a subject", () => {
  test("an asker cannot have a keeper's reply put where it may not write itself", async () => {
    const own = await keeper();
    let asked = 0;
    own.serve(repairSubject("eu"), { queue: "keepers", handler: async () => (asked++, bytes("reply")) });
    const before = await own.logStreamState("eu");
    const us = await peer();
    await until("the keeper serves", () => us.request(repairSubject("eu"), bytes("?"), { timeoutMs: 1_000 }).catch(() => null));
    const connection = await raw("peer_us", seeds.peer_us);
    connection.publish(repairSubject("eu"), "?", { reply: `results.eu.${LOG}` });
    connection.publish(repairSubject("eu"), "?");
    await connection.flush();
    await us.request(repairSubject("eu"), bytes("?"), { timeoutMs: 1_000 });
    expect(asked).toBe(2);
    expect(await own.logStreamState("eu")).toEqual(before);
  });

  // Known and measured: the server checks no reply subject of a pull. What comes that way is a repeat with the id that the stream knows.
  test("a pull may name the stream itself as its reply: an old message comes again, and is stored no second time", async () => {
    const own = await keeper();
    await own.publishRecord("eu", { subject: resultSubject("eu", LOG), data: bytes("once"), id: recordMessageId(LOG, 70) });
    const before = await own.logStreamState("eu");
    const connection = await raw("peer_us", seeds.peer_us);
    const repeated: string[] = [];
    own.subscribe("results.eu.>", (message) => repeated.push(new TextDecoder().decode(message.data)));
    const consumer = await jetstream(connection).consumers.get("RESULTS_eu", { deliver_policy: DeliverPolicy.All });
    const { name } = await consumer.info(true);
    connection.publish(`$JS.API.CONSUMER.MSG.NEXT.RESULTS_eu.${name}`, JSON.stringify({ batch: 1, expires: 1_000_000_000 }), {
      reply: `results.eu.${LOG}`,
    });
    await until("the repeat", () => repeated.length > 0);
    expect(await own.logStreamState("eu")).toEqual(before);
  });
});
