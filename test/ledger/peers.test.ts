import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { isLeaseLost } from "../../src/ledger/settle.ts";
import type { AcceptItem, PeerItem } from "../../src/ledger/types.ts";
import { authorOf, contextAt, keyOf, sha256, sightingsOf, uploadOf } from "./builders.ts";
import { openMemoryDatabase } from "./memory-database.ts";
import { START_MS, TestRegion, travelled } from "./regions.ts";

const databases = [openMemoryDatabase(), openMemoryDatabase()];
const [A, B, C] = ["a", "b", "c"].map((letter) => letter.repeat(32)) as [string, string, string];
let eu: TestRegion;
let us: TestRegion;

afterAll(() => databases.forEach((database) => database.close()));
beforeEach(async () => {
  [eu, us] = [await TestRegion.on("eu", "a", databases[0]), await TestRegion.on("us", "b", databases[1])];
});

const seen = (source: string, ...services: string[]): AcceptItem =>
  uploadOf(sightingsOf(services.length === 0 ? ["192.0.2.1:80"] : services), source);
const many = (count: number, name = "u"): AcceptItem[] => Array.from({ length: count }, (_, index) => seen(`${name}${index}`));
const logOf = async (region: TestRegion, log: string): Promise<PeerItem[]> => region.ledger.readLog({ log, from: 0, limit: 256 });
const standOf = async (region: TestRegion, log: string) => (await region.ledger.logStands()).find((stand) => stand.log === log);

describe("reading a ledger for its peers", () => {
  test("says where each log stands, with the chain hash at its prefix and what lies beyond a hole", async () => {
    expect(await eu.ledger.logStands()).toEqual([{ log: A, region: "eu", own: true, prefix: -1, highest: -1, chain: "" }]);
    await us.accept(...many(5));
    const all = await logOf(us, B);
    await eu.apply([all[0], all[1], all[4]].flatMap((one) => one ?? []));
    expect(await standOf(eu, B)).toEqual({ log: B, region: "us", own: false, prefix: 1, highest: 4, chain: all[1]?.acceptance.chain });
    expect(await eu.ledger.chainAt({ log: B, rseq: 4 })).toBe(all[4]?.acceptance.chain);
    expect(await eu.ledger.chainAt({ log: B, rseq: 3 })).toBeNull();
    expect(await eu.ledger.chainAt({ log: C, rseq: 0 })).toBeNull();
  });

  test("gives records as they were accepted, from a number on, never over a hole", async () => {
    const items = many(5);
    await us.accept(...items);
    const all = await logOf(us, B);
    expect(all.map(({ id }) => id)).toEqual(items.map(({ id }) => id));
    const plain = (item: PeerItem): PeerItem => ({ ...item, payload: item.payload === null ? null : new Uint8Array(item.payload) });
    expect(all.map(travelled)).toEqual(all.map(plain));
    await eu.apply([all[0], all[1], all[3], all[4]].flatMap((one) => one ?? []));
    const numbers = async (from: number, limit = 256): Promise<number[]> =>
      (await eu.ledger.readLog({ log: B, from, limit })).map(({ acceptance }) => acceptance.rseq);
    expect(await numbers(0)).toEqual([0, 1]);
    expect(await numbers(0, 1)).toEqual([0]);
    expect(await numbers(2)).toEqual([]);
    expect(await numbers(3)).toEqual([3, 4]);
    expect(await numbers(9)).toEqual([]);
    for (const limit of [0, 257, 1.5]) await expect(numbers(0, limit)).rejects.toMatchObject({ code: "invalid" });
  });

  test("gives no more than about 4 MB at once, but always one record, however well payloads were compressed", async () => {
    const items = Array.from({ length: 12 }, (_, index) => {
      const payload = new Uint8Array(500_000).fill(index);
      const content = { version: 1 as const, source: "big", sightings: 1, payloadSha256: sha256(payload), payloadBytes: payload.length };
      const statement = { kind: "upload" as const, content };
      return { id: sha256(`big ${index}`), statement, author: authorOf("s1", keyOf("A")), payload, region: "us" };
    });
    const stored = items.map((item, rseq) => ({
      ...item,
      acceptance: { log: B, rseq, stampMs: 1, judged: null, chain: sha256(`${rseq}`), signature: "A".repeat(86) },
    }));
    await eu.ledger.applyPeers({ items: stored }, { ...contextAt(eu.epoch, 1), compress: (bytes) => bytes.slice(0, 9) });
    const [rows] = await eu.database.batch([{ sql: "update record set zstd = 0" }, { sql: "select count(*) as n from record" }], "write");
    expect(rows).toEqual([]);
    const found = await eu.ledger.readLog({ log: B, from: 0, limit: 256 });
    expect(found).toHaveLength(7);
    await eu.database.batch([{ sql: "update record set body = body || ' ' || printf('%.5000000c', ' ') where rseq = 7" }], "write");
    expect((await eu.ledger.readLog({ log: B, from: 7, limit: 256 })).map(({ acceptance }) => acceptance.rseq)).toEqual([7]);
  });
});

describe("records of peers", () => {
  test("are applied with the checkpoint in one transaction, or neither", async () => {
    await us.accept(...many(3));
    const all = await logOf(us, B);
    await eu.apply(all.slice(0, 2), { region: "us", seq: 17 });
    expect(await eu.ledger.peers()).toMatchObject([
      { region: "us", checkpoint: 17, contactMs: 0, behind: 0, equalAtMs: null, alarm: null },
    ]);
    const fork = all.slice(2).map((item) => ({ ...item, acceptance: { ...item.acceptance, rseq: 1 } }));
    await expect(eu.apply(fork, { region: "us", seq: 18 })).rejects.toMatchObject({ code: "conflict" });
    expect((await eu.ledger.peers())[0]?.checkpoint).toBe(17);
    expect(await standOf(eu, B)).toMatchObject({ prefix: 1, highest: 1 });
  });

  test("move the checkpoint forward only, until it is reset; also when there are none", async () => {
    const at = async (seq: number): Promise<number | undefined> => {
      await eu.apply([], { region: "us", seq });
      return (await eu.ledger.peers())[0]?.checkpoint;
    };
    expect(await at(5)).toBe(5);
    expect(await at(3)).toBe(5);
    await eu.ledger.resetCheckpoint("us", { epoch: eu.epoch });
    expect(await at(0)).toBe(0);
    expect(await at(2)).toBe(2);
  });

  test("may be repeated, come in any order and with holes, and more than one transaction takes", async () => {
    const items = many(300);
    for (let at = 0; at < items.length; at += 100) await us.accept(...items.slice(at, at + 100));
    const all = [...(await logOf(us, B)), ...(await us.ledger.readLog({ log: B, from: 256, limit: 256 }))];
    expect(all).toHaveLength(300);
    await eu.apply(all.toReversed().filter((_, index) => index % 2 === 0));
    expect(await standOf(eu, B)).toMatchObject({ highest: 299, prefix: -1 });
    await eu.apply([...all, ...all], { region: "us", seq: 300 });
    expect(await standOf(eu, B)).toEqual({ ...(await standOf(us, B)), own: false });
  });

  test("that stand at two positions of one log, or at one position with another chain, are refused", async () => {
    await us.accept(...many(2));
    const [first, second] = await logOf(us, B);
    if (first === undefined || second === undefined) throw new Error("no records");
    await eu.apply([first]);
    const moved = { ...first, acceptance: { ...first.acceptance, rseq: 1 } };
    await expect(eu.apply([moved])).rejects.toMatchObject({ code: "conflict" });
    const relinked = { ...first, acceptance: { ...first.acceptance, chain: second.acceptance.chain } };
    await expect(eu.apply([relinked])).rejects.toMatchObject({ code: "conflict" });
    await eu.apply([first, second]);
    expect(await standOf(eu, B)).toMatchObject({ prefix: 1 });
  });

  test("of the own log are taken when they are the same, and refused when this ledger lacks them", async () => {
    await eu.accept(...many(2));
    await us.pull(eu);
    const all = await logOf(us, A);
    await eu.apply(all);
    const more = all.slice(1).map(({ acceptance }) => ({ ...seen("more"), region: "eu", acceptance: { ...acceptance, rseq: 2 } }));
    const refused: unknown = await eu.apply(more).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "conflict" });
    expect(isLeaseLost(refused)).toBe(false);
    expect(await eu.accept(seen("own"))).toEqual(["a2"]);
  });

  test("accepted in two regions have two positions: only a frontier with both overrules them", async () => {
    const item = seen("both");
    await eu.accept(item);
    await us.accept(seen("before"), item);
    await us.pull(eu);
    await us.look([], { frontier: { [A]: 0, [B]: 0 } });
    expect(await us.states()).toEqual({ "192.0.2.1:80": "open" });
    await us.look([], { frontier: { [B]: 1 } });
    expect(await us.states()).toEqual({ "192.0.2.1:80": "open" });
    await us.look([], { frontier: { [A]: 0, [B]: 1 } });
    expect(await us.states()).toEqual({ "192.0.2.1:80": "closed" });
    await eu.pull(us);
    expect(await eu.states()).toEqual({ "192.0.2.1:80": "closed" });
    expect(await eu.hash()).toEqual(await us.hash());
  });

  test("never have a stamp above the one that our next record gets, though their clock runs ahead", async () => {
    await eu.accept(seen("first"));
    us.nowMs = START_MS + 240_000;
    await us.accept(seen("ahead"));
    await eu.pull(us);
    await eu.accept(seen("second"));
    await eu.accept(seen("third"));
    const stamps = (await logOf(eu, A)).map(({ acceptance }) => acceptance.stampMs);
    const ahead = (await logOf(eu, B))[0]?.acceptance.stampMs ?? 0;
    expect(stamps.slice(1)).toEqual([ahead + 1, ahead + 2]);
  });
});

describe("what a keeper notes about its peers and its stream", () => {
  test("stays apart from the checkpoint", async () => {
    await eu.apply([], { region: "us", seq: 4 });
    const state = { region: "us", contactMs: 7, behind: 3, equalAtMs: null, alarm: "differs" };
    await eu.ledger.setPeer(state, { epoch: eu.epoch });
    await eu.ledger.setPeer({ ...state, region: "ap", equalAtMs: 5, alarm: null }, { epoch: eu.epoch });
    expect(await eu.ledger.peers()).toEqual([
      { ...state, region: "ap", checkpoint: 0, equalAtMs: 5, alarm: null },
      { ...state, checkpoint: 4 },
    ]);
  });

  test("names the published end of the own log only", async () => {
    expect(await eu.ledger.publishedUpto()).toBeNull();
    await eu.accept(...many(3));
    await eu.ledger.setPublished({ log: A, rseq: 2, seq: 90 }, { epoch: eu.epoch });
    expect(await eu.ledger.publishedUpto()).toEqual({ log: A, rseq: 2, seq: 90 });
    await eu.ledger.setPublished({ log: C, rseq: 9, seq: 99 }, { epoch: eu.epoch });
    expect(await eu.ledger.publishedUpto()).toEqual({ log: A, rseq: 2, seq: 90 });
  });

  test("is written under the lease only", async () => {
    const epoch = eu.epoch - 1;
    const calls = [
      eu.ledger.applyPeers({ items: [], checkpoint: { region: "us", seq: 1 } }, contextAt(epoch, 1)),
      eu.ledger.setPublished({ log: A, rseq: 0, seq: 1 }, { epoch }),
      eu.ledger.setPeer({ region: "us", contactMs: 1, behind: 0, equalAtMs: null, alarm: null }, { epoch }),
      eu.ledger.resetCheckpoint("us", { epoch }),
      eu.ledger.retireLog(() => C, { epoch, reason: "test" }),
    ];
    for (const call of calls) {
      const error: unknown = await call.catch((caught: unknown) => caught);
      expect(error).toMatchObject({ code: "conflict" });
      expect(isLeaseLost(error)).toBe(true);
    }
    expect(await eu.ledger.peers()).toEqual([]);
    expect(await eu.ledger.logStands()).toMatchObject([{ log: A, own: true }]);
  });
});
