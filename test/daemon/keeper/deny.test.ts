import { afterEach, describe, expect, test } from "vitest";
import type { Cancel, DeniedList } from "../../../src/core/messages/bus.ts";
import type { JobSpec } from "../../../src/core/messages/job.ts";
import { createRules } from "../../../scanner-daemon/keeper/rules.ts";
import type { Denied } from "../../../src/ledger/denies.ts";
import { resolveSnapshot } from "../../../src/registry/rules/resolve.ts";
import { containsAddress, countAddresses, normaliseRanges, parseRange } from "../../../src/core/range.ts";
import { parseAddress } from "../../../src/core/address.ts";
import { tilesOf } from "../../../src/core/tile.ts";
import { until } from "../../bus/until.ts";
import { beat, finish, recordKinds, startJob } from "./scanner-part.ts";
import { newSeeds, registryState, startWorld, type World } from "./world.ts";

/** Numbers of the tiles that hold the address. */
function tilesWith(spec: JobSpec | null, address: string): number[] {
  if (spec === null) throw new Error("no such job");
  return tilesOf(spec).flatMap(({ index, ranges }) => (containsAddress(normaliseRanges(ranges), parseAddress(address)) ? [index] : []));
}

const exclusion = (ranges: string[], ports: string | null = null) => {
  return { id: "e1", ranges, ports, owner: "plant", reason: "fragile", expiresAtMs: null, createdAtMs: 0 };
};

/** The keeper runs commands at the beginning of a round: between two of them lies a whole one, follow-ups included. */
async function wholeRound(w: World): Promise<void> {
  for (const reason of ["one", "two"]) await w.command("deny", { ranges: ["198.51.100.1"], reason, by: "ann" });
}

describe("what must not be probed any more", () => {
  let world: World | undefined;
  const begin = async (...plans: Parameters<typeof startWorld>): Promise<World> => (world = await startWorld(...plans));
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });
  const jobsOf = async (w: World) => (await w.ledger.listJobs({})).items;
  const holdsQueued = async (w: World, job: string, tiles: number[]): Promise<boolean> =>
    (await w.bus.queued("eu", "shards.>")).some((subject) => tiles.some((tile) => subject.includes(`.${job}.${tile}.`)));

  test("a deny ends the open tiles that hold it, tells scanners at once, and the follow-up covers the rest without it", async () => {
    const w = await begin();
    w.startKeeper("k1");
    const job = await startJob(w);
    const hit = tilesWith(await w.ledger.jobSpec(job), "192.0.2.5");
    expect(hit).toHaveLength(1);
    await until("queued work", async () => (await w.bus.queued("eu", "shards.>").catch(() => [])).length === 4);
    const told: (Cancel | DeniedList)[] = [];
    w.bus.subscribe("cancel.s1", ({ data }) => told.push(JSON.parse(new TextDecoder().decode(data)) as Cancel | DeniedList));
    // The registry is away: an emergency does not need it.
    w.state.down = true;
    const answer = await w.command("deny", { ranges: ["192.0.2.5"], reason: "complaint", by: "ann" });
    expect(answer).toMatchObject({ ok: true });
    await until("the list", () => told.some((one) => "denied" in one && one.denied[0]?.ranges[0] === "192.0.2.5"));
    await until("the abandoned tile", async () => (await w.ledger.tileState(job, hit[0] ?? -1)) === "abandoned");
    await until("a queue without it", async () => !(await holdsQueued(w, job, hit)));
    await until("an exact cancel", () => {
      beat(w, "s1", { running: { job, tile: hit[0] ?? -1, shard: 1, attempt: 1 } });
      return told.some((one) => "job" in one && one.job === job && one.tile === hit[0]);
    });
    beat(w, "s1", { running: { job, tile: ((hit[0] ?? 0) + 1) % 4, shard: 1, attempt: 1 } });
    const before = told.length;
    expect(await finish(w, job)).toMatchObject({ state: "incomplete", tiles: { total: 4, complete: 3, abandoned: 1 } });
    expect(told.slice(before).filter((one) => "job" in one && one.tile !== hit[0] && one.tile !== undefined)).toEqual([]);
    expect((await w.ledger.job(job))?.why).toContain("denied: a denied address was in it");
    const next = await until("the follow-up", async () => (await jobsOf(w)).find(({ id }) => id !== job));
    expect(next.cause).toBe("follow-up");
    const spec = await w.ledger.jobSpec(next.id);
    expect(tilesWith(spec, "192.0.2.5")).toEqual([]);
    // Eight addresses were in the tile.
    expect(next.pairs).toBe(14);
    expect(await finish(w, next.id)).toMatchObject({ state: "complete" });
    await wholeRound(w);
    expect(await jobsOf(w)).toHaveLength(2);
    expect(await recordKinds(w)).toContain("deny");
  });

  test("denied addresses are in no new job; lifted or run out they are again, and lifting twice is lifting once", async () => {
    const w = await begin();
    w.startKeeper("k1");
    const answer = await w.command("deny", { ranges: ["192.0.2.0/28"], reason: "", by: "ann" });
    await w.command("deny", { ranges: ["192.0.2.16/29"], ports: "80", reason: "", by: "ann", expiresAtMs: w.nowMs() + 3_600_000 });
    const first = await startJob(w);
    expect((await w.ledger.job(first))?.pairs).toBe(8 + 16);
    await finish(w, first);
    const { deny } = (answer as { result: { deny: string } }).result;
    for (const _ of [1, 2])
      expect(await w.command("lift-deny", { deny, reason: "settled", by: "bob" })).toEqual({ ok: true, result: { deny } });
    w.clock.aheadMs += 3_600_000;
    await until("the news", async () => (await w.ledger.denied(w.nowMs())).pairs.length === 0);
    const second = await startJob(w);
    expect((await w.ledger.job(second))?.pairs).toBe(64);
    expect(await w.ledger.deny(deny)).toMatchObject({ lifted: { by: "bob", reason: "settled" } });
    expect((await recordKinds(w)).filter((kind) => kind === "deny-lift")).toHaveLength(1);
    expect(await w.command("lift-deny", { deny: "0".repeat(64) })).toMatchObject({ ok: false, code: "not-found" });
    expect(await w.command("deny", { ranges: ["nonsense"], reason: "" })).toMatchObject({ ok: false, code: "invalid" });
    expect(await w.command("deny", { ranges: ["192.0.2.1"], reason: "", expiresAtMs: 1 })).toMatchObject({ ok: false, code: "invalid" });
  });

  test("a denied canary ends all open tiles, and the follow-up asks the others", async () => {
    const canaries = [
      { address: "192.0.2.200", port: 80 },
      { address: "192.0.2.201", port: 80 },
    ];
    const w = await begin([{ canaries }]);
    w.startKeeper("k1");
    const job = await startJob(w);
    await w.command("deny", { ranges: ["192.0.2.200"], reason: "", by: "ann" });
    const next = await until("the follow-up", async () => (await jobsOf(w)).find(({ id }) => id !== job));
    expect(await w.ledger.job(job)).toMatchObject({ state: "incomplete", tiles: { abandoned: 4 } });
    expect((await w.ledger.jobSpec(next.id))?.canaries).toEqual([canaries[1]]);
    expect(next.pairs).toBe(64);
  });

  test("an exclusion that is added during a job, and a range that is taken away, end the tiles that hold them", async () => {
    const w = await begin([{ pairsMax: 8 }]);
    w.startKeeper("k1");
    const job = await startJob(w);
    const spec = await w.ledger.jobSpec(job);
    w.state.value = { ...w.state.value, version: 2, exclusions: [exclusion(["192.0.2.1"], "80")] };
    await until("the first tile", async () => (await w.ledger.tileState(job, tilesWith(spec, "192.0.2.1")[0] ?? -1)) === "abandoned");
    w.state.value = {
      ...w.state.value,
      version: 3,
      rangeGroups: [{ name: "lan", builtIn: false, ranges: [{ canonical: "192.0.2.0-192.0.2.30", text: "192.0.2.0-192.0.2.30" }] }],
    };
    await until("the second", async () => (await w.ledger.tileState(job, tilesWith(spec, "192.0.2.31")[0] ?? -1)) === "abandoned");
    const row = await finish(w, job);
    expect(row).toMatchObject({ state: "incomplete", tiles: { total: 8, abandoned: 2 } });
    expect(row?.why).toContain("excluded: an address in it was excluded");
    const next = await until("the follow-up", async () => (await jobsOf(w)).find(({ id }) => id !== job));
    // Two tiles of four addresses and two ports, without one pair and one address.
    expect(next.pairs).toBe(16 - 1 - 2);
  });

  test("a cancelled job is not taken up again, nor is one whose plan is disabled", async () => {
    const w = await begin([{}, {}]);
    w.startKeeper("k1");
    const [first, second] = [await startJob(w, "plan-0"), await startJob(w, "plan-1")];
    w.state.value = {
      ...w.state.value,
      version: 2,
      plans: w.state.value.plans.map((plan) => ({ ...plan, enabled: plan.id !== "plan-1" })),
    };
    await w.command("deny", { ranges: ["192.0.2.0/24"], ports: "443", reason: "", by: "ann" });
    await until("both are over", async () =>
      (await jobsOf(w)).every(({ state, id }) => state !== "running" || ![first, second].includes(id)),
    );
    const next = await until("the one follow-up", async () => (await jobsOf(w)).find(({ id }) => id !== first && id !== second));
    expect(next).toMatchObject({ plan: "plan0", pairs: 32 });
    await w.command("cancel-job", { job: next.id, reason: "enough" });
    await wholeRound(w);
    expect(await jobsOf(w)).toHaveLength(3);
  });
});

test("what is denied counts as covered by no plan, from the moment that it is known, and is covered again when that ends", async () => {
  const snapshot = resolveSnapshot(registryState(newSeeds(), [{}]), 0);
  const pairs = [{ ranges: [parseRange("192.0.2.0/28")], ports: null }];
  let denied: Denied = { version: "", pairs: [] };
  const applied: number[] = [];
  const rules = createRules({
    ledger: {
      applyRules: async (kind, { targets }) => {
        if (kind === "monitored") applied.push(Number(countAddresses(targets.flatMap(({ ranges }) => ranges))));
      },
    },
    writer: { epoch: () => 1 },
    snapshots: { current: () => snapshot },
    forbidden: { denied: () => denied },
  });
  await rules.apply();
  denied = { version: "a", pairs };
  for (const _ of [1, 2]) await rules.apply();
  denied = { version: "", pairs: [] };
  await rules.apply();
  expect(applied).toEqual([32, 16, 32]);
});
