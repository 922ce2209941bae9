import { afterAll, beforeAll, expect, test } from "vitest";
import { httpDatabase } from "../../src/ledger/database.ts";
import { openLedger } from "../../src/ledger/ledger.ts";
import { checkRegions } from "../../workers/scheduled.ts";
import { readConfig } from "../../workers/config.ts";
import type { RegionApp } from "../../workers/router.ts";
import { type TestFacts, startTestFacts } from "../api/facts.ts";

const HOUR_MS = 3_600_000;
let facts: TestFacts;

beforeAll(async () => {
  facts = await startTestFacts();
});

afterAll(async () => {
  await facts?.stop();
});

function regionThat(name: string, status: number | null): RegionApp {
  const answer = async (): Promise<Response> => {
    if (status === null) throw new Error("no way there");
    return new Response("{}", { status });
  };
  return { name, latitude: null, longitude: null, fetch: answer };
}

test("a check tells of every region, and ends what waits in vain in the inbox of those that answer", async () => {
  const nowMs = Date.now();
  const { url } = facts.sqld;
  const ledger = openLedger({ url, region: "eu", timeoutMs: 10_000 });
  const late = await ledger.submitCommand("cancel-job", {}, { nowMs: nowMs - HOUR_MS, ttlMs: 5_000 });
  const fresh = await ledger.submitCommand("cancel-job", {}, { nowMs: nowMs - 5_500, ttlMs: 5_000 });
  const place = (name: string, ledgerUrl: string) => ({ name, registryUrl: "http://127.0.0.1:1", ledgerUrl });
  const list = JSON.stringify([place("eu", url), place("us", "http://127.0.0.1:1"), place("ap", "http://127.0.0.1:1")]);
  const config = readConfig({ PORTOLAN_REGION: "eu", PORTOLAN_REGIONS: list });
  const lines: unknown[] = [];
  const watch = { config, log: (line: string) => lines.push(JSON.parse(line)) };
  const regions = [regionThat("eu", 200), regionThat("us", 503), regionThat("ap", null)];
  await checkRegions(regions, { ...watch, clock: () => nowMs });
  expect(lines).toHaveLength(3);
  expect(lines).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ region: "eu", level: "info", ready: true, commands_ended: 1, commands_forgotten: 0 }),
      expect.objectContaining({ region: "us", level: "error", ready: false, commands_ended: null }),
      expect.objectContaining({ region: "ap", level: "error", ready: false, commands_ended: null }),
    ]),
  );
  expect(await ledger.awaitCommand(late, 1_000)).toMatchObject({ ok: false, code: "unavailable" });
  // A keeper may still be at one whose time has only just run out.
  expect(await ledger.awaitCommand(fresh, 0)).toBeNull();
  await checkRegions(regions, { ...watch, clock: () => nowMs + 2 * HOUR_MS });
  expect(lines.slice(3)).toContainEqual(expect.objectContaining({ region: "eu", commands_ended: 1, commands_forgotten: 1 }));
  const database = httpDatabase({ url });
  const [rows] = await database.batch([{ sql: "select id from inbox" }], "read");
  expect(rows?.map((row) => row["id"])).toEqual([fresh]);
  database.close();
  ledger.close();
});
