import { createHash } from "node:crypto";
import { zstdCompressSync } from "node:zlib";
import { httpDatabase } from "../../src/ledger/database.ts";
import { openLedger } from "../../src/ledger/ledger.ts";
import type { AcceptItem, Ledger } from "../../src/ledger/types.ts";
import { type TestFacts, startTestFacts } from "../api/facts.ts";
import { contextAt, itemOf, jobSpecOf, partOf, reportOf, sightingsOf, tileCompleteOf } from "../ledger/builders.ts";
import { type TestRegistry, publicKey, startTestRegistry } from "../registry/harness.ts";
import type { Known } from "./suite-types.ts";

/** Where each region of the test is on earth: Frankfurt and Ashburn. */
export const PLACES = { eu: { latitude: 50.1, longitude: 8.7 }, us: { latitude: 39, longitude: -77.5 } } as const;

/** A registry and one ledger for each region, with records in it and something that answers commands as a keeper does. */
export type World = {
  readonly store: TestRegistry;
  readonly ledgers: Readonly<Record<keyof typeof PLACES, TestFacts>>;
  readonly known: Known;
  /** Variables of an entry that serves both regions and is at home in `own`. */
  environment(own: keyof typeof PLACES): Record<string, string>;
  stop(): Promise<void>;
};

const START_MS = 1_700_000_000_000;
const LEASE_MS = 3_600_000;
const COMMAND_JOB = "cd".repeat(32);
const sha256 = (data: string | Uint8Array): string => createHash("sha256").update(data).digest("hex");

export async function startWorld(): Promise<World> {
  const stops: (() => Promise<void>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).toReversed()) await one();
  };
  try {
    const store = await startTestRegistry();
    stops.push(store.close);
    const eu = await startTestFacts();
    stops.push(eu.stop);
    const us = await startTestFacts();
    stops.push(us.stop);
    const tokens = await fillRegistry(store);
    const jobs = await fillLedger(eu.sqld.url, "eu");
    await fillLedger(us.sqld.url, "us");
    stops.push(answerCommands(eu.sqld.url, "eu"), answerCommands(us.sqld.url, "us"));
    const listed = (name: keyof typeof PLACES, ledgerUrl: string) => ({ name, ...PLACES[name], registryUrl: store.sqld.url, ledgerUrl });
    const regions = JSON.stringify([listed("eu", eu.sqld.url), listed("us", us.sqld.url)]);
    const environment = (own: string): Record<string, string> => ({
      PORTOLAN_REGION: own,
      PORTOLAN_REGIONS: regions,
      PORTOLAN_COORDINATES_HEADER: "x-caller-at",
    });
    return { store, ledgers: { eu, us }, known: { tokens, ...jobs, commandJob: COMMAND_JOB }, environment, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function fillRegistry({ registry, clock }: TestRegistry): Promise<Known["tokens"]> {
  clock.nowMs = Date.now();
  await registry.addRegion("eu");
  await registry.addRegion("us");
  await registry.addScanner({ name: "de01", region: "eu", addresses: ["192.0.2.250"], publicKey: publicKey(0) });
  const issue = async (role: "viewer" | "operator" | "admin"): Promise<string> =>
    (await registry.tokens.issue({ name: `${role} of the tests`, role, expiresAtMs: null })).text;
  return { viewer: await issue("viewer"), operator: await issue("operator"), admin: await issue("admin") };
}

/** One job that has ended and found 192.0.2.1:443, and one that runs. The stored sightings are compressed. */
async function fillLedger(url: string, region: string): Promise<{ endedJob: string; runningJob: string }> {
  const ledger = openLedger({ url, region, timeoutMs: 15_000 });
  try {
    await ledger.ensureLog(() => sha256(region).slice(0, 32));
    const lease = await ledger.takeLease({ holder: "test", nowMs: START_MS, ttlMs: 1 });
    const epoch = lease?.epoch ?? -1;
    let nowMs = START_MS;
    const compress = (bytes: Uint8Array): Uint8Array => zstdCompressSync(bytes);
    const accept = async (...items: AcceptItem[]): Promise<void> => {
      nowMs += 1_000;
      await ledger.accept(items, { ...contextAt(epoch, nowMs), compress });
    };
    const plan = async (seed: string): Promise<string> => {
      const options = { frontier: await ledger.frontier(), home: region, seed, pairsMax: 1_000, deadlineAtMs: START_MS + 600_000 };
      const job = itemOf({ kind: "job", content: jobSpecOf(options) });
      await accept(job);
      return job.id;
    };
    const endedJob = await plan("1");
    const key = (shard: number) => ({ job: endedJob, tile: 0, shard, attempt: 1 });
    const part = partOf(key(1), endedJob, 0, sightingsOf(["192.0.2.1:443", "192.0.2.2:80"]));
    const reports = [reportOf({ key: key(1), run: endedJob, parts: [part] }), reportOf({ key: key(2), run: `${endedJob}/2` })];
    await accept(part, ...reports);
    await accept(tileCompleteOf(endedJob, 0, reports, null));
    await settle(ledger, epoch);
    const runningJob = await plan("2");
    await settle(ledger, epoch);
    await expectCompressed(url);
    return { endedJob, runningJob };
  } finally {
    ledger.close();
  }
}

async function settle(ledger: Ledger, epoch: number): Promise<void> {
  while (await ledger.runDeferred({ epoch, sha256 }));
}

/** Without it the tests of history would prove nothing. */
async function expectCompressed(url: string): Promise<void> {
  const database = httpDatabase({ url });
  const [rows] = await database.batch([{ sql: "select count(*) as n from record where zstd = 1" }], "read");
  database.close();
  if (rows?.[0]?.["n"] === 0) throw new Error("no stored payload is compressed");
}

/** The part of a keeper that answers commands: each start gets the same job id. */
function answerCommands(url: string, region: string): () => Promise<void> {
  const ledger = openLedger({ url, region, timeoutMs: 5_000 });
  let isRunning = true;
  const result = { ok: true, result: { job: COMMAND_JOB } } as const;
  const loop = async (): Promise<void> => {
    const lease = await ledger.takeLease({ holder: "commands", nowMs: Date.now(), ttlMs: LEASE_MS });
    while (isRunning && lease !== null) {
      // A frozen ledger (some tests do that) is no reason to give up.
      const commands = await ledger.takeCommands({ limit: 10, nowMs: Date.now() }).catch(() => []);
      for (const { id } of commands)
        await ledger.finishCommand(id, result, { epoch: lease.epoch, nowMs: Date.now() }).catch(() => undefined);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    ledger.close();
  };
  const ended = loop();
  return async () => {
    isRunning = false;
    await ended;
  };
}
