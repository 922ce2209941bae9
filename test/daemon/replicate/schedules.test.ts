import { describe, expect, test } from "vitest";
import { until } from "./patience.ts";
import { type Random, randomOf } from "../../ledger/random.ts";
import { OPEN, regionsOfTest } from "./start.ts";
import { startJob } from "./work.ts";
import { converged, REGIONS, type Worlds } from "./world.ts";

/** Seen by the first job only, and truly closed since. */
const GONE = ["192.0.2.5:80", "192.0.2.6:443"];
const STEPS = 10;
/** The first seed, and how many from it on: PORTOLAN_SEED=5 PORTOLAN_SEEDS=56 runs 5 to 60. */
const FIRST_SEED = Number(process.env["PORTOLAN_SEED"] ?? "1");
const SEEDS = Array.from({ length: Number(process.env["PORTOLAN_SEEDS"] ?? "4") }, (_, index) => FIRST_SEED + index);

describe("random schedules of faults", () => {
  const { begin, scan } = regionsOfTest();

  for (const seed of SEEDS) {
    test(`after all of them all regions answer the same, nothing acknowledged is lost, nothing open is ever closed (seed ${seed})`, async () => {
      const random = randomOf(seed);
      const w = await begin(REGIONS, { plan: { closeAfter: 1, deadlineS: 60 }, random: () => random.below(1_000) / 1_000 });
      const seen = { now: [...OPEN, ...GONE] };
      const { receipts } = scan(w, () => seen.now);
      await runJob(w);
      seen.now = [...OPEN];
      const closed: string[] = [];
      for (let step = 0; step < STEPS; step += 1) {
        await oneFault(w, random);
        await startJob(w.regions.eu).catch(() => undefined);
        closed.push(...(await wronglyClosed(w)));
      }
      heal(w);
      await runJob(w);
      const hashes = await converged(Object.values(w.regions), 60_000);
      expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(1);
      expect([...closed, ...(await wronglyClosed(w))]).toEqual([]);
      for (const { database, ledger } of Object.values(w.regions)) {
        const [rows] = await database.batch([{ sql: "select lower(hex(id)) as id from record" }], "read");
        const held = new Set((rows ?? []).map((row) => String(row["id"])));
        expect(receipts.filter(({ id }) => !held.has(id))).toEqual([]);
        const states = (await ledger.listServices({ state: "closed" })).items.map(({ address, port }) => `${address}:${port}`);
        expect(states.toSorted()).toEqual(GONE.toSorted());
      }
    }, 120_000);
  }
});

/** One job that begins now and ends everywhere; one that still runs goes first. */
async function runJob(w: Worlds): Promise<void> {
  const job = await until("a job can begin", () => startJob(w.regions.eu).catch(() => null), 60_000);
  for (const { ledger } of Object.values(w.regions))
    await until("the job has ended everywhere", async () => ((await ledger.job(job))?.state ?? "running") !== "running", 60_000);
}

async function oneFault(w: Worlds, random: Random): Promise<void> {
  const name = random.pick(REGIONS);
  const region = w.regions[name];
  const other = random.pick(REGIONS.filter((one) => one !== name));
  switch (random.below(8)) {
    case 0:
      return w.isolate(name, true);
    case 1:
      return w.isolate(name, false);
    case 2:
      return void Object.assign(w.link(name, other), { lose: 0.5, swap: 0.3 });
    case 3:
      return void (w.link(name, other).silent = !w.link(name, other).silent);
    case 4:
      return w.servers[name].wipe();
    case 5:
      await region.keeper.stop();
      region.keeper.start({ standUpWaitMs: 100 });
      return;
    case 6:
    case 7: {
      // What only a ledger that is lost for good had, its scanners' spools send again: they are no part of this test.
      heal(w);
      const backup = region.backup();
      await startJob(w.regions.eu).catch(() => undefined);
      await converged(Object.values(w.regions), 60_000);
      await region.keeper.stop();
      await converged(Object.values(w.regions), 60_000);
      if (random.chance(0.3)) region.lose();
      else region.restore(backup);
      if (random.chance(0.5)) w.isolate(name, true);
      region.keeper.start({ standUpWaitMs: 100 });
      return;
    }
  }
}

function heal(w: Worlds): void {
  for (const from of REGIONS) for (const to of REGIONS) Object.assign(w.link(from, to), { cut: false, silent: false, lose: 0, swap: 0 });
}

async function wronglyClosed(w: Worlds): Promise<string[]> {
  const found: string[] = [];
  for (const { ledger, name } of Object.values(w.regions)) {
    for (const { address, port, state } of (await ledger.listServices({ state: "all" })).items) {
      if (state !== "open" && OPEN.includes(`${address}:${port}`)) found.push(`${name} says ${state}: ${address}:${port}`);
    }
  }
  return found;
}
