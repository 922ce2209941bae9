import { describe, expect, test } from "vitest";
import { explain } from "../../src/web/explain.ts";
import type { ScannerSeen } from "../../src/web/vantage.ts";
import { jobSpecOf, partOf, reportOf, sightingsOf, tileCompleteOf, itemOf } from "../ledger/builders.ts";
import { TestKeeper } from "../ledger/ledger-test.ts";
import { openMemoryDatabase } from "../ledger/memory-database.ts";
import type { Certificate } from "../../src/core/certificate/schema.ts";

const live = { silent: false, engines: ["connect"] };
const away = { silent: true, engines: ["connect"] };
const scanner = (name: string, seen: ScannerSeen["live"], region = "eu"): ScannerSeen => ({ name, region, enabled: true, live: seen });

/** A service that scanner-1 saw and the next job missed; its plan closes after one look and a confirm. */
async function missing(): Promise<Certificate> {
  const database = openMemoryDatabase();
  try {
    const keeper = await TestKeeper.on(database);
    const run = async (seen: string[]): Promise<void> => {
      const spec = jobSpecOf({
        frontier: await keeper.ledger.frontier(),
        scanners: ["scanner-1"],
        pairsMax: 1_000,
        policy: { closeAfter: 1, confirm: true },
        plannedAtMs: keeper.nowMs,
      });
      const job = itemOf({ kind: "job", content: spec });
      const key = { job: job.id, tile: 0, shard: 1, attempt: 1 };
      const parts = seen.length === 0 ? [] : [partOf(key, job.id, 0, sightingsOf(seen))];
      const report = reportOf({ key, run: job.id, parts });
      await keeper.accept(job, ...parts, report, tileCompleteOf(job.id, 0, [report], null));
      await keeper.settle();
    };
    await run(["192.0.2.1:80"]);
    await run([]);
    const certificate = await keeper.ledger.why({ address: "192.0.2.1", protocol: "tcp", port: 80 });
    if (certificate?.verdict !== "missing") throw new Error("the service is not missing");
    return certificate;
  } finally {
    database.close();
  }
}

describe("what a missing service waits for", () => {
  const lastRule = (certificate: Certificate, ...scanners: ScannerSeen[]): string => explain(certificate, scanners).rules.at(-1) ?? "";

  test("when the last sighter is away and two others are not there, it is said whom to start", async () => {
    const certificate = await missing();
    expect(lastRule(certificate, scanner("scanner-1", away), scanner("s2", live))).toBe(
      "Region eu cannot confirm it at the moment: scanner scanner-1, the last one there to have seen it, is away; without it two other scanners have to agree, and only s2 is ready for it. Start scanner-1 or another one there.",
    );
    expect(lastRule(certificate, scanner("scanner-1", away))).toMatch(/and none is ready for it/);
    const masscanOnly = { silent: false, engines: ["masscan"] };
    expect(lastRule(certificate, scanner("scanner-1", away), scanner("s2", live), scanner("s3", masscanOnly))).toMatch(/only s2/);
    expect(lastRule(certificate, scanner("scanner-1", away), scanner("s2", live), { ...scanner("s3", live), enabled: false })).toMatch(
      /only s2/,
    );
  });

  test("nothing of the kind is said when the region can confirm, or is not heard here", async () => {
    const certificate = await missing();
    for (const scanners of [
      [],
      [scanner("scanner-1", live)],
      [scanner("scanner-1", away), scanner("s2", live), scanner("s3", live)],
      [scanner("scanner-1", null), scanner("s2", null)],
      [scanner("far", live, "us")],
    ]) {
      expect(lastRule(certificate, ...scanners)).toMatch(/what is lacking is a confirming probe/);
    }
  });
});
