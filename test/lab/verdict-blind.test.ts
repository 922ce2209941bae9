import { expect } from "vitest";
import { httpDatabase } from "../../src/ledger/database.ts";
import { awaitScanners } from "../../src/local/demo/stage.ts";
import { openKeys, pairOf } from "../../src/local/lab/truth.ts";
import { SMALL } from "./lab-test.ts";
import { awaitThat, type LabRegion, regionTest } from "./verdict-region.ts";

// A scanner that does not hear answers sees a dead network. None of that may reach the register.

const RANGE = "198.18.0.0/24";

/** Starts a job that cannot become complete, waits for what its scanner says about it, and cancels it. */
async function partialJob(world: LabRegion, plan: string, says: RegExp): Promise<void> {
  const { api, ledger } = world;
  // What a scanner last said of its engines may be a moment old.
  const job = await awaitThat(
    `a start of plan ${plan}`,
    () => api.startJob(plan).catch(() => ""),
    (id) => id !== "",
  );
  const problems = async (): Promise<string[]> => {
    const shards = await api.shards(job);
    const scanners = await api.scanners();
    return [...shards.map(({ problem }) => problem), ...scanners.map(({ live }) => live?.notReady ?? null)].filter((text) => text !== null);
  };
  await awaitThat(`a word of ${String(says)} about plan ${plan}`, problems, (all) => all.some((text) => says.test(text)));
  const { items } = await ledger.listReports({ job });
  expect(items.filter(({ complete }) => complete)).toEqual([]);
  await api.cancelJob(job, "it cannot become complete");
  await awaitThat(
    "the end of the job",
    () => api.job(job),
    ({ state }) => state !== "running",
  );
}

regionTest(
  "offloads, and blindness that canaries notice, make runs partial; blindness without canaries is held until an operator releases it",
  { ...SMALL, open4: 60, filtered4: 100, open6: 0 },
  async (world) => {
    const { lab, api, ledger, keysIn, nft } = world;
    const truth = [...openKeys(lab.truth)].toSorted();
    const common = { ranges: [RANGE], ports: lab.ports, group: "@all" };
    const canaries = truth.slice(0, 3).map(pairOf);
    await world.addPlan({ ...common, name: "plain" });
    await world.addPlan({ ...common, name: "canaries", canaries });
    await world.runJob("canaries");
    await awaitThat(
      "the register that equals the truth",
      () => keysIn(["open"]),
      (keys) => keys.join() === truth.join(),
    );

    await lab.offloads(0, true);
    await partialJob(world, "plain", /offloads/);
    await lab.offloads(0, false);
    await awaitScanners(api, "masscan");
    expect(await keysIn(["missing", "closed"]), "offloads on").toEqual([]);

    // masscan reads beside the kernel's filters, so answers are dropped where they are sent.
    await nft("add table inet blind\nadd chain inet blind out { type filter hook output priority 0; }\n");
    await nft(`add rule inet blind out ip daddr ${lab.links[0]?.scannerIpv4 ?? ""} meta l4proto tcp drop\n`);
    await partialJob(world, "canaries", /blind/);
    expect(await keysIn(["missing", "closed"]), "blind, with canaries").toEqual([]);

    const job = await world.runJob("plain");
    const [held] = await ledger.heldTiles();
    expect(held).toMatchObject({ job, tile: 0, reason: `the tile would newly miss ${truth.length} of ${truth.length} open services` });
    expect(await keysIn(["missing", "closed"]), "blind, without canaries").toEqual([]);
    const { items } = await ledger.listChanges({ first: "oldest", kinds: ["job-held"] });
    expect(items).toMatchObject([{ kind: "job-held", job }]);

    await api.post(`/v1/jobs/${job}/tiles/0/release`, {});
    await awaitThat(
      "the closing of what was released",
      () => keysIn(["closed"]),
      (keys) => keys.join() === truth.join(),
    );
    await nft("delete table inet blind\n");
    await world.runJob("plain");
    await awaitThat(
      "the register that equals the truth again",
      () => keysIn(["open"]),
      (keys) => keys.join() === truth.join(),
    );
  },
);

regionTest(
  "a scanner that goes blind between a job and its confirm closes nothing: its canaries fall silent too",
  { ...SMALL, open4: 60, filtered4: 100, open6: 0 },
  async (world) => {
    const { lab, ledger, keysIn, nft, region } = world;
    const truth = [...openKeys(lab.truth)].toSorted();
    const canaries = truth.slice(0, 3).map(pairOf);
    await world.addPlan({ name: "canaries", ranges: [RANGE], ports: lab.ports, group: "@all", engine: "connect", confirm: true, canaries });
    await world.runJob("canaries");
    await awaitThat(
      "the register that equals the truth",
      () => keysIn(["open"]),
      (keys) => keys.join() === truth.join(),
    );

    // Gone for a moment, in which a job misses them; they are back before the confirm has looked three times.
    const away = truth.slice(10, 15);
    await lab.close(away.map(pairOf));
    await world.runJob("canaries");
    await nft(`add table inet blind
add chain inet blind out { type filter hook output priority 0; }
add rule inet blind out ip daddr ${lab.links[0]?.scannerIpv4 ?? ""} meta l4proto tcp drop
`);
    await lab.open(away.map(pairOf));
    const database = httpDatabase({ url: region.ledgerUrl });
    try {
      const errors = async (): Promise<number> => {
        const [rows] = await database.batch([{ sql: "select count(*) as n from probe_result where answer = 3" }], "read");
        return Number(rows?.[0]?.["n"]);
      };
      await awaitThat("a confirm that its scanner knows to be blind", errors, (count) => count >= away.length);
    } finally {
      database.close();
    }
    expect(await keysIn(["missing"])).toEqual(away);
    await nft("delete table inet blind\n");
    await awaitThat(
      "the register that equals the truth again",
      () => keysIn(["open"]),
      (keys) => keys.join() === truth.join(),
      120_000,
    );
    const { items } = await ledger.listChanges({ first: "oldest", kinds: ["closed"] });
    expect(items, "not even for a moment").toEqual([]);
  },
  300_000,
);
