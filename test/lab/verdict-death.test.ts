import { expect } from "vitest";
import { openKeys } from "../../src/local/lab/truth.ts";
import { SMALL } from "./lab-test.ts";
import { awaitThat, regionTest } from "./verdict-region.ts";

const PORTS = [22, 80, 443];

regionTest(
  "shards of a killed and of a frozen scanner are run by a third; what both say when they come back changes nothing",
  { ...SMALL, scanners: 3, prefix4: 24, open4: 200, filtered4: 0, open6: 0, ports: PORTS },
  async (world) => {
    const { lab, api, ledger, region, keysIn } = world;
    const truth = [...openKeys(lab.truth)].toSorted();
    // 256 pairs for each scanner: over twelve seconds.
    const common = { ranges: lab.ranges, ports: PORTS, group: "@all", engine: "connect", closeAfter: 1 } as const;
    await world.addPlan({ ...common, name: "slow", rateLimitPps: 20 });
    await world.addPlan({ ...common, name: "fast", rateLimitPps: 4_000 });
    await world.runJob("fast");
    await awaitThat(
      "the register that equals the truth",
      () => keysIn(["open"]),
      (keys) => keys.join() === truth.join(),
    );

    const job = await api.startJob("slow");
    const running = async (): Promise<string[]> =>
      (await api.shards(job)).filter((shard) => shard.state === "running").map(({ scanner }) => scanner);
    await awaitThat("all three at work", running, (names) => names.length === 3);
    const frozen = region.child("scanner-s3").pid;
    if (frozen === null) throw new Error("scanner s3 does not run");
    await region.child("scanner-s2").kill9({ stayDown: true });
    process.kill(frozen, "SIGSTOP");
    try {
      await awaitThat(
        "the loss of both",
        () => ledger.lostScanners(),
        (lost) => lost.length === 2,
      );
      const end = await awaitThat(
        "the end of the job",
        () => api.job(job),
        ({ state }) => state !== "running",
        90_000,
      );
      expect(end).toMatchObject({ state: "complete", why: null });
    } finally {
      process.kill(frozen, "SIGCONT");
    }
    const reports = async (): Promise<string[]> =>
      (await ledger.listReports({ job })).items.map(
        ({ shard, attempt, scanner, complete }) => `${shard}.${attempt} ${scanner} ${complete}`,
      );
    expect(await reports()).toEqual(["1.1 s1 true", "2.2 s1 true", "3.2 s1 true"]);
    expect(await keysIn(["open"])).toEqual(truth);

    await region.child("scanner-s2").start();
    const late = await awaitThat("the words of both", reports, (all) => all.length >= 5);
    expect(late.filter((text) => !text.includes("s1"))).toEqual(["2.1 s2 false", expect.stringMatching(/^3\.1 s3 /)]);
    await world.runJob("fast");
    expect(await api.job(job)).toMatchObject({ state: "complete", tiles: { total: 1, complete: 1, abandoned: 0 } });
    expect(await keysIn(["open"])).toEqual(truth);
    const { items } = await ledger.listChanges({ first: "oldest", kinds: ["missing", "closed"] });
    expect(items, "not even for a moment").toEqual([]);
  },
);
