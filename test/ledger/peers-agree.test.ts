import fc from "fast-check";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { checkCertificate } from "../../src/core/certificate/check.ts";
import type { Outcome } from "../../src/core/messages/report.ts";
import type { AcceptItem } from "../../src/ledger/types.ts";
import { itemOf, jobSpecOf, reportOf, sha256, sightingsOf, tileCompleteOf, uploadOf } from "./builders.ts";
import { bound, drain } from "./delivered.ts";
import { historyOf, randomOf } from "./history.ts";
import { openMemoryDatabase } from "./memory-database.ts";
import { asSaid, TestRegion } from "./regions.ts";

const databases = [openMemoryDatabase(), openMemoryDatabase(), openMemoryDatabase()];
const [A, B] = ["a", "b"].map((letter) => letter.repeat(32)) as [string, string];
let eu: TestRegion;
let us: TestRegion;

afterAll(() => databases.forEach((database) => database.close()));
beforeEach(async () => {
  [eu, us] = [await TestRegion.on("eu", "a", databases[0]), await TestRegion.on("us", "b", databases[1])];
});

describe("a keeper's judgement of a report", () => {
  const DOUBT = { kind: "partial", reasons: ["offloads were on"] } satisfies Outcome;

  /** A job that nobody but its one report lets close what was seen before; the report itself comes from elsewhere. */
  async function planned(options: { partial?: boolean } = {}): Promise<AcceptItem> {
    await eu.accept(uploadOf(sightingsOf(["192.0.2.1:80"]), "before"));
    const content = jobSpecOf({
      scanners: ["scanner-1"],
      pairsMax: 1_000,
      policy: { closeAfter: 1, confirm: false },
      frontier: { [A]: 0 },
    });
    const job = itemOf({ kind: "job", content });
    const report = reportOf({ key: { job: job.id, tile: 0, shard: 1, attempt: 1 }, ...options });
    await eu.accept(job, tileCompleteOf(job.id, 0, [report]));
    return report;
  }
  const judgements = async (region: TestRegion, log: string): Promise<unknown[]> =>
    (await region.ledger.readLog({ log, from: 0, limit: 256 })).map(({ acceptance }) => acceptance.judged);

  test("goes with its acceptance: what it found partial covers nothing, in any region and after a rebuild", async () => {
    const report = await planned();
    await us.accept({ ...report, judged: DOUBT });
    await eu.pull(us);
    expect([await judgements(eu, A), await judgements(eu, B)]).toEqual([[null, null, null], ["partial"]]);
    expect(await eu.states()).toEqual({ "192.0.2.1:80": "open" });
    await eu.ledger.startRebuild({ epoch: eu.epoch });
    await drain(eu.ledger, eu.epoch);
    expect(await eu.states()).toEqual({ "192.0.2.1:80": "open" });
    await us.pull(eu);
    expect(await us.hash()).toEqual(await eu.hash());
  });

  test("is outvoted by another keeper's that found the report complete, whichever comes first", async () => {
    const report = await planned();
    const ap = await TestRegion.on("ap", "c", databases[2]);
    await us.accept({ ...report, judged: DOUBT });
    await ap.accept(report);
    await eu.pull(us);
    expect(await eu.states()).toEqual({ "192.0.2.1:80": "open" });
    await eu.pull(ap);
    await ap.pull(eu);
    for (const region of [eu, ap]) {
      expect(await region.states()).toEqual({ "192.0.2.1:80": "closed" });
      const certificate = await region.ledger.why({ address: "192.0.2.1", protocol: "tcp", port: 80 });
      expect(checkCertificate(certificate, { sha256, verify: () => true })).toEqual({ ok: true, verdict: "closed" });
    }
    expect(await ap.hash()).toEqual(await eu.hash());
    const job = report.statement.kind === "report" ? report.statement.content.key.job : "";
    expect((await eu.ledger.listShards({ job, nowMs: 0 })).items).toMatchObject([{ state: "complete", problem: null }]);
  });

  test("never makes a report complete that its scanner calls partial", async () => {
    const report = await planned({ partial: true });
    await us.accept({ ...report, judged: { kind: "complete" } });
    await eu.pull(us);
    expect(await judgements(eu, B)).toEqual(["complete"]);
    expect(await eu.states()).toEqual({ "192.0.2.1:80": "open" });
  });
});

test("three regions that exchange their records in any order, in any pieces, say the same in the end", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 5, max: 30 }), async (seed, steps) => {
      const random = randomOf(seed);
      const regions = [
        await TestRegion.on("eu", "a", databases[0]),
        await TestRegion.on("us", "b", databases[1]),
        await TestRegion.on("ap", "c", databases[2]),
      ];
      for (const item of bound(historyOf(random, steps))) {
        const place = "abc".indexOf(item.acceptance.log[0] ?? "");
        const region = regions[place < 0 ? random.below(3) : place];
        await region?.accept(asSaid(item));
        if (random.chance(0.2)) await random.pick(regions).pull(random.pick(regions));
      }
      for (const one of regions) for (const other of regions) if (one !== other) await one.pull(other);
      const hashes = await Promise.all(regions.map((region) => region.hash()));
      for (const hash of hashes) expect(hash).toEqual({ ...hashes[0], settled: true });
      const stands = await Promise.all(
        regions.map(async ({ ledger }) =>
          (await ledger.logStands()).flatMap(({ own: _own, ...stand }) => (stand.highest < 0 ? [] : [stand])),
        ),
      );
      const sorted = stands.map((all) => all.toSorted((one, other) => (one.log < other.log ? -1 : 1)));
      expect(sorted[1]).toEqual(sorted[0]);
      expect(sorted[2]).toEqual(sorted[0]);
      const { items } = await random.pick(regions).ledger.listServices({ state: "all", limit: 5 });
      const certificates = await Promise.all(items.map((service) => random.pick(regions).ledger.why(service)));
      // Signatures are made up here; what the certificates say is checked.
      for (const certificate of certificates)
        expect(checkCertificate(certificate, { sha256, verify: () => true })).toMatchObject({ ok: true, verdict: certificate?.verdict });
    }),
    { numRuns: Number(process.env["PORTOLAN_HISTORIES"] ?? 60), endOnFailure: true },
  );
}, 300_000);
