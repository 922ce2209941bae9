import { afterEach, describe, expect, test } from "vitest";
import { sha256Hex } from "../../../src/bus/keys.node.ts";
import { encodeSightings } from "../../../src/core/columns.ts";
import type { Assignment } from "../../../src/core/messages/job.ts";
import type { Statement } from "../../../src/core/messages/record.ts";
import { formatAddress } from "../../../src/core/address.ts";
import { ATTEMPTS_MAX } from "../../../src/ledger/types.ts";
import { until } from "../../bus/until.ts";
import {
  claim,
  factsOf,
  finish,
  firstPair,
  goodEvidence,
  messagesOf,
  recordKinds,
  send,
  services,
  sightingOf,
  signed,
  startJob,
} from "./scanner-part.ts";
import { startWorld, type World } from "./world.ts";

const part = (assignment: Assignment, open: readonly string[], over: Partial<Extract<Statement, { kind: "part" }>["content"]> = {}) => {
  const payload = encodeSightings(open.map(sightingOf));
  const content = {
    version: 1 as const,
    key: assignment.key,
    scanner: assignment.scanner,
    runId: "1".repeat(32),
    index: 0,
    sightings: open.length,
    payloadSha256: sha256Hex(payload),
    payloadBytes: payload.length,
    ...over,
  };
  return { statement: { kind: "part", content } satisfies Statement, payload };
};

describe("what the keeper takes from scanners", () => {
  let world: World | undefined;
  const begin = async (): Promise<{ w: World; assignment: Assignment; before: number; keeper: ReturnType<World["startKeeper"]> }> => {
    const w = await startWorld();
    world = w;
    const keeper = w.startKeeper("k1");
    await startJob(w);
    const { assignment, claim: held } = await claim(w, "s1");
    held.nak(60_000);
    return { w, assignment, before: (await recordKinds(w)).length, keeper };
  };
  const expectRefused = async (w: World, before: number, bytes: Uint8Array, words: RegExp): Promise<void> => {
    const reply = await send(w.bus, bytes);
    expect(reply).toMatchObject({ ok: false, retry: false });
    expect(JSON.stringify(reply)).toMatch(words);
    expect(await recordKinds(w)).toHaveLength(before);
    expect(await services(w)).toEqual([]);
  };
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  test("a signature by another key, even that of the other scanner, is refused and counted", async () => {
    const { w, assignment, before, keeper } = await begin();
    const { statement, payload } = part(assignment, [firstPair(assignment)]);
    for (const seed of [w.seeds.outsider, w.seeds.s2, w.seeds.keeper]) {
      await expectRefused(w, before, signed(statement, { name: "s1", seed }, payload), /not the registered one/);
    }
    const honest = signed(statement, { name: "s1", seed: w.seeds.s1 }, payload);
    const changed = Buffer.from(Buffer.from(honest).toString("latin1").replace('"index":0', '"index":1'), "latin1");
    await expectRefused(w, before, changed, /signature/);
    expect(keeper.status().counters).toMatchObject({ forged: 4, accepted: 0 });
  });

  test("a scanner cannot speak for another, nor as one that is not registered", async () => {
    const { w, assignment, before } = await begin();
    const { statement, payload } = part(assignment, [firstPair(assignment)]);
    await expectRefused(w, before, signed(statement, { name: "s2", seed: w.seeds.s2 }, payload), /speaks for/);
    await expectRefused(w, before, signed(statement, { name: "outsider", seed: w.seeds.outsider }, payload), /no registered scanner/);
  });

  test("a shard, tile, attempt or job that was never given to the scanner is refused", async () => {
    const { w, assignment, before } = await begin();
    const keys = [
      { ...assignment.key, shard: assignment.key.shard === 1 ? 2 : 1 },
      { ...assignment.key, shard: 3 },
      { ...assignment.key, tile: 4 },
      { ...assignment.key, attempt: ATTEMPTS_MAX + 1 },
      { ...assignment.key, job: "f".repeat(64) },
    ];
    for (const key of keys) {
      const { statement, payload } = part(assignment, [firstPair(assignment)], { key });
      await expectRefused(w, before, signed(statement, { name: "s1", seed: w.seeds.s1 }, payload), /never given|no tile|not in the ledger/);
      const run = messagesOf(w, { assignment: { ...assignment, key } });
      await expectRefused(w, before, run.report, /never given|no tile|not in the ledger/);
    }
  });

  test("a sighting outside the tile, by address or by port, makes the whole part refused", async () => {
    const { w, assignment, before } = await begin();
    const facts = await factsOf(w, assignment.key.job);
    const other = facts.tile(1).tile.ranges[0]?.first ?? 0n;
    const strays = [`${formatAddress(other)}:80`, firstPair(assignment).replace(":80", ":81"), "198.51.100.1:80"];
    for (const stray of strays) {
      const { statement, payload } = part(assignment, [firstPair(assignment), stray]);
      await expectRefused(w, before, signed(statement, { name: "s1", seed: w.seeds.s1 }, payload), /not in tile/);
    }
  });

  test("a payload that is not what the part announces is refused", async () => {
    const { w, assignment, before } = await begin();
    const open = [firstPair(assignment)];
    const honest = part(assignment, open);
    const more = part(assignment, open, { sightings: 2 });
    await expectRefused(w, before, signed(more.statement, { name: "s1", seed: w.seeds.s1 }, more.payload), /announces 2/);
    const garbled = honest.payload.slice();
    garbled[garbled.length - 1] = (garbled.at(-1) ?? 0) ^ 1;
    await expectRefused(w, before, signed(honest.statement, { name: "s1", seed: w.seeds.s1 }, garbled), /not the one/);
    await expectRefused(w, before, new Uint8Array([0, 0, 0, 9, 1, 2]), /message/);
    await expectRefused(w, before, new Uint8Array(0), /message/);
  });

  test("a scanner can write neither jobs nor the end of tiles", async () => {
    const { w, assignment, before } = await begin();
    const statements: Statement[] = [
      {
        kind: "tile-complete",
        content: { version: 1, job: assignment.key.job, tile: 0, reports: [{ shard: 1, id: "0".repeat(64) }], held: null },
      },
      {
        kind: "tile-abandoned",
        content: { version: 1, job: assignment.key.job, tiles: [{ first: 0, last: 3 }], cause: "cancelled", detail: "" },
      },
    ];
    for (const statement of statements)
      await expectRefused(w, before, signed(statement, { name: "s1", seed: w.seeds.s1 }), /parts, reports and probes/);
  });

  test("the same statement again, also at the same moment, gets the same receipt and is stored once", async () => {
    const { w, assignment, before } = await begin();
    const { part: bytes } = messagesOf(w, { assignment, open: [firstPair(assignment)] });
    if (bytes === null) throw new Error("no part");
    const replies = await Promise.all([send(w.bus, bytes), send(w.bus, bytes), send(w.bus, bytes)]);
    replies.push(await send(w.bus, bytes));
    expect(new Set(replies.map((reply) => JSON.stringify(reply))).size).toBe(1);
    expect(replies[0]).toMatchObject({ ok: true });
    expect(await recordKinds(w)).toHaveLength(before + 1);
  });

  test("a report that calls itself complete without the evidence is stored as it is and counts as partial", async () => {
    const { w, assignment } = await begin();
    const good = goodEvidence(assignment, 0);
    for (const evidence of [null, { ...good, ended: false }, { ...good, rangesSha256: "0".repeat(64) }]) {
      expect(await send(w.bus, messagesOf(w, { assignment, evidence }).report)).toMatchObject({ ok: true });
    }
    const shard = (await w.ledger.listShards({ job: assignment.key.job, nowMs: w.nowMs() })).items[0];
    expect(shard).toMatchObject({ tile: 0, shard: 1, attempt: 2, state: "waiting" });
    expect(shard?.problem).not.toBeNull();
  });

  test("a report whose parts do not add up is refused", async () => {
    const { w, assignment, before } = await begin();
    const { report } = messagesOf(w, { assignment, open: [firstPair(assignment)] });
    const text = Buffer.from(report).toString("latin1");
    expect(text).toContain('"sightings":1');
    const statement = JSON.parse(text.slice(4)).statement as Extract<Statement, { kind: "report" }>;
    const wrong: Statement = { kind: "report", content: { ...statement.content, sightings: 2 } };
    await expectRefused(w, before, signed(wrong, { name: "s1", seed: w.seeds.s1 }), /add up/);
  });

  test("a tile is not complete before all parts that its reports name are there", async () => {
    const { w, assignment } = await begin();
    const mine = messagesOf(w, { assignment, open: [firstPair(assignment)] });
    await send(w.bus, mine.report);
    const other = await claim(w, "s2");
    expect(other.assignment.key.tile).toBe(0);
    await send(w.bus, messagesOf(w, other).report);
    await until("both reports", async () => {
      const { items } = await w.ledger.listShards({ job: assignment.key.job, nowMs: w.nowMs(), tile: 0 });
      return items.every((shard) => shard.state === "complete");
    });
    expect((await w.ledger.job(assignment.key.job))?.tiles.complete).toBe(0);
    if (mine.part !== null) await send(w.bus, mine.part);
    await until("the tile", async () => (await w.ledger.job(assignment.key.job))?.tiles.complete === 1);
  });

  test("a scanner that was removed from the registry is no longer believed", async () => {
    const { w, assignment, before, keeper } = await begin();
    w.state.value = { ...w.state.value, version: 2, scanners: w.state.value.scanners.filter((scanner) => scanner.name !== "s1") };
    await until("the new version", () => keeper.status().registryVersion === 2);
    await expectRefused(w, before, messagesOf(w, { assignment }).report, /no registered scanner/);
  });

  test("while the ledger is down nothing is acknowledged and everything may be sent again; afterwards it is taken once", async () => {
    const { w, assignment } = await begin();
    const { part: bytes, report } = messagesOf(w, { assignment, open: [firstPair(assignment)] });
    if (bytes === null) throw new Error("no part");
    await w.store.kill9();
    expect(await send(w.bus, bytes)).toMatchObject({ ok: false, retry: true });
    await w.store.restart();
    await until("a receipt", async () => (await send(w.bus, bytes).catch(() => null))?.ok === true);
    await until("a receipt of the report", async () => (await send(w.bus, report).catch(() => null))?.ok === true);
    expect((await recordKinds(w)).filter((kind) => kind === "part")).toHaveLength(1);
    expect(await finish(w, assignment.key.job)).toMatchObject({ state: "complete" });
  });

  test("a ledger that forgot its durability gets it back before anything is acknowledged", async () => {
    const { w, assignment } = await begin();
    const relaxed = await fetch(`${w.store.adminUrl}/v1/namespaces/default/config`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ block_reads: false, block_writes: false, durability_mode: "relaxed", txn_timeout_s: 5 }),
    });
    expect(relaxed.ok).toBe(true);
    const { report } = messagesOf(w, { assignment });
    expect(await send(w.bus, report)).toMatchObject({ ok: true });
    expect(w.lines.join("\n")).toContain("strong durability again");
  });

  test("a ledger that cannot be made durable takes nothing", async () => {
    const w = await startWorld([{}], { adminUrl: "http://127.0.0.1:9" });
    world = w;
    await fetch(`${w.store.adminUrl}/v1/namespaces/default/config`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ block_reads: false, block_writes: false, durability_mode: "relaxed", txn_timeout_s: 5 }),
    });
    const keeper = w.startKeeper("k1");
    await w.ledger.submitCommand("start-job", { planId: "plan-0" }, { nowMs: w.nowMs() });
    await until("the problem is named", () => Object.values(keeper.status().problems).some((problem) => problem.includes("durably")));
    expect(await recordKinds(w)).toEqual([]);
  });
});
