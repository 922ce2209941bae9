import { setTimeout as pause } from "node:timers/promises";
import { expect } from "vitest";
import { SMALL } from "./lab-test.ts";
import { awaitThat, regionTest } from "./verdict-region.ts";

const DENIED = "198.18.0.77";
/** What is promised, and how long we then watch: the follow-up needs about a second for each 200 of its pairs. */
const PROMISED_MS = 30_000;
const WATCHED_MS = 8_000;

regionTest(
  "30 s after a deny commits, and sooner, no packet goes to a denied address, while the rest is scanned on",
  { ...SMALL, scanners: 1 },
  async ({ lab, api, ledger, addPlan }) => {
    await addPlan({ name: "slow", ranges: ["198.18.0.0/24"], ports: "1-100", group: "@all", rateLimitPps: 400 });
    await lab.startSeen();
    const job = await api.startJob("slow");
    const toDenied = (seen: ReadonlyMap<string, number>): number =>
      [...seen.keys()].filter((pair) => pair.includes(`\t${DENIED}\t`)).length;
    await awaitThat(
      "the first packets to the address",
      async () => (await lab.readSeen()).packets,
      (packets) => toDenied(packets) > 0,
    );
    const deny = await api.post("/v1/deny", { ranges: [DENIED], reason: "abuse report" });
    const committedAtMs = performance.now();
    const jobs = await awaitThat(
      "the follow-up at work",
      async () => ({
        jobs: (await ledger.listJobs({})).items,
        running: (await ledger.scanners()).map(({ running }) => running?.job ?? null),
      }),
      ({ jobs: all, running }) => all.some(({ id, cause }) => cause === "follow-up" && running.includes(id)),
      PROMISED_MS,
    );
    await lab.startSeen();
    const lateMs = performance.now() - committedAtMs;
    expect(lateMs).toBeLessThan(PROMISED_MS);
    await pause(WATCHED_MS);
    const { packets } = await lab.readSeen();
    expect([...packets.keys()].filter((pair) => pair.includes(`\t${DENIED}\t`))).toEqual([]);
    expect(packets.size, "the others are probed").toBeGreaterThan(100);
    expect(deny).toMatchObject({ inForce: true, lifted: null });
    expect(await ledger.job(job)).toMatchObject({ state: "incomplete", tiles: { total: 1, abandoned: 1 } });
    const rest = jobs.jobs.find(({ cause }) => cause === "follow-up");
    expect(rest?.pairs).toBe(255 * 100);
    await api.cancelJob(rest?.id ?? "", "seen enough");
  },
  60_000,
);
