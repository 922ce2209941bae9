import { afterAll, beforeEach, describe, expect, test } from "vitest";
import type { Reassignment } from "../../src/core/messages/record.ts";
import { ATTEMPTS_MAX, type AcceptItem } from "../../src/ledger/types.ts";
import {
  authorOf,
  itemOf,
  keyOf,
  partOf,
  probeOf,
  releaseOf,
  reportOf,
  revokeOf,
  sightingsOf,
  tileCompleteOf,
  uploadOf,
} from "./builders.ts";
import { TestKeeper } from "./ledger-test.ts";
import { openMemoryDatabase } from "./memory-database.ts";

const database = openMemoryDatabase();
let keeper: TestKeeper;

afterAll(() => database.close());
beforeEach(async () => {
  keeper = await TestKeeper.on(database);
});

const CONFIRM = { closeAfter: 1, confirm: true };

/** One job of one tile and one shard that sees exactly `seen`. */
async function look(
  seen: string[],
  options: Parameters<TestKeeper["plan"]>[0] = {},
  held: string | null = null,
): Promise<{ job: string; complete: AcceptItem }> {
  const job = await keeper.plan({ scanners: ["scanner-1"], pairsMax: 1_000, policy: CONFIRM, ...options });
  const key = { job, tile: 0, shard: 1, attempt: 1 };
  const parts = seen.length === 0 ? [] : [partOf(key, job, 0, sightingsOf(seen))];
  const report = reportOf({ key, run: job, parts });
  const complete = tileCompleteOf(job, 0, [report], held);
  await keeper.accept(...parts, report);
  const { tile } = await keeper.ledger.wouldMiss({ job, tile: 0 });
  await keeper.accept(complete);
  looks.set(job, tile);
  await keeper.settle();
  return { job, complete };
}
const looks = new Map<string, { open: number; missed: number; overruled: number }>();

async function probe(
  answers: Parameters<typeof probeOf>[0]["answers"],
  options: Partial<Parameters<typeof probeOf>[0]> = {},
): Promise<void> {
  await keeper.accept(
    probeOf({ job: "0".repeat(64), frontier: await keeper.ledger.frontier(), answers, serial: keeper.nowMs, ...options }),
  );
  await keeper.settle();
}

describe("confirms that are due", () => {
  const due = async (region: string, limit = 10): Promise<unknown> => (await keeper.ledger.confirmsDue({ region, limit })).items;

  test("are those that the closing rule lacks, with the scanners to ask, until they are given", async () => {
    await look(["192.0.2.1:80", "192.0.2.2:80"]);
    expect(await due("eu")).toEqual([]);
    const { job } = await look(["192.0.2.2:80"]);
    const expected = { address: "192.0.2.1", protocol: "tcp", port: 80, job, sighters: ["scanner-1"], confirmedBy: [] };
    expect(await due("eu")).toEqual([expected]);
    expect(await due("us")).toEqual([]);
    await probe({ "192.0.2.1:80": "error" });
    expect(await due("eu")).toEqual([expected]);
    await probe({ "192.0.2.1:80": "filtered" }, { basis: "others", scanner: "scanner-2" });
    expect(await due("eu")).toEqual([{ ...expected, confirmedBy: ["scanner-2"] }]);
    await probe({ "192.0.2.1:80": "closed" });
    expect(await due("eu")).toEqual([]);
    expect(await keeper.states()).toEqual({ "192.0.2.1:80": "closed", "192.0.2.2:80": "open" });
  });

  test("are asked of the job's home where no listed region has seen the service itself", async () => {
    await keeper.accept(uploadOf(sightingsOf(["192.0.2.1:80"])));
    await look([], { regions: ["us"] });
    expect(await due("us")).toEqual([]);
    expect(await due("eu")).toMatchObject([{ address: "192.0.2.1", sighters: [] }]);
  });

  test("come page by page, in the order of their keys", async () => {
    const all = Array.from({ length: 7 }, (_, index) => `192.0.2.${index + 1}:80`);
    await look(all);
    await look([]);
    const first = await keeper.ledger.confirmsDue({ region: "eu", limit: 4 });
    const rest = await keeper.ledger.confirmsDue({ region: "eu", limit: 4, cursor: first.next ?? "" });
    expect([...first.items, ...rest.items].map(({ address, port }) => `${address}:${port}`)).toEqual(all);
    expect(rest.next).toBeNull();
    await expect(keeper.ledger.confirmsDue({ region: "eu", limit: 4, cursor: "x" })).rejects.toMatchObject({ code: "invalid" });
  });

  test("are not asked of a scanner whose key was revoked", async () => {
    await look(["192.0.2.1:80"]);
    await keeper.accept(revokeOf(keyOf("A")));
    await keeper.settle();
    const { items } = await keeper.ledger.listServices({});
    expect(items).toMatchObject([{ address: "192.0.2.1", tainted: true, seenBy: ["eu"] }]);
  });
});

describe("the brake", () => {
  const many = Array.from({ length: 14 }, (_, index) => [`192.0.2.${index + 1}:80`, `192.0.2.${index + 1}:443`]).flat();

  test("counts what the closing pass would newly miss, and sums it up over the tiles of a job", async () => {
    await look(many);
    const { job } = await look(many.slice(0, 10), {}, "too many");
    expect(looks.get(job)).toEqual({ open: 28, missed: 18, overruled: 18 });
    const report = uploadOf(sightingsOf(["192.0.2.200:80"]));
    await keeper.ledger.accept([report], {
      epoch: keeper.epoch,
      nowMs: keeper.nowMs,
      sha256: () => "0".repeat(64),
      sign: () => "A".repeat(86),
      looks: [{ job, tile: 7, open: 100, missed: 50, overruled: 60 }],
    });
    expect((await keeper.ledger.wouldMiss({ job, tile: 0 })).jobSoFar).toEqual({ open: 128, missed: 68 });
    expect(await keeper.ledger.shardFinds({ job, tile: 0 })).toEqual([{ shard: 1, found: 10 }]);
  });

  test("lists what it holds, with the next job's tile of the same pairs, until it is released", async () => {
    await look(many);
    const first = await look([], {}, "would miss all");
    expect(await keeper.ledger.heldTiles()).toMatchObject([
      { job: first.job, tile: 0, tileComplete: first.complete.id, reason: "would miss all", home: "eu", look: null, next: null },
    ]);
    expect(await keeper.ledger.heldTiles({ home: "us" })).toEqual([]);
    await look([], { ranges: ["192.0.2.0/29"] });
    expect(await keeper.ledger.heldTiles()).toMatchObject([{ next: null }]);
    const second = await look([], {}, "would miss all");
    expect((await keeper.ledger.heldTiles({ home: "eu" }))[0]).toMatchObject({ tile: 0, next: second.complete.id });
    await keeper.accept(releaseOf(first.job, 0, first.complete));
    await keeper.settle();
    expect((await keeper.ledger.heldTiles()).map(({ job }) => job)).toEqual([second.job]);
    expect((await keeper.ledger.counts()).missing).toBe(28);
  });
});

describe("a scanner that is lost", () => {
  const lost = (scanner: string): AcceptItem =>
    itemOf({ kind: "scanner-lost", content: { version: 1, scanner, region: "eu", lastHeardMs: keeper.nowMs } });
  const give = (content: Omit<Reassignment, "version">): AcceptItem =>
    itemOf({ kind: "reassignment", content: { version: 1, ...content } });
  const open = async (): Promise<string[]> =>
    (await keeper.ledger.openAssignments({ region: "eu", nowMs: keeper.nowMs, perScanner: 8 })).map(
      ({ scanner, shard, attempt }) => `${scanner} shard ${shard} attempt ${attempt}`,
    );

  test("loses its shards to another member, as one more attempt and in one place only; what it reports late still counts", async () => {
    const job = await keeper.plan({ pairsMax: 1_000 });
    await keeper.accept(lost("scanner-2"));
    expect(await keeper.ledger.lostScanners()).toMatchObject([{ scanner: "scanner-2", region: "eu" }]);
    expect(await keeper.ledger.reassignable({ home: "us", limit: 9 })).toEqual([]);
    const [found] = await keeper.ledger.reassignable({ home: "eu", limit: 9 });
    expect(found).toEqual({ job, tile: 0, shard: 2, attempt: 2, from: "scanner-2", candidates: [{ scanner: "scanner-1", region: "eu" }] });
    await keeper.accept(give({ job, tile: 0, shard: 2, attempt: 2, from: "scanner-2", to: "scanner-1" }));
    expect(await open()).toEqual(["scanner-1 shard 1 attempt 1", "scanner-1 shard 2 attempt 2"]);
    expect(await keeper.ledger.reassignable({ home: "eu", limit: 9 })).toEqual([]);
    const key = { job, tile: 0, shard: 2, attempt: 1 };
    expect(await keeper.ledger.isWanted(key)).toBe(false);
    expect(await keeper.ledger.isWanted({ ...key, attempt: 2 })).toBe(true);
    const who = async (attempt: number): Promise<string | null> => keeper.ledger.reassigned({ ...key, attempt });
    expect([await who(1), await who(2), await who(3)]).toEqual([null, "scanner-1", "scanner-1"]);
    await keeper.accept(reportOf({ key, run: "late" }));
    expect(await open()).toEqual(["scanner-1 shard 1 attempt 1"]);
  });

  test("is found again by anything that it signs or by its heartbeat", async () => {
    const job = await keeper.plan({ pairsMax: 1_000 });
    await keeper.accept(lost("scanner-1"));
    expect(await keeper.ledger.lostScanners()).toHaveLength(1);
    await keeper.accept({
      ...reportOf({ key: { job, tile: 0, shard: 1, attempt: 1 }, partial: true }),
      author: authorOf("scanner-1", keyOf("A")),
    });
    expect(await keeper.ledger.lostScanners()).toEqual([]);
  });

  test("comes out the same whatever order reports and reassignments arrive in", async () => {
    const job = await keeper.plan({ pairsMax: 1_000 });
    const key = { job, tile: 0, shard: 2, attempt: 1 };
    await keeper.accept(give({ job, tile: 0, shard: 2, attempt: 3, from: "scanner-1", to: "scanner-2" }));
    await keeper.accept(reportOf({ key, partial: true }), give({ job, tile: 0, shard: 2, attempt: 2, from: "scanner-2", to: "scanner-1" }));
    expect(await open()).toEqual(["scanner-1 shard 1 attempt 1", "scanner-2 shard 2 attempt 3"]);
    await keeper.accept(reportOf({ key: { ...key, attempt: 3 }, run: "3", partial: true }));
    keeper.nowMs += 60_000;
    expect(await open()).toEqual(["scanner-1 shard 1 attempt 1", "scanner-2 shard 2 attempt 4"]);
  });

  test("makes a job say why it cannot run when no other is left", async () => {
    const job = await keeper.plan({ pairsMax: 1_000 });
    await keeper.accept(lost("scanner-1"));
    expect(await keeper.ledger.blockedJobs()).toEqual([]);
    await keeper.accept(lost("scanner-2"));
    const why = expect.stringMatching(/^no live scanner in group @all; start one .*npm run scanner/);
    expect(await keeper.ledger.blockedJobs()).toEqual([{ id: job, plan: "office", home: "eu", why }]);
    expect(await keeper.ledger.job(job)).toMatchObject({ state: "running", paused: false, why });
  });
});

describe("a job", () => {
  test("is paused and resumed by what its home's log says last", async () => {
    const job = await keeper.plan({ pairsMax: 1_000 });
    const control = (action: "pause" | "resume"): AcceptItem =>
      itemOf({ kind: "job-control", content: { version: 1, job, action, by: "alice", atMs: keeper.nowMs } });
    const key = { job, tile: 0, shard: 1, attempt: 1 };
    const dispatched = async (): Promise<number> =>
      (await keeper.ledger.openAssignments({ region: "eu", nowMs: keeper.nowMs, perScanner: 8 })).length;
    await keeper.accept(control("pause"));
    expect([await dispatched(), await keeper.ledger.isWanted(key)]).toEqual([0, false]);
    expect(await keeper.ledger.job(job)).toMatchObject({ state: "running", paused: true, why: "paused by alice" });
    await keeper.accept(control("resume"));
    expect([await dispatched(), await keeper.ledger.isWanted(key)]).toEqual([2, true]);
    await keeper.accept(control("pause"));
    expect(await keeper.ledger.blockedJobs()).toMatchObject([{ id: job, why: "paused by alice" }]);
  });

  test("says that its open shards were all tried too often", async () => {
    const job = await keeper.plan({ scanners: ["scanner-1"], pairsMax: 1_000 });
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++)
      await keeper.accept(reportOf({ key: { job, tile: 0, shard: 1, attempt }, run: String(attempt), partial: true }));
    expect(await keeper.ledger.blockedJobs()).toMatchObject([{ id: job, why: `every open shard was tried ${ATTEMPTS_MAX} times` }]);
  });
});
