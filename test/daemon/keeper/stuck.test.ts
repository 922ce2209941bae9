import { expect, test } from "vitest";
import { createStuckWatch } from "../../../scanner-daemon/keeper/stuck.ts";
import type { ScannerLive } from "../../../src/ledger/types.ts";

const SUBJECT = "shards.s1.x.0.1.1";
const key = { job: "a".repeat(64), tile: 0, shard: 1, attempt: 1 };

function beat(nowMs: number, running: ScannerLive["running"]): ReadonlyMap<string, ScannerLive> {
  const live = {
    scanner: "s1",
    region: "eu",
    version: "1",
    engines: [],
    masscanVersion: null,
    notReady: null,
    spoolBytes: 0,
    sentAtMs: nowMs,
  };
  return new Map([["s1", { ...live, running, receivedAtMs: nowMs }]]);
}

const queued = [{ scanner: "s1", subject: SUBJECT }];

test("a message that a live scanner leaves lying while it is idle is found once, after 12 seconds", () => {
  const watch = createStuckWatch();
  for (let nowMs = 0; nowMs < 12_000; nowMs += 1_000) expect(watch({ queued, heartbeats: beat(nowMs, null), nowMs }).size).toBe(0);
  expect([...watch({ queued, heartbeats: beat(12_000, null), nowMs: 12_000 })]).toEqual([SUBJECT]);
  expect(watch({ queued, heartbeats: beat(13_000, null), nowMs: 13_000 }).size).toBe(0);
});

test("messages for a scanner that works or is silent are left alone", () => {
  const watch = createStuckWatch();
  for (let nowMs = 0; nowMs < 60_000; nowMs += 1_000) {
    const isBusy = nowMs % 10_000 === 0;
    expect(watch({ queued, heartbeats: beat(nowMs, isBusy ? key : null), nowMs }).size).toBe(0);
  }
  for (let nowMs = 60_000; nowMs < 120_000; nowMs += 1_000) expect(watch({ queued, heartbeats: beat(50_000, null), nowMs }).size).toBe(0);
});
