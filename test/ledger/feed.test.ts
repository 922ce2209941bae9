import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { parseAddress } from "../../src/core/address.ts";
import { parsePorts } from "../../src/core/port.ts";
import { parseRange } from "../../src/core/range.ts";
import type { RuleTarget } from "../../src/ledger/rules.ts";
import type { Change } from "../../src/ledger/feed-types.ts";
import { partOf, reportOf, sha256, sightingsOf, tileCompleteOf, uploadOf } from "./builders.ts";
import { bound, chained, drain, ledgerWith } from "./delivered.ts";
import { deliveryOf, historyOf, randomOf } from "./history.ts";
import { TestKeeper } from "./ledger-test.ts";
import { openMemoryDatabase } from "./memory-database.ts";

const HISTORIES = Number(process.env["PORTOLAN_HISTORIES"] ?? 150);
const memory = openMemoryDatabase();
let keeper: TestKeeper;

beforeEach(async () => {
  keeper = await TestKeeper.on(memory);
});

afterAll(() => memory.close());

async function feed(): Promise<Change[]> {
  return (await keeper.ledger.listChanges({ first: "oldest", limit: 1_000 })).items;
}

/** Kinds in the order in which they came, of one service. */
async function kindsOf(address: string, port: number): Promise<string[]> {
  return (await feed()).filter((change) => change.address === address && change.port === port).map(({ kind }) => kind);
}

const target = (range: string, ports: string): RuleTarget => ({ ranges: [parseRange(range)], ports: parsePorts(ports) });
const context = (): { epoch: number; sha256: typeof sha256 } => ({ epoch: keeper.epoch, sha256 });

describe("the feed", () => {
  test("tells what is new apart: never covered before, covered and not open, closed and open again", async () => {
    await keeper.runJob(["192.0.2.1:80"]);
    await keeper.runJob(["192.0.2.1:80", "192.0.2.2:443"]);
    expect(await kindsOf("192.0.2.1", 80)).toEqual(["first-observed"]);
    expect(await kindsOf("192.0.2.2", 443)).toEqual(["opened"]);
    for (let job = 0; job < 2; job++) await keeper.runJob(["192.0.2.1:80"]);
    await keeper.runJob(["192.0.2.1:80", "192.0.2.2:443"]);
    expect(await kindsOf("192.0.2.2", 443)).toEqual(["opened", "missing", "closed", "reopened"]);
    await keeper.runJob(["192.0.2.1:80"]);
    await keeper.accept(uploadOf(sightingsOf(["192.0.2.2:443"])));
    expect((await kindsOf("192.0.2.2", 443)).slice(4)).toEqual(["missing", "seen-again"]);
  });

  test("does not call it opened when a plan is widened", async () => {
    await keeper.runJob(["192.0.2.1:80"]);
    const job = await keeper.plan({ ports: "80,443,8080", ranges: ["192.0.2.0/27"], pairsMax: 1_000 });
    const key = { job, tile: 0, shard: 1, attempt: 1 };
    await keeper.accept(partOf(key, "wide", 0, sightingsOf(["192.0.2.1:8080", "192.0.2.20:80", "192.0.2.3:443"])));
    expect(await kindsOf("192.0.2.1", 8080)).toEqual(["first-observed"]);
    expect(await kindsOf("192.0.2.20", 80)).toEqual(["first-observed"]);
    expect(await kindsOf("192.0.2.3", 443)).toEqual(["opened"]);
  });

  test("names the record that each change is due to", async () => {
    const upload = uploadOf(sightingsOf(["192.0.2.9:443"]));
    await keeper.accept(upload);
    const jobs = [await keeper.runJob([]), await keeper.runJob([])];
    const again = uploadOf(sightingsOf(["192.0.2.9:443"], 1_800_000_000));
    await keeper.accept(again);
    expect((await feed()).map(({ kind, cause, was, state }) => ({ kind, cause, was, state }))).toEqual([
      { kind: "first-observed", cause: { kind: "upload", id: upload.id }, was: null, state: "open" },
      { kind: "missing", cause: { kind: "job", id: jobs[0] }, was: "open", state: "missing" },
      { kind: "closed", cause: { kind: "job", id: jobs[1] }, was: "missing", state: "closed" },
      { kind: "reopened", cause: { kind: "upload", id: again.id }, was: "closed", state: "open" },
    ]);
  });

  test("says that a held tile waits, and takes back what a contradiction made doubtful", async () => {
    await keeper.accept(uploadOf(sightingsOf(["192.0.2.9:443"])));
    const held = await keeper.runJob([], { held: "would newly miss 1 of 1" });
    expect((await feed()).at(-1)).toMatchObject({ kind: "job-held", job: held, address: null, cause: { kind: "tile-complete" } });
    const job = await keeper.runJob([]);
    await keeper.accept(reportOf({ key: { job, tile: 0, shard: 1, attempt: 1 }, run: job, probesSent: 7 }));
    await keeper.settle();
    expect((await feed()).at(-1)).toMatchObject({ kind: "seen-again", was: "missing", cause: { kind: "withdrawal", id: null } });
  });

  test("is read from any point on, oldest first, without gaps or repeats, and by kinds", async () => {
    await keeper.runJob(["192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"]);
    await keeper.runJob(["192.0.2.1:80"]);
    const whole = await feed();
    const read: Change[] = [];
    for (let cursor = "0"; ;) {
      const page = await keeper.ledger.listChanges({ first: "oldest", limit: 2, cursor });
      read.push(...page.items);
      expect(page.next).not.toBeNull();
      cursor = page.next ?? "";
      if (page.items.length === 0) break;
    }
    expect(read).toEqual(whole);
    expect((await keeper.ledger.listChanges({ limit: 1_000 })).items).toEqual(whole.toReversed());
    const missing = await keeper.ledger.listChanges({ first: "oldest", kinds: ["missing"] });
    expect(missing.items).toEqual(whole.filter(({ kind }) => kind === "missing"));
    expect((await keeper.ledger.listChanges({ first: "oldest", cursor: missing.next ?? "" })).items).toEqual([]);
  });

  test("leads each service to the state that the register shows, in any history", async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 5, max: 40 }), async (seed, steps) => {
        const random = randomOf(seed);
        memory.clear();
        const { ledger } = await ledgerWith(memory, deliveryOf(random, chained(bound(historyOf(random, steps))), "shuffled"));
        const states = new Map<string, string>();
        let last = 0;
        for (const change of (await ledger.listChanges({ first: "oldest", limit: 1_000 })).items) {
          expect(change.n).toBeGreaterThan(last);
          last = change.n;
          if (change.address === null || change.state === null) continue;
          const key = `${change.address} ${change.protocol}/${change.port}`;
          expect(change.was).toBe(states.get(key) ?? null);
          states.set(key, change.state);
          if (change.cause.kind !== "withdrawal") expect(change.cause.id).toMatch(/^[0-9a-f]{64}$/);
        }
        const { items } = await ledger.listServices({ state: "all" });
        expect(states).toEqual(new Map(items.map((service) => [`${service.address} ${service.protocol}/${service.port}`, service.state])));
      }),
      { numRuns: HISTORIES, endOnFailure: true },
    );
  }, 300_000);

  test("knows what was ever covered, whatever tiles of whatever shape have counted", async () => {
    const shapes = ["192.0.2.0/28", "192.0.2.4-192.0.2.9", "192.0.2.8/29", "192.0.2.2", "192.0.2.0/27", "192.0.2.9-192.0.2.20"];
    const step = fc.record({
      range: fc.constantFrom(...shapes),
      ports: fc.constantFrom("80", "80,443", "443"),
      pairsMax: fc.constantFrom(4, 9, 1_000),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 6 }), fc.infiniteStream(fc.boolean()), async (steps, completes) => {
        keeper = await TestKeeper.on(memory);
        const ranges: { range: string; ports: string }[] = [];
        for (const { range, ports, pairsMax } of steps) {
          const job = await keeper.plan({ scanners: ["scanner-1"], ranges: [range], ports, pairsMax });
          for (const { tile } of (await keeper.ledger.listTiles({ job, limit: 1_000 })).items) {
            if (completes.next().value === false) continue;
            const report = reportOf({ key: { job, tile, shard: 1, attempt: 1 }, run: `${job}${tile}` });
            await keeper.accept(report, tileCompleteOf(job, tile, [report]));
            const held = memory.sqlite.prepare(
              "select lower(hex(lo)) as lo, lower(hex(hi)) as hi from range_set a join tile t on t.range_set = a.id where t.job = unhex(?) and t.n = ?",
            );
            for (const { lo, hi } of held.all(job, tile) as { lo: string; hi: string }[]) ranges.push({ range: `${lo}-${hi}`, ports });
          }
        }
        const all = Array.from({ length: 34 }, (_, index) => [`192.0.2.${index}:80`, `192.0.2.${index}:443`]).flat();
        await keeper.accept(uploadOf(sightingsOf(all)));
        for (const { kind, address, port } of await feed()) {
          const hex = parseAddress(address ?? "")
            .toString(16)
            .padStart(32, "0");
          const isCovered = ranges.some(({ range, ports }) => {
            const [lo = "", hi = ""] = range.split("-");
            return lo <= hex && hex <= hi && ports.split(",").includes(String(port));
          });
          expect([address, port, kind]).toEqual([address, port, isCovered ? "opened" : "first-observed"]);
        }
      }),
      { numRuns: 60, endOnFailure: true },
    );
  });
});

describe("known-good rules", () => {
  test("mark services in windows, new ones at once, and take the mark back", async () => {
    await keeper.accept(uploadOf(sightingsOf(["192.0.2.1:22", "192.0.2.1:80", "192.0.2.200:22"])));
    await keeper.ledger.applyRules(
      "known-good",
      { version: 3, targets: [target("192.0.2.0/25", "22"), target("192.0.2.1", "443")] },
      context(),
    );
    expect(await keeper.ledger.rulesVersion("known-good")).toEqual({ version: 3, marked: false });
    await drain(keeper.ledger, keeper.epoch, 1);
    expect(await keeper.ledger.rulesVersion("known-good")).toEqual({ version: 3, marked: true });
    await keeper.accept(uploadOf(sightingsOf(["192.0.2.1:443", "192.0.2.2:443"])));
    const known = async (): Promise<string[]> =>
      (await keeper.ledger.listServices({ state: "all", known: "show" })).items
        .filter((one) => one.known)
        .map((one) => `${one.address}:${one.port}`);
    expect(await known()).toEqual(["192.0.2.1:22", "192.0.2.1:443"]);
    await keeper.ledger.applyRules(
      "known-good",
      { version: 4, targets: [target("192.0.2.0/25", "22"), target("192.0.2.1", "443")] },
      context(),
    );
    expect(await keeper.ledger.rulesVersion("known-good")).toEqual({ version: 4, marked: true });
    await keeper.ledger.applyRules("known-good", { version: 5, targets: [] }, context());
    await drain(keeper.ledger, keeper.epoch, 2);
    expect(await known()).toEqual([]);
    const wrong = memory.sqlite.prepare("select sum(n) from tally where known = 1").pluck();
    expect(wrong.get()).toBe(0);
  });

  test("make it an alert when what they expect closes, or is closed when the rule comes", async () => {
    await keeper.runJob(["192.0.2.1:80", "192.0.2.2:80"]);
    await keeper.ledger.applyRules("known-good", { version: 1, targets: [target("192.0.2.1", "80")] }, context());
    await keeper.settle();
    for (let job = 0; job < 2; job++) await keeper.runJob([]);
    expect(await kindsOf("192.0.2.1", 80)).toEqual(["first-observed", "missing", "closed", "known-good-closed"]);
    expect(await kindsOf("192.0.2.2", 80)).toEqual(["first-observed", "missing", "closed"]);
    await keeper.ledger.applyRules("known-good", { version: 2, targets: [target("192.0.2.0/30", "80")] }, context());
    await keeper.settle();
    expect((await kindsOf("192.0.2.2", 80)).at(-1)).toBe("known-good-closed");
    expect((await kindsOf("192.0.2.1", 80)).filter((kind) => kind === "known-good-closed")).toHaveLength(1);
  });
});

describe("services that no plan covers any more", () => {
  const monitor = async (version: number, ...targets: RuleTarget[]): Promise<void> => {
    await keeper.ledger.applyRules("monitored", { version, targets }, context());
    await keeper.settle();
  };

  test("are news once, are labelled, and never close by that", async () => {
    await keeper.runJob(["192.0.2.1:80", "192.0.2.12:80"]);
    await keeper.accept(uploadOf(sightingsOf(["198.51.100.1:80"])));
    await monitor(1, target("192.0.2.0/28", "80,443"));
    expect((await feed()).filter(({ kind }) => kind === "unmonitored")).toEqual([]);
    await monitor(2, target("192.0.2.0/29", "80,443"));
    await monitor(3, target("192.0.2.0/29", "80,443,8080"));
    expect((await feed()).filter(({ kind }) => kind === "unmonitored").map(({ address, state }) => [address, state])).toEqual([
      ["192.0.2.12", "open"],
    ]);
    const services = (await keeper.ledger.listServices({ state: "all" })).items;
    expect(services.map(({ state }) => state)).toEqual(["open", "open", "open"]);
    const labels = await keeper.ledger.labels({ services, asOfMs: keeper.nowMs, plans: [] });
    expect(labels.map(({ unmonitored, neverCovered }) => ({ unmonitored, neverCovered }))).toEqual([
      { unmonitored: false, neverCovered: false },
      { unmonitored: true, neverCovered: false },
      { unmonitored: true, neverCovered: true },
    ]);
    await monitor(4, target("192.0.2.0/28", "80"));
    await monitor(5, target("192.0.2.0/29", "80"));
    expect((await feed()).filter(({ kind }) => kind === "unmonitored")).toHaveLength(2);
  });

  test("are stale when no plan has covered them within its interval", async () => {
    await keeper.runJob(["192.0.2.1:80"]);
    const coveredAtMs = keeper.nowMs;
    const services = [
      { address: "192.0.2.1", protocol: "tcp" as const, port: 80 },
      { address: "203.0.113.1", protocol: "tcp" as const, port: 80 },
    ];
    const plans = [{ id: "plan-1", intervalMs: 60_000 }];
    const at = async (asOfMs: number): Promise<unknown[]> =>
      (await keeper.ledger.labels({ services, asOfMs, plans })).map((labels) => [labels.stale, labels.coveredAtMs]);
    expect(await at(coveredAtMs + 60_000)).toEqual([
      [false, coveredAtMs],
      [false, null],
    ]);
    expect(await at(coveredAtMs + 60_001)).toEqual([
      [true, coveredAtMs],
      [false, null],
    ]);
  });
});
