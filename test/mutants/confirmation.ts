import type { ConfirmOrder, Probe } from "../../src/core/messages/probe.ts";
import { type MemoryDatabase, openMemoryDatabase } from "../ledger/memory-database.ts";
import { failureText, type Killer, must } from "./killer.ts";
import { reportOf } from "./messages.ts";
import { LIVING, Region, type Name } from "./region.ts";

/** The weakest policy that asks for a confirm at all. */
const CONFIRM = { closeAfter: 1, confirm: true };
const CANARIES = [22, 25, 443].map((port) => ({ address: "192.0.2.9", port }));
const ANSWERED = { canariesBefore: { asked: 3, answered: 3 }, canariesAfter: { asked: 3, answered: 2 } };
const TARGET = { address: "192.0.2.1", protocol: "tcp" as const, port: 80 };

type Changes = {
  readonly order?: Partial<ConfirmOrder>;
  readonly probe?: Partial<Probe>;
  readonly answer?: Probe["results"][number]["answer"];
  readonly connects?: number;
  /** Changes the order after the keeper signed it. */
  readonly tampered?: boolean;
  readonly from?: Name;
  readonly signedBy?: Name;
};

/** Probes that must not confirm, each for one reason alone. */
const FAULTS: Readonly<Record<string, Changes>> = {
  "an error": { answer: "error" },
  "an open port": { answer: "open" },
  "two connects": { connects: 2 },
  "three connects within a moment": { probe: { endedAtMs: 3_000 } },
  "an order of another keeper": { signedBy: "gamma" },
  "an order that was changed after it was signed": { tampered: true },
  "an order of another region": { order: { region: "us" } },
  "an order to another scanner": { from: "gamma" },
  "other targets than the order's": { order: { targets: [{ ...TARGET, port: 443 }] } },
  "one of two other scanners": { order: { basis: "others" } },
  "an order from before the miss": { order: { frontier: {} } },
  "canaries that nobody asked": { order: { canaries: CANARIES } },
  "canaries that fell silent": {
    order: { canaries: CANARIES },
    probe: { evidence: { ...ANSWERED, canariesAfter: { asked: 3, answered: 1 } } },
  },
};

/** A service that a job missed must not be closed by a probe with one fault; one without a fault must close it. */
export const confirmationKiller: Killer = async (mutate) => {
  const database = openMemoryDatabase(mutate);
  try {
    await tell(database, "an honest probe", {}, "closed");
    await tell(database, "an honest probe with canaries", { order: { canaries: CANARIES }, probe: { evidence: ANSWERED } }, "closed");
    for (const [name, changes] of Object.entries(FAULTS)) {
      await tell(database, name, changes, changes.answer === "open" ? "open" : "missing");
    }
    return null;
  } catch (error) {
    return failureText(error);
  } finally {
    database.close();
  }
};

async function tell(database: MemoryDatabase, name: string, changes: Changes, wanted: string): Promise<void> {
  const region = await Region.open(database);
  const job = await region.plan(CONFIRM, { scanners: ["alpha"], engine: "connect" });
  must(await region.receive(reportOf(job.spec, { job: job.id, tile: 0, shard: 1, attempt: 1 }), "alpha"), "an honest report was refused");
  await region.settle();
  must((await region.states())[LIVING] === "missing", "a missed service is not missing");
  const unsigned = {
    version: 1 as const,
    id: "c".repeat(32),
    region: "eu",
    job: job.id,
    scanner: "alpha",
    basis: "sighter" as const,
    engine: "connect" as const,
    frontier: await region.ledger.frontier(),
    targets: [TARGET],
    orderedAtMs: 0,
  };
  const order = region.order({ ...unsigned, ...changes.order }, changes.signedBy);
  const sent: ConfirmOrder = changes.tampered === true ? { ...order, orderedAtMs: 1 } : order;
  const results = [{ ...TARGET, answer: changes.answer ?? ("closed" as const), connects: changes.connects ?? 3 }];
  const content: Probe = { version: 1, order: sent, results, startedAtMs: 0, endedAtMs: 10_000, ...changes.probe };
  await region.receive({ statement: { kind: "probe", content } }, changes.from ?? "alpha");
  await region.settle();
  must((await region.states())[LIVING] === wanted, `${name}: ${(await region.states())[LIVING] ?? "gone"}`);
}
