import type { Ledger } from "../../src/ledger/types.ts";
import type { FaultEvent } from "./scenario.ts";
import type { World } from "./world.ts";

/** Long enough that somebody is told lost also after the faults. */
const RETURN_MS_MAX = 25_000;

/** Lets things go wrong until the scenario's quiet time, and then puts everything right again. */
export function startFaults(world: World): void {
  const { simulation, scenario, server, ledger } = world;
  const { random } = simulation;
  Object.assign(server.faults, { lose: scenario.lose, repeat: scenario.repeat, delay: scenario.delay });
  Object.assign(ledger.faults, { refuse: scenario.ledgerRefuse, loseReply: scenario.ledgerLoseReply });
  for (const { place } of world.scanners) {
    Object.assign(place, { lieChance: scenario.lieChance, lies: scenario.lies, hangChance: scenario.hangChance });
  }
  simulation.crashRule = (owner) => simulation.nowMs < scenario.quietFromMs && owner.name !== "api" && random.chance(scenario.crashChance);
  const again = (): void => {
    simulation.after(simulation.between(0.2, 2) * scenario.eventEveryMs, null, "fault", () => {
      if (simulation.nowMs >= scenario.quietFromMs) return;
      if (scenario.events.length > 0) bringAbout(world, random.pick(scenario.events));
      again();
    });
  };
  again();
  if (scenario.releaseEveryMs !== null) releaseNowAndThen(world, scenario.releaseEveryMs);
  simulation.after(scenario.quietFromMs, null, "quiet", () => endFaults(world));
}

function endFaults(world: World): void {
  const { simulation, server, ledger } = world;
  simulation.note("--- no further faults; nothing opens or closes any more ---");
  Object.assign(server.faults, { lose: 0, repeat: 0, delay: 0 });
  Object.assign(ledger.faults, { refuse: 0, loseReply: 0 });
  world.registry.down = false;
  for (const host of [...world.scanners, ...world.keepers]) {
    Object.assign(host.place, { lieChance: 0, hangChance: 0, offloadsOn: false });
    host.place.seeAgain();
    host.disk.full = false;
    host.skewMs = 0;
    host.thaw();
    host.returnWithin(RETURN_MS_MAX);
  }
}

function bringAbout(world: World, event: FaultEvent): void {
  const { simulation, server, ledger } = world;
  const { random } = simulation;
  const scanner = random.pick(world.scanners);
  // Work that is broken off is worth more than a rest that is.
  const busy = world.scanners.filter(({ place }) => place.isLooking());
  const worker = busy.length === 0 ? scanner : random.pick(busy);
  const keeper = random.pick(world.keepers);
  const briefMs = simulation.between(100, 20_000);
  simulation.count(event);
  switch (event) {
    case "kill-scanner":
    case "power-scanner":
      return scanner.kill(event === "power-scanner");
    case "stop-scanner":
      return scanner.stopInOrder();
    case "freeze-scanner":
      return worker.freeze(random.chance(0.3) ? briefMs : simulation.between(16_000, 90_000));
    case "lose-scanner":
      return worker.lose(simulation.between(15_000, 90_000));
    case "kill-keeper":
    case "power-keeper":
      return keeper.kill(event === "power-keeper");
    case "stop-keeper":
      return keeper.stopInOrder();
    case "freeze-keeper":
      return keeper.freeze(simulation.between(1_000, 60_000));
    case "restart-ledger":
    case "power-ledger":
      simulation.note(`the ledger is killed${event === "power-ledger" ? " by a power failure" : ""}`);
      return ledger.restart({ powerFailure: event === "power-ledger", afterMs: briefMs });
    case "restart-server":
      simulation.note("the message server is killed");
      return server.restart(briefMs);
    case "wipe-server":
      simulation.note("the message server loses its store");
      return server.wipe();
    case "blind":
      simulation.note(`${scanner.name} is blind`);
      scanner.place.goBlind();
      simulation.after(briefMs, null, "sight", () => scanner.place.seeAgain());
      return;
    case "offloads":
      scanner.place.offloadsOn = true;
      simulation.after(2 * briefMs, null, "offloads off", () => void (scanner.place.offloadsOn = false));
      return;
    case "full-disk":
      simulation.note(`the disk of ${scanner.name} is full`);
      scanner.disk.full = true;
      simulation.after(briefMs, null, "disk freed", () => void (scanner.disk.full = false));
      return;
    case "registry":
      world.registry.down = true;
      simulation.after(briefMs, null, "registry back", () => void (world.registry.down = false));
      return;
    case "pause-job":
      if (random.chance(0.5)) simulation.after(briefMs, null, "resume", () => command(world, "resume-job"));
      return command(world, event);
    case "start-job":
    case "cancel-job":
    case "resume-job":
    case "release-tile":
      return command(world, event);
  }
}

/** An operator who believes what the brake holds. */
function releaseNowAndThen(world: World, everyMs: number): void {
  world.simulation.after(everyMs, null, "operator", () => {
    command(world, "release-tile");
    releaseNowAndThen(world, everyMs);
  });
}

type CommandEvent = "start-job" | "cancel-job" | "pause-job" | "resume-job" | "release-tile";

function command(world: World, kind: CommandEvent): void {
  const { simulation, api } = world;
  const owner = api.process;
  if (owner === null) return;
  simulation.after(0, owner, kind, () => {
    const ledger = world.reader(owner);
    const send = async (): Promise<void> => {
      const body = await bodyOf(world, ledger, kind);
      // Jobs of the quiet time are left to themselves.
      if (body === null || (kind !== "release-tile" && simulation.nowMs >= world.scenario.quietFromMs)) return;
      simulation.note(`the API asks for ${kind}`);
      await ledger.submitCommand(kind, body, { nowMs: Date.now() });
    };
    send().catch((error: unknown) => simulation.note(`the command could not be sent: ${String(error)}`));
  });
}

/** Null when there is nothing to ask for. */
async function bodyOf({ simulation, registry }: World, ledger: Ledger, kind: CommandEvent): Promise<unknown> {
  const { random } = simulation;
  if (kind === "start-job") return { planId: random.pick(registry.state.plans).id };
  const by = "an operator";
  if (kind === "release-tile") {
    const held = await ledger.heldTiles();
    return held.length === 0 ? null : { job: random.pick(held).job, by };
  }
  const { items } = await ledger.listJobs({ state: "running" });
  const running = items.filter(({ paused }) => (kind === "resume-job" ? paused : kind === "cancel-job" || !paused));
  if (running.length === 0) return null;
  const job = random.pick(running).id;
  return kind === "cancel-job" ? { job, reason: "asked for" } : { job, by };
}
