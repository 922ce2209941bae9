import { sha256Hex, signText } from "../../src/bus/keys.node.ts";
import type { AssignmentKey, JobSpec } from "../../src/core/messages/job.ts";
import { signedText, statementId } from "../../src/core/statement.ts";
import { type MemoryDatabase, openMemoryDatabase } from "../ledger/memory-database.ts";
import { failureText, type Killer, must } from "./killer.ts";
import { type Faulty, faultyEvidence, partOf, reportOf } from "./messages.ts";
import { columnsOf, LIVING, Region, SEEDS, type Name, type Sent } from "./region.ts";

/** The weakest policy: the strong one hides mistakes of acceptance. */
const WEAK = { closeAfter: 1, confirm: false };

type Story = { readonly region: Region; readonly job: { readonly id: string; readonly spec: JobSpec }; readonly key: AssignmentKey };

/** What is sent on the way to a tile-complete. A report that says nothing was open must close the service only when all is right. */
type Play = (story: Story) => Promise<void>;

/**
 * Under the weakest policy, a report with one fault in its evidence, its signature, its assignment or its parts must not close
 * a living service; one without a fault must close it, so that refusing everything does not pass.
 */
export const acceptanceKiller: Killer = async (mutate) => {
  const database = openMemoryDatabase(mutate);
  try {
    for (const engine of ["masscan", "connect"] as const) {
      await tell(database, engine, "closed", "an honest report that saw nothing", async ({ region, job, key }) => {
        must(await region.receive(reportOf(job.spec, key), "alpha"), "an honest report was refused");
      });
      await tell(database, engine, "open", "an honest report with a sighting", sawIt);
    }
    for (const [name, evidence] of faultyEvidence()) {
      await tell(database, evidence.engine, "open", `${evidence.engine}: ${name}`, async ({ region, job, key }) => {
        await region.receive(reportOf(job.spec, key, { evidence }), "alpha");
      });
    }
    for (const [name, play] of Object.entries(DISHONEST)) await tell(database, "connect", "open", name, play);
    return null;
  } catch (error) {
    return failureText(error);
  } finally {
    database.close();
  }
};

async function tell(database: MemoryDatabase, engine: "masscan" | "connect", wanted: string, name: string, play: Play): Promise<void> {
  const region = await Region.open(database);
  const job = await region.plan(WEAK, { scanners: ["alpha"], engine });
  await play({ region, job, key: { job: job.id, tile: 0, shard: 1, attempt: 1 } });
  await region.settle();
  const states = await region.states();
  must(states[LIVING] === wanted, `${name}: ${states[LIVING] ?? "gone"}`);
  must(Object.keys(states).length === 1, `${name}: another service came into the register`);
}

const sawIt: Play = async ({ region, job, key }) => {
  const part = partOf(key, [LIVING]);
  must(await region.receive(part, "alpha"), "an honest part was refused");
  must(
    await region.receive(reportOf(job.spec, key, { parts: [{ id: part.id, sightings: 1 }], sightings: 1 }), "alpha"),
    "an honest report was refused",
  );
};

const forgedBy = (name: Name, { statement }: Sent): string => signText(SEEDS[name], signedText(statementId(statement, sha256Hex)));

/** Each sends what would close the service if the keeper believed it. */
const DISHONEST: Readonly<Record<string, Play>> = {
  "a partial report with whole evidence": async ({ region, job, key }) => {
    await region.receive(reportOf(job.spec, key, { outcome: { kind: "partial", reasons: ["interrupted"] } }), "alpha");
  },
  "a report without evidence": async ({ region, job, key }) => {
    await region.receive(reportOf(job.spec, key, { evidence: null }), "alpha");
  },
  "evidence of the other engine": async ({ region, job, key }) => {
    await region.receive(reportOf(job.spec, key, { evidence: { engine: "masscan", part: {} } }), "alpha");
  },
  "a signature by another key": async ({ region, job, key }) => {
    const sent = reportOf(job.spec, key);
    await region.receive({ ...sent, signed: { signature: forgedBy("gamma", sent) } }, "alpha");
  },
  "the name of a scanner with a key that is not its own": async ({ region, job, key }) => {
    await region.receive({ ...reportOf(job.spec, key), signed: { name: "alpha" } }, "gamma");
  },
  "a member that speaks for another": async ({ region, job, key }) => {
    await region.receive(reportOf(job.spec, key), "gamma");
  },
  "a scanner that the shard was not given to": async ({ region, job, key }) => {
    await region.receive(reportOf(job.spec, key, { scanner: "gamma" }), "gamma");
  },
  "a scanner that was switched off": async ({ region }) => {
    const job = await region.plan(WEAK, { scanners: ["off"], engine: "connect" });
    await region.receive(reportOf(job.spec, { job: job.id, tile: 0, shard: 1, attempt: 1 }, { scanner: "off" }), "off");
  },
  "a scanner of another region": async ({ region }) => {
    const job = await region.plan(WEAK, { scanners: ["beta"], engine: "connect" });
    await region.receive(reportOf(job.spec, { job: job.id, tile: 0, shard: 1, attempt: 1 }, { scanner: "beta" }), "beta");
  },
  "one of two shards": async ({ region }) => {
    const job = await region.plan(WEAK, { scanners: ["alpha", "gamma"], engine: "connect" });
    const key = { job: job.id, tile: 0, shard: 1, attempt: 1 };
    const half = { engine: "connect" as const, part: { shardCount: 2, pairs: 4, filtered: 3 } };
    must(await region.receive(reportOf(job.spec, key, { evidence: half }), "alpha"), "an honest shard was refused");
  },
  "the evidence of shard 1 for shard 2": async ({ region }) => {
    const job = await region.plan(WEAK, { scanners: ["gamma", "alpha"], engine: "connect" });
    const half = (shard: number): Faulty => ({ engine: "connect", part: { shard, shardCount: 2, pairs: 4, filtered: 3 } });
    const [first, second] = [1, 2].map((shard) => ({ job: job.id, tile: 0, shard, attempt: 1 }));
    if (first === undefined || second === undefined) return;
    await region.receive(reportOf(job.spec, first, { scanner: "gamma", runId: "2".repeat(32), evidence: half(1) }), "gamma");
    await region.receive(reportOf(job.spec, second, { evidence: half(1) }), "alpha");
  },
  "a part whose payload was exchanged": async ({ region, job, key }) => {
    const part = partOf(key, [LIVING]);
    must(!(await region.receive({ ...part, payload: columnsOf(["192.0.2.2:80"]) }, "alpha")), "a part was taken with another payload");
    await region.receive(reportOf(job.spec, key, { parts: [{ id: part.id, sightings: 1 }], sightings: 1 }), "alpha");
  },
  "a part that announces more than it holds": async ({ region, key }) => {
    must(!(await region.receive(partOf(key, [LIVING], { sightings: 2 }), "alpha")), "a part was taken that lacks a sighting");
  },
  "a part with a sighting outside the tile": async ({ region, key }) => {
    await region.receive(partOf(key, ["192.0.2.200:80"]), "alpha");
    await region.receive(partOf(key, ["192.0.2.1:22"]), "alpha");
    await region.receive(partOf(key, ["192.0.2.4:80"]), "alpha");
  },
  "a report whose part never came": async ({ region, job, key }) => {
    const part = partOf(key, [LIVING]);
    must(
      await region.receive(reportOf(job.spec, key, { parts: [{ id: part.id, sightings: 1 }], sightings: 1 }), "alpha"),
      "an honest report was refused",
    );
  },
  "a report that lost the list of its parts": async ({ region, job, key }) => {
    await region.receive(reportOf(job.spec, key, { parts: [], sightings: 1 }), "alpha");
  },
  "a report that names one part twice": async ({ region, job, key }) => {
    const part = partOf(key, [LIVING]);
    const twice = [part, part].map(({ id }) => ({ id, sightings: 1 }));
    must(!(await region.receive(reportOf(job.spec, key, { parts: twice, sightings: 2 }), "alpha")), "a part was counted twice");
  },
  "a report about a tile that the job does not have": async ({ region, job, key }) => {
    must(!(await region.receive(reportOf(job.spec, { ...key, tile: 1 }), "alpha")), "a report of a tile without a number was taken");
  },
};
