import { afterAll, beforeAll, expect, test } from "vitest";
import type { KnownGood } from "../../../src/registry/types.ts";
import { contextAt, sightingsOf, uploadOf } from "../../ledger/builders.ts";
import { type World, startWorld } from "./world.ts";

let world: World;

beforeAll(async () => {
  world = await startWorld();
  const { ledger } = world;
  const nowMs = world.nowMs();
  await ledger.ensureLog(() => "ab".repeat(16));
  const lease = await ledger.takeLease({ holder: "seed", nowMs, ttlMs: 60_000 });
  const epoch = lease?.epoch ?? 0;
  await ledger.accept([uploadOf(sightingsOf(["192.0.2.1:80", "192.0.2.1:443", "192.0.2.2:443"]))], contextAt(epoch, nowMs));
  await ledger.releaseLease({ holder: "seed", epoch });
});

afterAll(async () => {
  await world?.stop();
});

test("a change of the known-good rules shows in the lists within five looks at the registry, one each second, and so does the end of a rule", async () => {
  const { ledger, state, clock, nowMs } = world;
  const set = (knownGood: readonly KnownGood[]): void => {
    state.value = { ...state.value, knownGood, version: state.value.version + 1 };
  };
  const rule = { id: "k", ranges: ["192.0.2.0/24"], ports: "443", owner: "o", reason: "r", expiresAtMs: null, createdAtMs: 0 };
  const listed = async (): Promise<string[]> => (await ledger.listServices({})).items.map(({ address, port }) => `${address}:${port}`);
  const all = ["192.0.2.1:80", "192.0.2.1:443", "192.0.2.2:443"];
  const shows = async (expected: readonly string[]): Promise<void> => {
    const askedBefore = state.asked;
    await expect.poll(listed).toEqual(expected);
    expect(state.asked - askedBefore).toBeLessThanOrEqual(5);
  };
  world.startKeeper("k1");
  expect(await listed()).toEqual(all);
  set([rule]);
  await shows(["192.0.2.1:80"]);
  expect([await ledger.countKnown({}), (await ledger.listServices({ known: "only" })).items.length]).toEqual([2, 2]);
  set([{ ...rule, id: "k2", ranges: ["192.0.2.2"], ports: null, expiresAtMs: nowMs() + 60_000 }]);
  await shows(all.slice(0, 2));
  // The registry does not change now: the rule ends by the clock.
  clock.aheadMs += 60_000;
  await shows(all);
  expect(await ledger.countKnown({})).toBe(0);
});
