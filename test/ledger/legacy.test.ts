import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { decodeSightings, encodeSightings, type Sighting } from "../../src/core/columns.ts";
import { jsonParser } from "../../src/core/import/json.ts";
import { createTally } from "../../src/core/import/tally.ts";
import { foldVerdicts } from "../../src/core/verdict/fold.ts";
import { formatAddress } from "../../src/core/address.ts";
import type { AcceptItem } from "../../src/ledger/types.ts";
import { uploadOf } from "./builders.ts";
import { foldRecordOf } from "./history.ts";
import { TestKeeper } from "./ledger-test.ts";
import { openMemoryDatabase } from "./memory-database.ts";

const memory = openMemoryDatabase();
let keeper: TestKeeper;

beforeEach(async () => {
  memory.clear();
  keeper = await TestKeeper.on(memory);
});
afterAll(() => memory.close());

/** What the old route makes of a body; null when nothing in it is a sighting. */
function uploadFrom(body: string, source: string): AcceptItem | null {
  const seen: Sighting[] = [];
  const parser = jsonParser(
    createTally((sighting) => void seen.push(sighting)),
    1_700_000_100,
  );
  parser.push(body);
  parser.end();
  // Repeats are one sighting, as in the API.
  return seen.length === 0 ? null : uploadOf(decodeSightings(encodeSightings(seen)), source);
}

async function post(body: unknown, source = "cron"): Promise<void> {
  const item = uploadFrom(typeof body === "string" ? body : JSON.stringify(body), source);
  if (item !== null) await keeper.accept(item);
}

function seen(ip: string, ...ports: number[]) {
  return { ip, ports: ports.map((port) => ({ port, proto: "tcp", status: "open" })) };
}

/** One of each: an open, a missing and a closed service, one that only an upload saw, and one that was never covered. */
async function begin(): Promise<void> {
  const all = ["192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:443"];
  await keeper.runJob(all);
  await keeper.runJob(["192.0.2.1:80", "192.0.2.2:80"], { closeAfter: 2 });
  await keeper.runJob(["192.0.2.1:80"], { closeAfter: 2 });
  await post([seen("192.0.2.4", 80), seen("203.0.113.9", 8080)]);
}

const START = {
  "192.0.2.1:80": "open",
  "192.0.2.2:80": "missing",
  "192.0.2.3:443": "closed",
  "192.0.2.4:80": "open",
  "203.0.113.9:8080": "open",
};

/** Keys of all services that are open. */
async function openKeys(): Promise<string[]> {
  const sql = "select lower(hex(ip)) || ' ' || proto || '/' || port as key from service where state = 0";
  const [rows] = await memory.batch([{ sql }], "read");
  return (rows ?? []).map((row) => String(row["key"]));
}

describe("what the old program's scripts send", () => {
  test("never takes a service out of open: 10,000 random bodies, and the fold says the same", async () => {
    await begin();
    expect(await keeper.states()).toEqual(START);
    const address = fc.constantFrom(
      "192.0.2.1",
      "192.0.2.2",
      "192.0.2.3",
      "192.0.2.4",
      "203.0.113.9",
      "::ffff:192.0.2.1",
      "2001:db8::1",
      "x",
      "",
    );
    const good = fc.record({ port: fc.constantFrom(80, 443, 8080, 22), proto: fc.constantFrom("tcp", "udp"), status: fc.constant("open") });
    const odd = fc.record(
      {
        port: fc.oneof(fc.constantFrom(80, 443, 8080, 0, 65_535), fc.integer({ min: -5, max: 70_000 }), fc.string()),
        proto: fc.constantFrom("tcp", "udp", "sctp", "icmp"),
        status: fc.constantFrom("open", "closed", "filtered", ""),
        service: fc.constantFrom({ name: "ssh" }, {}),
      },
      { requiredKeys: [] },
    );
    const port = fc.oneof({ weight: 2, arbitrary: good }, { weight: 3, arbitrary: odd });
    const entry = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record(
          { ip: address, timestamp: fc.constantFrom("1", "1700000000", 1_900_000_000, "x"), ports: fc.array(port, { maxLength: 4 }) },
          { requiredKeys: ["ip"] },
        ),
      },
      { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 2 }) },
    );
    const body = fc
      .tuple(fc.array(entry, { maxLength: 4 }), fc.constantFrom("whole", "cut", "old"), fc.nat(200))
      .map(([entries, shape, at]) => {
        const text = JSON.stringify(entries);
        return shape === "whole"
          ? text
          : shape === "cut"
            ? text.slice(0, at)
            : `${entries.map((one) => JSON.stringify(one)).join(",\n")},\n{finished: 1}`;
      });
    let posts = 0;
    let left = 0;
    let before = await openKeys();
    expect(before).toHaveLength(3);
    await fc.assert(
      fc.asyncProperty(body, async (text) => {
        await post(text, `script ${posts % 3}`);
        posts += 1;
        if (posts % 100 !== 0) return;
        await keeper.settle();
        const now = new Set(await openKeys());
        left += before.filter((key) => !now.has(key)).length;
        before = [...now];
      }),
      { numRuns: 10_000, endOnFailure: true },
    );
    expect([posts, left]).toEqual([10_000, 0]);
    const [rows] = await memory.batch([{ sql: "select count(*) as n from record where kind = 'upload'" }], "read");
    expect(Number(rows?.[0]?.["n"])).toBeGreaterThan(1_000);
    // All of the first five were sent open at some time, and much more.
    expect(before.length).toBeGreaterThan(100);
    for (const [service, state] of Object.entries(START)) {
      const [address = "", port = ""] = service.split(":");
      const now = (await keeper.ledger.host(address)).find((one) => one.port === Number(port))?.state;
      expect([service, state, now]).toEqual([service, state, "open"]);
    }
  }, 600_000);

  test("a: a shard, a shorter list, one address or nothing at all leaves everything else as it was", async () => {
    await begin();
    for (const body of [[seen("192.0.2.4", 80)], [], [seen("192.0.2.200", 1)], "", "{finished: 1}"]) await post(body);
    await keeper.settle();
    expect(await keeper.states()).toEqual({ ...START, "192.0.2.200:1": "open" });
  });

  test("b: two sources with complementary ranges alternate 100 times, and all stays open", async () => {
    for (let round = 0; round < 100; round += 1) {
      const timestamp = String(1_700_000_000 + round);
      await post([{ ...seen(round % 2 === 0 ? "192.0.2.10" : "192.0.2.11", 80), timestamp }], round % 2 === 0 ? "left" : "right");
    }
    await keeper.settle();
    expect(await keeper.states()).toEqual({ "192.0.2.10:80": "open", "192.0.2.11:80": "open" });
  });

  test("c: results of a job after a plain POST change nothing elsewhere", async () => {
    await begin();
    await post([seen("192.0.2.50", 80)]);
    await post([seen("192.0.2.51", 80)], "job 1");
    await keeper.settle();
    expect(await keeper.states()).toEqual({ ...START, "192.0.2.50:80": "open", "192.0.2.51:80": "open" });
  });

  test("d: the order of records and of posts does not matter", async () => {
    const bodies = [[seen("192.0.2.1", 22), seen("192.0.2.2", 80)], [seen("192.0.2.3", 443)], [seen("192.0.2.1", 443, 22)]];
    const views: unknown[] = [];
    for (const order of [
      [0, 1, 2],
      [2, 1, 0],
      [1, 2, 0],
    ]) {
      memory.clear();
      keeper = await TestKeeper.on(memory);
      for (const at of order) await post((bodies[at] ?? []).toReversed());
      views.push(await keeper.states());
    }
    expect(views).toEqual([views[0], views[0], views[0]]);
  });

  test("e: a filter changes no verdict", async () => {
    await begin();
    const all = await keeper.ledger.listServices({ state: "all" });
    for (const service of all.items)
      expect((await keeper.ledger.host(service.address)).find(({ port }) => port === service.port)?.state).toBe(service.state);
  });

  test("f: what is new comes from records, whatever their times say", async () => {
    await post([{ ...seen("192.0.2.1", 80), timestamp: "1" }]);
    await post([{ ...seen("192.0.2.1", 80), timestamp: "1900000000" }]);
    await post([{ ...seen("192.0.2.1", 80), timestamp: "5" }]);
    await keeper.settle();
    const { items } = await keeper.ledger.listChanges({ limit: 10 });
    expect(items.map(({ kind }) => kind)).toEqual(["first-observed"]);
  });

  test("g: four shards of one job all count", async () => {
    for (const port of [1, 2, 3, 4]) await post([seen("192.0.2.1", port)], "job 7");
    expect(Object.values(await keeper.states())).toEqual(["open", "open", "open", "open"]);
  });

  test("h: every node may run every job; results merge without harm", async () => {
    for (const source of ["a", "b", "c"]) await post([seen("192.0.2.1", 80)], source);
    expect(await keeper.states()).toEqual({ "192.0.2.1:80": "open" });
  });
});

test("the reference fold knows no way from an upload to a miss", () => {
  const upload = uploadFrom(JSON.stringify([seen("192.0.2.1", 80)]), "cron");
  const other = uploadFrom(JSON.stringify([seen("192.0.2.2", 80)]), "cron");
  const records = [upload, other].flatMap((item, rseq) =>
    item === null
      ? []
      : [
          foldRecordOf({
            ...item,
            region: "eu",
            acceptance: { log: "a".repeat(32), rseq, stampMs: rseq, judged: null, chain: "0".repeat(64), signature: "A".repeat(86) },
          }),
        ],
  );
  expect(foldVerdicts(records).map(({ service, verdict }) => [formatAddress(service.address), verdict])).toEqual([
    ["192.0.2.1", "open"],
    ["192.0.2.2", "open"],
  ]);
});
