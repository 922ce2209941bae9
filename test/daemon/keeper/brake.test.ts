import { afterEach, describe, expect, test } from "vitest";
import { containsAddress } from "../../../src/core/range.ts";
import { assignmentRanges } from "../../../src/core/masscan/argv.ts";
import { connectPairs } from "../../../scanner-daemon/scanner/connect-run.ts";
import { formatAddress } from "../../../src/core/address.ts";
import type { Assignment } from "../../../src/core/messages/job.ts";
import { until } from "../../bus/until.ts";
import { finish, recordKinds, services, startJob } from "./scanner-part.ts";
import { startWorld, type World } from "./world.ts";

/** What is open on port 80 of the first addresses, as far as it lies in this shard. */
const found =
  (addresses: number) =>
  (assignment: Assignment): string[] =>
    [...connectPairs(assignment)].flatMap(({ address, port }) => {
      const text = formatAddress(address);
      const isOpen = port === 80 && Number(text.split(".")[3]) < addresses && containsAddress(assignmentRanges(assignment), address);
      return isOpen ? [`${text}:80`] : [];
    });

describe("the brake at the end of a tile", () => {
  let world: World | undefined;
  const begin = async (closeAfter: number): Promise<World> => {
    world = await startWorld([{ pairsMax: 64, closeAfter }]);
    world.startKeeper("k1");
    return world;
  };
  const run = async (w: World, open: number): Promise<string> => {
    const job = await startJob(w);
    expect(await finish(w, job, found(open))).toMatchObject({ state: "complete" });
    return job;
  };
  const states = async (w: World): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {};
    for (const { state } of await services(w)) counts[state] = (counts[state] ?? 0) + 1;
    return counts;
  };
  afterEach(async () => {
    await world?.stop();
    world = undefined;
  });

  test("holds a tile that would newly miss over 30 % and at least 20 services, and nothing of it counts", async () => {
    const w = await begin(1);
    await run(w, 30);
    const job = await run(w, 5);
    expect(await w.ledger.heldTiles()).toMatchObject([{ job, tile: 0, look: { open: 30, missed: 25 } }]);
    expect((await w.ledger.listTiles({ job })).items[0]?.held).toContain("25 of 30");
    expect(await states(w)).toEqual({ open: 30 });
  });

  test("lets a tile pass that misses fewer than 20", async () => {
    const w = await begin(1);
    await run(w, 30);
    await run(w, 11);
    await until("the closing", async () => (await states(w))["closed"] === 19);
    expect(await w.ledger.heldTiles()).toEqual([]);
  });

  test("an operator's release lets the held tile count; a second one finds nothing", async () => {
    const w = await begin(1);
    await run(w, 30);
    const job = await run(w, 0);
    expect(await w.command("release-tile", { job, tile: 0, by: "ann" })).toEqual({ ok: true, result: { released: 1 } });
    await until("the closing", async () => (await states(w))["closed"] === 30);
    expect(await w.command("release-tile", { job })).toMatchObject({ ok: false, code: "not-found" });
    expect((await recordKinds(w)).filter((kind) => kind === "release")).toHaveLength(1);
  });

  test("the plan's next job that misses the same releases the held tile, and both count", async () => {
    const w = await begin(2);
    await run(w, 30);
    const held = await run(w, 4);
    expect(await states(w)).toEqual({ open: 30 });
    await run(w, 4);
    await until("the closing", async () => (await states(w))["closed"] === 26);
    expect(await states(w)).toEqual({ open: 4, closed: 26 });
    expect(await w.ledger.heldTiles()).toEqual([]);
    expect((await recordKinds(w)).filter((kind) => kind === "release")).toHaveLength(1);
    expect((await w.ledger.listTiles({ job: held })).items).toHaveLength(1);
  });

  test("a next job that sees them again releases nothing, and the held tile never counts", async () => {
    const w = await begin(1);
    await run(w, 30);
    const held = await run(w, 0);
    await run(w, 30);
    expect(await states(w)).toEqual({ open: 30 });
    expect(await w.ledger.heldTiles()).toMatchObject([{ job: held }]);
    expect((await recordKinds(w)).filter((kind) => kind === "release")).toEqual([]);
  });

  test("a next job that misses others is held too", async () => {
    const w = await begin(1);
    await run(w, 30);
    await run(w, 8);
    const job = await startJob(w);
    await finish(w, job, (assignment) => found(30)(assignment).filter((text) => Number(/\.(\d+):/.exec(text)?.[1]) >= 22));
    expect(await w.ledger.heldTiles()).toHaveLength(2);
    expect(await states(w)).toEqual({ open: 30 });
  });
});
