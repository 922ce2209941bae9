import { Disk } from "./disk.ts";
import type { Simulation, SimProcess, Task } from "./engine.ts";
import { Place } from "./place.ts";
import type { Truth } from "./truth.ts";

const RESTART_MS_MAX = 5_000;

/** Starts the host's program; resolves with the way to stop it in order. */
export type Main = (owner: SimProcess) => Promise<() => Promise<void>>;

/** A machine with its disk and its place in the network. Its one program is started again whenever it has ended. */
export class Host {
  readonly name: string;
  readonly place: Place;
  readonly disk = new Disk();
  skewMs = 0;
  #process: SimProcess | null = null;
  #stop: (() => Promise<void>) | null = null;
  #powerFails = false;
  #awayMs: number | null = null;
  #starting: Task | null = null;
  readonly #simulation: Simulation;
  readonly #main: Main;

  constructor(
    simulation: Simulation,
    setup: { readonly name: string; readonly truth: Truth; readonly skewMaxMs: number; readonly main: Main },
  ) {
    this.name = setup.name;
    this.place = new Place(setup.truth);
    this.skewMs = Math.round(simulation.between(-setup.skewMaxMs, setup.skewMaxMs));
    this.#simulation = simulation;
    this.#main = setup.main;
  }

  /** The program that runs now. */
  get process(): SimProcess | null {
    return this.#process;
  }

  start(afterMs: number): void {
    this.#starting = this.#simulation.after(afterMs, null, `start ${this.name}`, () => this.#run());
  }

  /** With a power failure the disk loses what was not synced. */
  kill(powerFails: boolean): void {
    if (this.#process === null) return;
    this.#powerFails = powerFails;
    this.#simulation.note(`${this.name} is killed${powerFails ? " by a power failure" : ""}`);
    this.#simulation.kill(this.#process);
  }

  /** Gone, for so long that it is missed. */
  lose(forMs: number): void {
    if (this.#process === null) return;
    this.#awayMs = forMs;
    this.#simulation.note(`${this.name} is gone for ${Math.round(forMs / 1_000)} s`);
    this.#simulation.kill(this.#process);
  }

  /** Asks the program to end, as a service manager does. */
  stopInOrder(): void {
    const [owner, stop] = [this.#process, this.#stop];
    if (owner === null || stop === null) return;
    this.#stop = null;
    this.#simulation.note(`${this.name} is stopped in order`);
    this.#simulation.after(0, owner, "stop", () => {
      void stop().then(
        () => this.#simulation.kill(owner),
        (error: unknown) => this.#simulation.fail(`${this.name} could not be stopped in order: ${String(error)}`),
      );
    });
    // A service manager does not wait for ever.
    this.#simulation.after(30_000, owner, "stop takes too long", () => this.#simulation.kill(owner));
  }

  /** Nothing of it happens for a while. */
  freeze(forMs: number): void {
    if (this.#process === null) return;
    this.#simulation.note(`${this.name} is frozen for ${Math.round(forMs / 1_000)} s`);
    this.#process.pausedUntilMs = this.#simulation.nowMs + forMs;
  }

  thaw(): void {
    if (this.#process !== null) this.#simulation.resume(this.#process);
  }

  /** When it is gone, it comes back in a while. */
  returnWithin(maxMs: number): void {
    if (this.#process !== null) return;
    this.#starting?.cancel();
    this.start(this.#simulation.between(100, maxMs));
  }

  #run(): void {
    const owner: SimProcess = {
      name: this.name,
      disk: this.disk,
      place: this.place,
      alive: true,
      pausedUntilMs: 0,
      as: () => undefined,
      skewMs: () => this.skewMs,
      onDeath: [() => this.#died()],
      onPoke: null,
      stubborn: false,
    };
    owner.as = this.#simulation.contextOf(owner);
    this.#process = owner;
    this.#simulation.note(`${this.name} starts`);
    owner.as(() => {
      this.#main(owner).then(
        (stop) => {
          if (owner.alive) this.#stop = stop;
        },
        (error: unknown) => {
          this.#simulation.note(`${this.name} could not start: ${String(error)}`);
          this.#simulation.kill(owner);
        },
      );
    });
  }

  #died(): void {
    this.#process = null;
    this.#stop = null;
    if (this.#powerFails || this.#simulation.random.chance(0.1)) this.disk.powerFailure(this.#simulation.random);
    this.#powerFails = false;
    this.start(this.#awayMs ?? this.#simulation.between(100, RESTART_MS_MAX));
    this.#awayMs = null;
  }
}
