import { randomOf } from "../ledger/history.ts";
import { enter, Simulation } from "./engine.ts";
import { startFaults } from "./faults.ts";
import { type Happened, happenedIn } from "./features.ts";
import { Oracle, undelivered } from "./oracle.ts";
import { readRecords } from "./records.ts";
import { type ScenarioPlan, scenarioOf } from "./scenario.ts";
import { spotText } from "./truth.ts";
import { World } from "./world.ts";

/** How one run went. */
export type SimulationResult = {
  readonly seed: number;
  /** Null when everything held. */
  readonly failure: string | null;
  /** Equal for equal runs. */
  readonly digest: number;
  readonly steps: number;
  readonly records: number;
  /** How often what is worth counting has happened in it. */
  readonly happened: Happened;
  readonly trace: readonly string[];
};

export type SimulationOptions = {
  readonly traced?: boolean;
  /** Every plan closes after one miss and asks for no confirm. */
  readonly weakest?: boolean;
  readonly mutateSql?: (sql: string) => string;
};

/** From the end of the faults until everything has to be told right. */
const RECOVERY_MS = 1_200_000;
/** From the last job's beginning until nothing is left to do. */
const REST_MS = 300_000;
/** Looking costs more than a step. */
const LOOK_EVERY = 100;

/** Runs one seed: a time with faults, then a time without, in which the register has to become right. */
export async function simulate(seed: number, options: SimulationOptions = {}): Promise<SimulationResult> {
  const random = randomOf(seed);
  const simulation = new Simulation(random, options.traced === true);
  enter(simulation);
  const scenario = scenarioOf(seed, random, options.weakest === true);
  if (options.traced === true) simulation.note(JSON.stringify(scenario));
  const world = new World(simulation, scenario, options.mutateSql);
  try {
    const oracle = new Oracle(world);
    if (options.traced === true) for (const spot of scenario.spots) simulation.note(world.truth.describe(spot));
    world.start();
    startFaults(world);
    await simulation.run(scenario.quietFromMs);
    await simulation.run(scenario.quietFromMs + RECOVERY_MS, () => isRecovered(world));
    // No further jobs: everything comes to rest.
    world.registry.state = { ...world.registry.state, version: 2, plans: [] };
    await simulation.run(simulation.nowMs + REST_MS, () => isAtRest(world));
    if (simulation.failure === null) checkRecovery(world);
    if (simulation.failure === null) oracle.checkEnd();
    const { failure, digest, steps, lines } = simulation;
    const records = readRecords(world.ledger);
    const [reopened] = world.ledger.read("select count(*) as n from service where reopened = 1");
    const happened = { ...Object.fromEntries(simulation.counts), ...happenedIn(records), "services reopened": Number(reopened?.["n"]) };
    return { seed, failure, digest, steps, records: records.length, happened, trace: lines };
  } finally {
    world.ledger.close();
    enter(null);
  }
}

/** Jobs of the quiet time by their plans, oldest first, as far as they have ended. */
function quietJobs(world: World): { plan: string; isComplete: boolean }[] {
  const rows = world.ledger.read(
    "select j.plan_id as plan, j.tiles_complete = j.tiles as complete, r.rseq from job j join record r on r.id = j.id where j.ended_at_ms is not null order by r.rseq",
  );
  return rows.flatMap((row) =>
    Number(row["rseq"]) < world.quietRseq() ? [] : [{ plan: String(row["plan"]), isComplete: row["complete"] === 1 }],
  );
}

function isRecovered(world: World): boolean {
  if (world.simulation.steps % LOOK_EVERY !== 0) return false;
  const jobs = quietJobs(world);
  const isEnough = (plan: ScenarioPlan, index: number): boolean =>
    jobs.filter((job) => job.plan === `plan-${index}`).length >= jobsNeeded(world, plan);
  return jobs.some(({ isComplete }) => !isComplete) || world.scenario.plans.every(isEnough);
}

/** A dead service closes within closeAfter + 1 covering jobs; what the brake holds waits for one more, which releases it. */
function jobsNeeded({ scenario }: World, { closeAfter }: ScenarioPlan): number {
  return closeAfter + 1 + (scenario.outage === null ? 0 : 1);
}

function isAtRest(world: World): boolean {
  if (world.simulation.steps % LOOK_EVERY !== 0) return false;
  const [due] = world.ledger.read(
    `select (select count(*) from tile_complete where done in (1, 2)) + (select count(*) from job where ended_at_ms is null)
      + (select count(*) from service where state = 1) as n`,
  );
  return due?.["n"] === 0 && world.scanners.every(({ disk }) => undelivered(disk) === 0);
}

/** Liveness: jobs planned without faults end complete, and after so many of them the register is the truth. */
function checkRecovery(world: World): void {
  const { simulation, scenario, truth, ledger } = world;
  const jobs = quietJobs(world);
  const incomplete = jobs.filter(({ isComplete }) => !isComplete).length;
  if (incomplete > 0) return simulation.fail(`${incomplete} jobs that were planned when all was well ended incomplete`);
  for (const [index, plan] of scenario.plans.entries()) {
    const ended = jobs.filter((job) => job.plan === `plan-${index}`).length;
    if (ended < jobsNeeded(world, plan))
      return simulation.fail(`plan-${index} ended ${ended} jobs in ${RECOVERY_MS / 1_000} s without faults`);
  }
  const states = new Map(
    ledger
      .read("select lower(hex(ip)) as ip, port, state from service")
      .map((row) => [`${String(row["ip"])}:${String(row["port"])}`, row["state"]]),
  );
  for (const spot of scenario.spots) {
    const state = states.get(`${hexOf(spot.address)}:${spot.port}`);
    if (truth.isOpen(spot, simulation.nowMs) && state !== 0)
      return simulation.fail(`${spotText(spot)} is open, but the register says ${String(state)}`);
    if (!truth.isOpen(spot, simulation.nowMs) && state !== undefined && state !== 2) {
      return simulation.fail(`${spotText(spot)} is dead, but not closed after all covering jobs (${truth.describe(spot)})`);
    }
  }
}

function hexOf(address: string): string {
  const bytes = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return `00000000000000000000ffff${bytes.join("")}`;
}
