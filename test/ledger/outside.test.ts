import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { encodeSightings } from "../../src/core/columns.ts";
import type { AcceptItem } from "../../src/ledger/types.ts";
import { contextAt, itemOf, sightingsOf, uploadOf } from "./builders.ts";
import { TestKeeper } from "./ledger-test.ts";
import { openMemoryDatabase } from "./memory-database.ts";

const memory = openMemoryDatabase();
let keeper: TestKeeper;

beforeEach(async () => {
  memory.clear();
  keeper = await TestKeeper.on(memory);
});
afterAll(() => memory.close());

function trace(path: string, atS: number, region = "eu"): AcceptItem {
  return itemOf({ kind: "traceroute", content: { version: 1, destination: "2001:db8::1", region, source: "cron", path, atS } });
}

describe("traceroutes", () => {
  test("the newest of each region stays, whatever order they come in; the own region's is shown first", async () => {
    const items = [trace("old", 1), trace("new", 9), trace("middle", 5), trace("far", 99, "us")];
    for (const order of [
      [0, 1, 2, 3],
      [3, 2, 1, 0],
      [1, 3, 0, 2],
    ]) {
      memory.clear();
      keeper = await TestKeeper.on(memory);
      for (const at of order) await keeper.accept(...items.slice(at, at + 1));
      expect(await keeper.ledger.traceroute("2001:db8:0::1")).toMatchObject({ region: "eu", path: "new", atS: 9 });
    }
    expect(await keeper.ledger.traceroute("192.0.2.1")).toBeNull();
  });

  test("a rebuild gives the same ones, and one from elsewhere is shown where the own region has none", async () => {
    await keeper.accept(trace("far", 99, "us"));
    await keeper.ledger.startRebuild({ epoch: keeper.epoch });
    await keeper.settle();
    expect(await keeper.ledger.traceroute("2001:db8::1")).toMatchObject({ region: "us", path: "far" });
  });
});

describe("uploads on their way", () => {
  const item = uploadOf(sightingsOf(["192.0.2.1:80"]));
  const upload = { id: item.id, body: { any: 1 }, payload: encodeSightings(sightingsOf(["192.0.2.1:80"])) };
  const options = { nowMs: 1_000, ttlMs: 60_000 };

  test("wait once however often they are sent, lose their bytes when they are done, and can be sent again when they failed", async () => {
    const { ledger, epoch } = keeper;
    await ledger.submitUpload(upload, options);
    await ledger.submitUpload(upload, options);
    expect(await ledger.takeCommands({ limit: 10, nowMs: 2_000 })).toMatchObject([{ id: item.id, kind: "upload" }]);
    await ledger.finishCommand(item.id, { ok: false, code: "invalid", message: "x" }, { epoch, nowMs: 2_000 });
    expect(await ledger.commandPayload(item.id)).toBeNull();
    await ledger.submitUpload(upload, options);
    expect(Uint8Array.from((await ledger.commandPayload(item.id)) ?? [])).toEqual(upload.payload);
    await ledger.accept([item], { ...contextAt(epoch, 3_000), finishes: [{ id: item.id, result: {} }] });
    expect(await ledger.awaitCommand(item.id, 0)).toEqual({ ok: true, result: {} });
    await ledger.submitUpload(upload, options);
    expect(await ledger.takeCommands({ limit: 10, nowMs: 2_000 })).toEqual([]);
  });

  test("are refused when too many wait, and wait behind commands of people", async () => {
    for (let index = 0; index < 256; index += 1) await keeper.ledger.submitUpload({ ...upload, id: `u${index}` }, options);
    await expect(keeper.ledger.submitUpload(upload, options)).rejects.toMatchObject({ code: "unavailable" });
    await keeper.ledger.submitUpload({ ...upload, id: "u7" }, options);
    await keeper.ledger.submitCommand("start-job", {}, { nowMs: 1_000 });
    expect((await keeper.ledger.takeCommands({ limit: 1, nowMs: 2_000 }))[0]?.kind).toBe("start-job");
  });

  test("an import is done when its records are here, whoever brought them", async () => {
    const counts = { read: 1, sightings: 1, notOpen: 0, banners: 0, refused: 0, reasons: {}, examples: [] };
    await keeper.ledger.putImport({ id: "i", source: "s", format: "json", counts, records: [item.id] }, 1_000);
    expect(await keeper.ledger.importOf("i")).toMatchObject({ records: 1, held: 0, waiting: 0 });
    await keeper.accept(item);
    expect(await keeper.ledger.importOf("i")).toMatchObject({ records: 1, held: 1, counts });
  });
});

test("numbers of jobs for old scripts are small, follow each other, and are never given twice", async () => {
  const { ledger, epoch } = keeper;
  const context = { epoch, nowMs: 1_000 };
  const job = { cidr: "192.0.2.0/24", ports: "1", protocol: "tcp" as const, requestedBy: "x", expiresAtMs: null };
  const first = await ledger.addLegacyJob({ ...job, origin: "a" }, context);
  expect(await ledger.addLegacyJob({ ...job, origin: "a" }, context)).toBe(first);
  expect(await ledger.addLegacyJob({ ...job, origin: "b", expiresAtMs: 5_000 }, context)).toBe(first + 1);
  memory.sqlite.exec("delete from legacy_job where origin = 'b'");
  const third = await ledger.addLegacyJob({ ...job, origin: "c", expiresAtMs: 5_000 }, context);
  expect(third).toBe(first + 2);
  const open = async (nowMs: number): Promise<number[]> =>
    (await ledger.legacyJobs({ nowMs, open: true, limit: 10 })).map(({ number }) => number);
  expect([await open(4_999), await open(5_000)]).toEqual([[first, third], [first]]);
  expect(await ledger.endLegacyJob(first, "received", context)).toBe(true);
  expect([await open(1), (await ledger.legacyJob(third, 5_000))?.state, await ledger.endLegacyJob(999, "cancelled", context)]).toEqual([
    [third],
    "expired",
    false,
  ]);
  await expect(ledger.addLegacyJob({ ...job, origin: "d" }, { epoch: epoch - 1, nowMs: 1 })).rejects.toThrow();
});
