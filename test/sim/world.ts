import { createKeeper } from "../../scanner-daemon/keeper/keeper.ts";
import type { Log } from "../../scanner-daemon/log.ts";
import { createScanner } from "../../scanner-daemon/scanner/scanner.ts";
import { newSeed, publicKeyOf } from "../../src/bus/keys.node.ts";
import { PortolanError } from "../../src/core/errors.ts";
import { ledgerOn } from "../../src/ledger/ledger.ts";
import type { Ledger } from "../../src/ledger/types.ts";
import type { RegistryState } from "../../src/registry/types.ts";
import { SimulatedServer } from "./bus.ts";
import type { Simulation, SimProcess } from "./engine.ts";
import { randomHex } from "./globals.ts";
import { Host } from "./host.ts";
import { LedgerServer } from "./ledger-server.ts";
import { registryOf, type Keys } from "./registry.ts";
import type { Scenario } from "./scenario.ts";
import { Truth, livesOf } from "./truth.ts";

const REGION = "eu";

/** One region with everything in it, and the truth around it. */
export class World {
  readonly simulation: Simulation;
  readonly scenario: Scenario;
  readonly truth: Truth;
  readonly server: SimulatedServer;
  readonly ledger: LedgerServer;
  readonly keepers: readonly Host[];
  readonly scanners: readonly Host[];
  readonly registry: { state: RegistryState; down: boolean };
  /** Whoever talks to the ledger from outside: the API. */
  readonly api: Host;
  #quietRseq = Infinity;

  constructor(simulation: Simulation, scenario: Scenario, mutateSql?: (sql: string) => string) {
    this.simulation = simulation;
    this.scenario = scenario;
    const { random } = simulation;
    this.truth = new Truth([
      ...livesOf(random, scenario.spots, scenario),
      ...scenario.canaries.map((spot) => ({ spot, openAtFirst: true, flipsMs: [] })),
    ]);
    this.server = new SimulatedServer(simulation);
    this.ledger = new LedgerServer(simulation, mutateSql);
    const keys: Keys = { keeper: newSeed(), scanners: Object.fromEntries(scenario.scanners.map((name) => [name, newSeed()])) };
    this.registry = { state: registryOf(scenario, keys, simulation.epochMs), down: false };
    const host = (name: string, main: (owner: SimProcess) => Promise<() => Promise<void>>): Host =>
      new Host(simulation, { name, truth: this.truth, skewMaxMs: scenario.skewMaxMs, main });
    this.keepers = scenario.keepers.map((name) => host(name, (owner) => this.#keeper(owner, keys.keeper)));
    this.scanners = scenario.scanners.map((name) => host(name, (owner) => this.#scanner(owner, name, keys)));
    this.api = host("api", async () => async () => undefined);
  }

  /** Position of the first record of the quiet time. */
  quietRseq(): number {
    return this.#quietRseq;
  }

  start(): void {
    this.simulation.after(this.scenario.quietFromMs, null, "quiet", () => {
      const [row] = this.ledger.read("select coalesce(max(rseq), -1) + 1 as next from record");
      this.#quietRseq = Number(row?.["next"]);
    });
    for (const host of [...this.keepers, ...this.scanners, this.api]) host.start(this.simulation.between(0, 2_000));
  }

  /** The ledger as the API sees it. */
  reader(owner: SimProcess): Ledger {
    return ledgerOn(this.ledger.connect(owner), REGION);
  }

  #log(owner: SimProcess): Log {
    const say = (level: string) => (message: string, fields?: Record<string, unknown>) =>
      this.simulation.traced &&
      this.simulation.note(`${owner.name} ${level}: ${message}${fields === undefined ? "" : ` ${shortJson(fields)}`}`);
    return { debug: say("debug"), info: say("info"), warning: say("warning"), error: say("error") };
  }

  async #keeper(owner: SimProcess, seed: string): Promise<() => Promise<void>> {
    const { simulation, scenario, registry } = this;
    const end = new AbortController();
    const keeper = createKeeper({
      region: REGION,
      name: owner.name,
      seed,
      bus: this.server.connect(owner),
      ledger: this.reader(owner),
      registry: {
        state: () =>
          simulation.step("registry", () => {
            if (registry.down) throw new PortolanError("unavailable", "the registry does not answer");
            return registry.state;
          }),
      },
      durability: this.ledger.durability(owner),
      dataDir: "/data",
      log: this.#log(owner),
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
      randomBytes: (count) => Buffer.from(randomHex(count), "hex"),
      settings: {
        tickMs: scenario.tickMs,
        leaseTtlMs: scenario.leaseTtlMs,
        waitS: scenario.waitS,
        connectTimeoutMs: 500,
        engineGraceMs: 3_000,
      },
    });
    const running = keeper.run(end.signal);
    running.catch((error: unknown) => simulation.fail(`the keeper ended with an error: ${String(error)}`));
    return async () => {
      end.abort();
      await running;
    };
  }

  async #scanner(owner: SimProcess, name: string, keys: Keys): Promise<() => Promise<void>> {
    const scanner = createScanner({
      config: {
        name,
        region: REGION,
        dataDir: "/data",
        launcher: [],
        labMode: false,
        tools: { masscan: "masscan", ethtool: "ethtool", stdbuf: "stdbuf", setpriv: "setpriv", node: "prober" },
        keeperPublicKeys: [publicKeyOf(keys.keeper)],
      },
      bus: this.server.connect(owner),
      keys: { seed: keys.scanners[name] ?? "" },
      clock: { nowMs: () => Date.now() },
      log: this.#log(owner),
      tuning: { heartbeatMs: 3_000, readyMaxAgeMs: 30_000, run: { limitSpareMs: 20_000 } },
    });
    await scanner.start();
    return () => scanner.stop();
  }
}

function shortJson(fields: Record<string, unknown>): string {
  return JSON.stringify(fields)
    .replaceAll(/[0-9a-f]{64}/g, (digest) => digest.slice(0, 8))
    .slice(0, 400);
}
