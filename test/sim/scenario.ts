import { type Random } from "../ledger/history.ts";
import { type Lie, LIES } from "./place.ts";
import type { Spot } from "./truth.ts";

/** Faults that a driver brings about from time to time. */
export const EVENTS = [
  "kill-scanner",
  "power-scanner",
  "stop-scanner",
  "freeze-scanner",
  "kill-keeper",
  "power-keeper",
  "stop-keeper",
  "freeze-keeper",
  "restart-ledger",
  "power-ledger",
  "restart-server",
  "wipe-server",
  "blind",
  "offloads",
  "full-disk",
  "registry",
  "start-job",
  "cancel-job",
] as const;
export type FaultEvent = (typeof EVENTS)[number];

/** One plan of the simulated region. */
export type ScenarioPlan = {
  readonly engine: "masscan" | "connect";
  readonly ranges: readonly string[];
  readonly ports: string;
  readonly pairsMax: number;
  readonly closeAfter: number;
  readonly confirm: boolean;
  readonly intervalS: number;
};

/** Everything that one seed decides beforehand. */
export type Scenario = {
  readonly seed: number;
  readonly scanners: readonly string[];
  readonly keepers: readonly string[];
  readonly plans: readonly ScenarioPlan[];
  readonly spots: readonly Spot[];
  readonly canaries: readonly Spot[];
  readonly deadlineS: number;
  readonly waitS: number;
  readonly tickMs: number;
  readonly leaseTtlMs: number;
  /** Faults come until then; afterwards everything works and nothing opens or closes any more. */
  readonly quietFromMs: number;
  readonly events: readonly FaultEvent[];
  readonly eventEveryMs: number;
  /** Chance that a process dies at one of its steps. */
  readonly crashChance: number;
  readonly lose: number;
  readonly repeat: number;
  readonly delay: number;
  readonly ledgerRefuse: number;
  readonly ledgerLoseReply: number;
  readonly lieChance: number;
  readonly lies: readonly Lie[];
  readonly hangChance: number;
  readonly skewMaxMs: number;
};

const ADDRESSES = 8;
const CANARIES: readonly Spot[] = [1, 2, 3].map((last) => ({ address: `198.51.100.${last}`, port: 443 }));

/** What one seed looks like. Each kind of fault is left out in many seeds, so that others are not hidden behind it. */
export function scenarioOf(seed: number, random: Random, weakest: boolean): Scenario {
  const sometimes = (value: number): number => (random.chance(0.5) ? value : 0);
  const ports = random.pick([[80], [80, 443], [22, 80, 443]]);
  const spots = Array.from({ length: ADDRESSES }, (_, index) => ports.map((port) => ({ address: `192.0.2.${index + 1}`, port }))).flat();
  return {
    seed,
    scanners: ["s1", "s2", "s3"].slice(0, 1 + random.below(3)),
    keepers: random.chance(0.35) ? ["k1", "k2"] : ["k1"],
    plans: plansOf(random, ports, weakest),
    spots,
    canaries: CANARIES,
    deadlineS: 120 + random.below(80),
    waitS: 3,
    tickMs: random.pick([2_000, 6_000]),
    leaseTtlMs: random.pick([6_000, 15_000]),
    quietFromMs: 1_000 * (80 + random.below(160)),
    events: EVENTS.filter(() => random.chance(0.5)),
    eventEveryMs: random.pick([5_000, 15_000, 40_000]),
    crashChance: sometimes(random.pick([0.0003, 0.002])),
    lose: sometimes(random.pick([0.01, 0.1])),
    repeat: sometimes(random.pick([0.05, 0.4])),
    delay: sometimes(random.pick([0.02, 0.2])),
    ledgerRefuse: sometimes(random.pick([0.005, 0.05])),
    ledgerLoseReply: sometimes(random.pick([0.01, 0.08])),
    lieChance: sometimes(random.pick([0.15, 0.5])),
    lies: LIES.filter(() => random.chance(0.6)),
    hangChance: sometimes(0.2),
    skewMaxMs: sometimes(random.pick([20_000, 120_000])),
  };
}

function plansOf(random: Random, ports: readonly number[], weakest: boolean): ScenarioPlan[] {
  const one = (): ScenarioPlan => ({
    engine: random.chance(0.65) ? "masscan" : "connect",
    ranges: random.pick([["192.0.2.1-192.0.2.8"], ["192.0.2.1-192.0.2.4"], ["192.0.2.3-192.0.2.8"]]),
    ports: ports.join(","),
    pairsMax: random.pick([Math.ceil((ADDRESSES * ports.length) / 3), Math.ceil((ADDRESSES * ports.length) / 2), 100]),
    closeAfter: weakest ? 1 : random.pick([1, 1, 2, 3]),
    confirm: false,
    intervalS: 15 + random.below(30),
  });
  const whole = { ...one(), ranges: ["192.0.2.1-192.0.2.8"] };
  return random.chance(0.3) ? [whole, one()] : [whole];
}
