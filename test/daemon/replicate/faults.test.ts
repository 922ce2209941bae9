import { describe, expect, test } from "vitest";
import type { Receipt } from "../../../src/core/messages/bus.ts";
import { resultSubject } from "../../../src/bus/names.ts";
import { newSeed, publicKeyOf } from "../../../src/bus/keys.node.ts";
import { encodeRecord } from "../../../src/core/record-wire.ts";
import { until } from "./patience.ts";
import { OPEN, regionsOfTest } from "./start.ts";
import { finished, startJob } from "./work.ts";
import { converged, REGIONS, type RegionWorld, type Worlds } from "./world.ts";

describe("replication under faults", () => {
  const { begin, scan } = regionsOfTest();

  test("lost and late messages of the streams are asked for", async () => {
    const w = await begin(REGIONS);
    for (const from of REGIONS) for (const to of REGIONS) Object.assign(w.link(from, to), { lose: 0.3, swap: 0.3 });
    scan(w);
    for (let round = 0; round < 3; round += 1) await finished(w.regions.ap, await startJob(w.regions.eu));
    await expectEqual(w);
  });

  test("regions alone go on accepting, and come together when they reach each other again", async () => {
    const w = await begin(REGIONS);
    const { receipts } = scan(w);
    await finished(w.regions.us, await startJob(w.regions.eu));
    w.isolate("eu", true);
    const job = await startJob(w.regions.eu);
    await until("eu accepts alone", async () => (await w.regions.eu.ledger.listReports({ job })).items.length >= 4);
    expect(await w.regions.us.ledger.job(job)).toBeNull();
    w.isolate("eu", false);
    await finished(w.regions.ap, job);
    await expectEqual(w);
    await expectAllKept(w, receipts);
  });

  test("a stream that was wiped, or holds only its beginning, loses nothing; it is said once, and goes on behind what was read", async () => {
    const w = await begin(REGIONS);
    const { eu, us } = w.regions;
    const { receipts } = scan(w);
    await finished(us, await startJob(eu));
    await converged(Object.values(w.regions));
    const bus = w.servers.eu.connect();
    const before = await bus.logStreamState("eu");
    w.isolate("eu", true);
    w.servers.eu.wipe();
    await bus.ensureLogStream("eu");
    const own = (await eu.ledger.logStands()).find((stand) => stand.own);
    for (const item of await eu.ledger.readLog({ log: own?.log ?? "", from: 0, limit: 3 })) {
      const { log, rseq } = item.acceptance;
      await bus.publishRecord("eu", { subject: resultSubject("eu", log), data: encodeRecord(item), id: `${log}-${rseq}` });
    }
    const job = await startJob(eu);
    await until("it is raised", async () => (await bus.logStreamState("eu")).lastSeq > before.lastSeq);
    w.isolate("eu", false);
    await finished(us, job);
    await expectEqual(w);
    await expectAllKept(w, receipts);
    expect(eu.lines.filter((line) => line.includes("went back from message"))).toHaveLength(1);
  });

  test("a lost ledger is filled from the peers: its old log too, and everything that was acknowledged", async () => {
    const w = await begin(REGIONS);
    const { eu, us } = w.regions;
    const { receipts } = scan(w);
    await finished(us, await startJob(eu));
    await converged(Object.values(w.regions));
    const lost = (await eu.ledger.logStands()).find(({ own }) => own);
    await eu.keeper.stop();
    eu.lose();
    eu.keeper.start();
    await eu.keeper.leads();
    await expectEqual(w);
    const stands = await eu.ledger.logStands();
    expect(stands.find(({ log }) => log === lost?.log)).toMatchObject({ own: false, region: "eu", prefix: lost?.prefix });
    await finished(us, await startJob(eu));
    await expectEqual(w);
    await expectAllKept(w, receipts);
  });

  for (const way of ["peers that answer", "no peer in reach"] as const) {
    test(`a ledger that comes back at an old state never continues its log (${way}), and no fresh sighting is overruled`, async () => {
      const w = await begin(REGIONS, { plan: { closeAfter: 1 } });
      const { eu, us } = w.regions;
      const seen = { open: [...OPEN] };
      const { receipts } = scan(w, () => seen.open);
      await finished(us, await startJob(eu));
      await converged(Object.values(w.regions));
      const backup = eu.backup();
      await finished(us, await startJob(eu));
      await converged(Object.values(w.regions));
      const old = (await eu.ledger.logStands()).find(({ own }) => own);
      await eu.keeper.stop();
      eu.restore(backup);
      if (way === "no peer in reach") w.isolate("eu", true);
      eu.keeper.start({ standUpWaitMs: 300 });
      await eu.keeper.leads();
      // Seen now for the first time, at a number that the old log had used for something else.
      seen.open.push("192.0.2.4:80");
      const job = await startJob(eu);
      await until("eu has the reports of its own scanner", async () => (await eu.ledger.listReports({ job })).items.length >= 4);
      if (way === "no peer in reach") w.isolate("eu", false);
      await finished(us, job);
      await expectEqual(w);
      const stands = await us.ledger.logStands();
      expect(stands.find(({ log }) => log === old?.log)).toMatchObject({ prefix: old?.prefix });
      expect(stands.filter(({ region }) => region === "eu").length).toBe(2);
      await expectOpen(w, seen.open);
      await expectAllKept(w, receipts);
    });
  }

  test("a ledger that goes back under a running keeper is found out by the peers; what it accepted since moves to a new log", async () => {
    const w = await begin(REGIONS);
    const { eu, us } = w.regions;
    const { receipts } = scan(w);
    await finished(us, await startJob(eu));
    await converged(Object.values(w.regions));
    const backup = eu.backup();
    await finished(us, await startJob(eu));
    await converged(Object.values(w.regions));
    w.isolate("eu", true);
    eu.restore(backup);
    const job = await startJob(eu);
    await until("eu has the reports of its own scanner", async () => (await eu.ledger.listReports({ job })).items.length >= 4);
    w.isolate("eu", false);
    await finished(us, job);
    await expectEqual(w);
    await expectAllKept(w, receipts);
    expect(eu.lines.some((line) => line.includes("is not continued"))).toBe(true);
  });

  test("a ledger that goes back under a running keeper, and had accepted nothing itself since, gets again what its peers hold", async () => {
    const w = await begin(REGIONS);
    const { us, ap, eu } = w.regions;
    const { receipts } = scan(w);
    await finished(us, await startJob(eu));
    await converged(Object.values(w.regions));
    // No scanner is there: its own log stays as it is.
    const backup = ap.backup();
    await finished(us, await startJob(eu));
    await converged(Object.values(w.regions));
    ap.restore(backup);
    await finished(us, await startJob(eu));
    await expectEqual(w);
    await expectAllKept(w, receipts);
  });

  test("a forged record is never applied: an alarm says whose it is, until the way is honest again", async () => {
    const w = await begin(["eu", "us"]);
    const { eu, us } = w.regions;
    scan(w);
    await finished(us, await startJob(eu));
    const [before] = await converged([eu, us]);
    // The stamp is not part of what the author signed, only of the chain.
    w.link("us", "eu").forge = (data) =>
      Buffer.from(
        Buffer.from(data)
          .toString("latin1")
          .replaceAll(/"stampMs":1/g, '"stampMs":2'),
        "latin1",
      );
    const job = await startJob(eu);
    await until("the alarm", () => us.keeper.status()?.peers[0]?.alarm?.includes("does not continue"));
    expect(await us.ledger.frontier()).toMatchObject(before?.frontier ?? {});
    expect(await us.ledger.job(job)).toBeNull();
    w.link("us", "eu").forge = null;
    await finished(us, job);
    await expectEqual(w, ["eu", "us"]);
    await until("the alarm ends", () => us.keeper.status()?.peers[0]?.alarm === null);
  });

  test("only keys that the registry lists may sign a region's log; a key that is added there counts without a restart", async () => {
    const w = await begin(["eu", "us"]);
    const { eu, us } = w.regions;
    const { value } = w.registry;
    const withKey = (version: number, key: string) => ({
      ...value,
      version,
      regions: value.regions.map((region) => (region.name === "eu" ? { ...region, keeperPublicKeys: [key] } : region)),
    });
    w.registry.value = withKey(2, publicKeyOf(newSeed()));
    await until("us has read it", () => us.keeper.status()?.registryVersion === 2);
    scan(w);
    const job = await startJob(eu);
    await until("the alarm", () => us.keeper.status()?.peers[0]?.alarm?.includes("not signed by a keeper"));
    expect(await us.ledger.job(job)).toBeNull();
    w.registry.value = withKey(3, publicKeyOf(w.keepers.eu));
    await finished(us, job);
    await expectEqual(w, ["eu", "us"]);
  });

  test("a peer that claims to know more of our log than we do has to show it", async () => {
    const w = await begin(["eu", "us"]);
    const { eu, us } = w.regions;
    scan(w);
    await finished(us, await startJob(eu));
    await converged([eu, us]);
    const own = (await eu.ledger.logStands()).find((stand) => stand.own);
    w.link("eu", "us").forge = (data) =>
      Buffer.from(Buffer.from(data).toString("latin1").replaceAll(`"prefix":${own?.prefix}`, '"prefix":9999'), "latin1");
    await until("the alarm", () => eu.keeper.status()?.peers[0]?.alarm?.includes("cannot show it"));
    expect((await eu.ledger.logStands()).find((stand) => stand.own)?.log).toBe(own?.log);
  });
});

async function expectEqual(w: Worlds, names: readonly (typeof REGIONS)[number][] = REGIONS): Promise<void> {
  const hashes = await converged(names.map((name) => w.regions[name]));
  expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(1);
}

/** Services are open, and nothing else is. */
async function expectOpen(w: Worlds, open: readonly string[]): Promise<void> {
  for (const { ledger } of Object.values(w.regions)) {
    const services = (await ledger.listServices({ state: "open" })).items.map(({ address, port }) => `${address}:${port}`);
    expect(services.toSorted()).toEqual([...open].toSorted());
  }
}

/** Every record that was acknowledged is held everywhere. */
async function expectAllKept(w: Worlds, receipts: readonly Receipt[]): Promise<void> {
  for (const region of Object.values(w.regions)) expect(await missing(region, receipts)).toEqual([]);
}

async function missing({ database }: RegionWorld, receipts: readonly Receipt[]): Promise<string[]> {
  const [rows] = await database.batch([{ sql: "select lower(hex(id)) as id from record" }], "read");
  const held = new Set((rows ?? []).map((row) => String(row["id"])));
  return receipts.map(({ id }) => id).filter((id) => !held.has(id));
}
