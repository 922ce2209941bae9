import { describe, expect, test } from "vitest";
import { until } from "./patience.ts";
import { OPEN, regionsOfTest } from "./start.ts";
import { finished, startJob } from "./work.ts";
import { converged, REGIONS } from "./world.ts";

describe("keepers of several regions", () => {
  const { begin, scan } = regionsOfTest();

  test("a job's shards are shared over regions, and every region comes to the same register", async () => {
    const w = await begin(REGIONS);
    scan(w);
    const { eu, us, ap } = w.regions;
    await finished(ap, await startJob(eu));
    const hashes = await converged([eu, us, ap]);
    expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(1);
    const services = (await ap.ledger.listServices({})).items;
    expect(services.map(({ address, port }) => `${address}:${port}`).toSorted()).toEqual(OPEN.toSorted());
    expect(new Set(services.flatMap(({ seenBy }) => seenBy))).toEqual(new Set(["eu", "us"]));
    for (const region of [eu, us, ap]) {
      await until(`${region.name} knows that it is equal`, () => {
        const peers = region.keeper.status()?.peers ?? [];
        return peers.length === 2 && peers.every(({ equalAtMs, alarm, behind }) => equalAtMs !== null && alarm === null && behind === 0);
      });
      expect(region.keeper.status()?.problems).toEqual({});
    }
    expect((await ap.ledger.peers()).map(({ region, alarm }) => [region, alarm])).toEqual([
      ["eu", null],
      ["us", null],
    ]);
  });

  test("what the registry says about peers is followed without a restart: a new region fills itself, a retired one is let go", async () => {
    const w = await begin(["eu", "us"]);
    scan(w);
    const { eu, us } = w.regions;
    await finished(us, await startJob(eu));
    const { value } = w.registry;
    const [euRegion, usRegion] = value.regions;
    if (euRegion === undefined || usRegion === undefined) throw new Error("two regions");
    w.registry.value = { ...value, version: 2, regions: [euRegion, { ...usRegion, state: "retired" }] };
    await until("us is no peer of eu any more", () => eu.keeper.status()?.peers.length === 0);
    // What a retired region accepted is verified all the same.
    expect((await eu.ledger.logStands()).map(({ region }) => region).toSorted()).toEqual(["eu", "us"]);
    w.registry.value = { ...value, version: 3 };
    await until("us is a peer again", () => eu.keeper.status()?.peers[0]?.contactMs);
    await finished(us, await startJob(eu));
    expect(new Set((await converged([eu, us])).map(({ hash }) => hash)).size).toBe(1);
  });

  test("an empty region is filled with all logs by the one peer that it reaches", async () => {
    const w = await begin(REGIONS);
    const { eu, us, ap } = w.regions;
    await ap.keeper.stop();
    ap.lose();
    scan(w);
    await finished(us, await startJob(eu));
    w.link("ap", "us").cut = true;
    ap.keeper.start({ standUpWaitMs: 200 });
    const hashes = await converged([eu, us, ap]);
    expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(1);
    expect(ap.keeper.status()?.peers.find(({ region }) => region === "us")?.contactMs).toBe(0);
  });

  test("a peer that hangs keeps nothing waiting: the region plans, scans and accepts", async () => {
    const w = await begin(REGIONS);
    const { eu, us } = w.regions;
    for (const other of ["us", "ap"] as const) w.link("eu", other).silent = true;
    scan(w);
    const beforeMs = performance.now();
    const job = await startJob(eu);
    await until("eu has what its own scanner reports", async () => (await eu.ledger.listReports({ job })).items.length >= 4);
    expect(performance.now() - beforeMs).toBeLessThan(5_000);
    for (const other of ["us", "ap"] as const) w.link("eu", other).silent = false;
    await finished(eu, job);
    await converged([eu, us]);
  });

  test("with a clock that is wrong against most peers nothing is accepted, and it is said; set right, work goes on", async () => {
    const w = await begin(REGIONS);
    const { eu, us, ap } = w.regions;
    us.clock.aheadMs = 10 * 60_000;
    await until("us refuses", () => us.keeper.status()?.problems["clock"]);
    expect(us.keeper.status()?.problems["clock"]).toMatch(/clock is 600 s ahead of .*NTP/);
    for (const region of [eu, ap]) expect(region.keeper.status()?.problems).toEqual({});
    scan(w);
    const job = await startJob(eu);
    await until("eu accepts", async () => (await us.ledger.logStands()).some(({ region, prefix }) => region === "eu" && prefix > 3));
    expect((await us.ledger.logStands()).find(({ own }) => own)?.prefix).toBe(-1);
    us.clock.aheadMs = 0;
    await finished(ap, job);
  });

  test("two registers that differ although both hold the same are an alarm, which ends when they are equal again", async () => {
    const w = await begin(["eu", "us"]);
    scan(w);
    const { eu, us } = w.regions;
    await finished(us, await startJob(eu));
    await converged([eu, us]);
    await until("both know it", () => [eu, us].every(({ keeper }) => keeper.status()?.peers[0]?.equalAtMs));
    const states = await us.database.batch([{ sql: "select ip, state from service" }], "read");
    expect(states[0]?.length).toBe(OPEN.length);
    await us.database.batch([{ sql: "update service set state = 1 where ip = (select min(ip) from service)" }], "write");
    scan(w);
    await finished(us, await startJob(eu));
    await until("the alarm", () => [eu, us].every(({ keeper }) => keeper.status()?.peers[0]?.alarm?.includes("differs")));
    expect(eu.lines.some((line) => line.startsWith("error") && line.includes("differs"))).toBe(true);
    expect((await eu.ledger.peers())[0]?.alarm).toContain("differs");
  });
});
