import type { FaultEvent } from "./scenario.ts";
import type { World } from "./world.ts";

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
    host.disk.full = false;
    host.skewMs = 0;
    host.thaw();
  }
}

function bringAbout(world: World, event: FaultEvent): void {
  const { simulation, server, ledger } = world;
  const { random } = simulation;
  const scanner = random.pick(world.scanners);
  const keeper = random.pick(world.keepers);
  const briefMs = simulation.between(100, 20_000);
  switch (event) {
    case "kill-scanner":
    case "power-scanner":
      return scanner.kill(event === "power-scanner");
    case "stop-scanner":
      return scanner.stopInOrder();
    case "freeze-scanner":
      return scanner.freeze(simulation.between(1_000, 60_000));
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
      scanner.place.blind = true;
      return see(world, scanner, briefMs);
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
    case "start-job":
    case "cancel-job":
      return command(world, event);
  }
}

/** A run that looked before and after cannot have been blind in between only: sight comes back between runs. */
function see(world: World, scanner: World["scanners"][number], afterMs: number): void {
  world.simulation.after(afterMs, null, "sight", () => {
    if (scanner.place.probers > 0) return see(world, scanner, 500);
    scanner.place.blind = false;
    world.simulation.note(`${scanner.name} sees again`);
  });
}

function command(world: World, kind: "start-job" | "cancel-job"): void {
  const { simulation, api } = world;
  const owner = api.process;
  if (owner === null) return;
  simulation.after(0, owner, kind, () => {
    const ledger = world.reader(owner);
    const send = async (): Promise<void> => {
      const [running] = await ledger.runningJobs();
      if (kind === "cancel-job" && running === undefined) return;
      const plan = simulation.random.pick(world.registry.state.plans);
      const body = kind === "start-job" ? { planId: plan.id } : { job: running?.id ?? "", reason: "asked for" };
      simulation.note(`the API asks for ${kind}`);
      await ledger.submitCommand(kind, body, { nowMs: Date.now() });
    };
    send().catch((error: unknown) => simulation.note(`the command could not be sent: ${String(error)}`));
  });
}
