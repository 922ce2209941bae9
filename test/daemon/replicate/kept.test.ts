import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { hearKept } from "../../../scanner-daemon/scanner/hear-kept.ts";
import { startSender } from "../../../scanner-daemon/scanner/send.ts";
import { openRunStore, type RunStore } from "../../../scanner-daemon/scanner/store.ts";
import { sha256Hex } from "../../../src/bus/keys.node.ts";
import { signedAssignmentSchema } from "../../../src/core/messages/bus.ts";
import type { Assignment } from "../../../src/core/messages/job.ts";
import { goodEvidence, sightingOf } from "../keeper/scanner-part.ts";
import { until } from "./patience.ts";
import { OPEN, regionsOfTest } from "./start.ts";
import { seenBy, startJob } from "./work.ts";
import { converged, type RegionWorld } from "./world.ts";

const quiet = { debug: () => undefined, info: () => undefined, warning: () => undefined, error: () => undefined };
const { begin } = regionsOfTest();

/** The spool of scanner s1, with the real sender and the real ear. */
async function spoolOf(region: RegionWorld, seed: string) {
  const directory = mkdtempSync(join(tmpdir(), "portolan-kept-"));
  const store = await openRunStore(directory);
  const [bus, nowMs] = [region.bus, () => Date.now()];
  const timing = { requestTimeoutMs: 2_000, backoffFirstMs: 20, backoffMaxMs: 100 };
  const sender = startSender({ name: "s1", region: region.name, bus, seed, store, log: quiet, nowMs, random: Math.random, timing });
  const ear = hearKept({ bus, region: region.name, store, sender, nowMs, log: quiet });
  onTestFinished(async () => {
    await ear.stop();
    await sender.stop();
    await store.close();
    rmSync(directory, { recursive: true, force: true });
  });
  return { store, wake: sender.wake, kept: () => readdirSync(join(directory, "kept")).length };
}

/** Runs everything that waits for s1: its findings are in the store then. */
async function runAll(region: RegionWorld, store: RunStore): Promise<string[]> {
  const seen: string[] = [];
  const first = await until("work", () => region.bus.claim(region.name, "s1", { waitMs: 100 }).catch(() => null));
  for (let claim: typeof first | null = first; claim !== null; claim = await region.bus.claim(region.name, "s1", { waitMs: 100 })) {
    const { assignment } = signedAssignmentSchema.parse(JSON.parse(new TextDecoder().decode(claim.data)));
    seen.push(...(await runOne(assignment, store)));
    await claim.ack();
  }
  return seen;
}

async function runOne(assignment: Assignment, store: RunStore): Promise<string[]> {
  const open = seenBy(assignment, OPEN);
  const runId = sha256Hex(JSON.stringify(assignment.key)).slice(0, 32);
  const run = await store.create({ version: 1, assignment, runId, startedAtMs: 1 });
  for (const text of open) await run.spool.add(sightingOf(text));
  await run.spool.seal();
  const evidence = goodEvidence(assignment, open.length);
  await run.finish({ version: 1, outcome: { kind: "complete" }, evidence, probesSent: 1, endedAtMs: 2 });
  return open;
}

test("a ledger that is lost with what no peer had yet gets it back from its scanners", async () => {
  const w = await begin(["eu", "us"]);
  const { eu, us } = w.regions;
  const spool = await spoolOf(eu, w.seeds.s1);
  const job = await startJob(eu);
  await until("us knows the job", () => us.ledger.job(job));
  w.isolate("eu", true);
  const seen = await runAll(eu, spool.store);
  expect(seen.length).toBeGreaterThan(0);
  spool.wake();
  await until("all of it is acknowledged", () => spool.store.runs().length === 0 && spool.kept() > 0);
  await eu.keeper.stop();
  eu.lose();
  w.isolate("eu", false);
  eu.keeper.start();
  for (const { ledger, name } of [eu, us]) {
    await until(`${name} has it again`, async () => {
      const held = (await ledger.listServices({})).items.map(({ address, port }) => `${address}:${port}`);
      return seen.every((one) => held.includes(one));
    });
  }
  await until("nothing is kept that us has", () => spool.store.runs().length === 0 && spool.kept() === 0);
  expect(new Set((await converged([eu, us])).map(({ hash }) => hash)).size).toBe(1);
}, 120_000);

test("what a peer has is not kept", async () => {
  const w = await begin(["eu", "us"]);
  const spool = await spoolOf(w.regions.eu, w.seeds.s1);
  await startJob(w.regions.eu);
  await runAll(w.regions.eu, spool.store);
  spool.wake();
  await until("nothing is left", () => spool.store.runs().length === 0 && spool.kept() === 0);
}, 120_000);

test("a region that loses its last peer keeps nothing", async () => {
  const w = await begin(["eu", "us"]);
  const spool = await spoolOf(w.regions.eu, w.seeds.s1);
  await startJob(w.regions.eu);
  w.isolate("eu", true);
  await runAll(w.regions.eu, spool.store);
  spool.wake();
  await until("it is kept", () => spool.store.runs().length === 0 && spool.kept() > 0);
  const { value } = w.registry;
  w.registry.value = {
    ...value,
    version: 2,
    regions: value.regions.map((one) => (one.name === "us" ? { ...one, state: "retired" } : one)),
  };
  await until("eu is alone", () => spool.kept() === 0);
}, 120_000);
