import { type Random } from "../ledger/history.ts";
import { type Lie, LIES } from "./place.ts";
import type { Outage, Spot } from "./truth.ts";

/** Faults that a driver brings about from time to time. */
export const EVENTS = [
  "kill-scanner",
  "power-scanner",
  "stop-scanner",
  "freeze-scanner",
  "lose-scanner",
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
  "pause-job",
  "resume-job",
  "release-tile",
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
  /** Most of the network fails at one moment, and may come back: the brake has to stop that. */
  readonly outage: Outage | null;
  readonly canaries: readonly Spot[];
  readonly deadlineS: number;
  readonly waitS: number;
  readonly tickMs: number;
  readonly leaseTtlMs: number;
  /** How often an operator releases what is held; null: never, so that the next job has to. */
  readonly releaseEveryMs: number | null;
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
/** Enough for the brake, which lets pass what misses fewer than 20. */
const ADDRESSES_WIDE = 40;
const CANARIES: readonly Spot[] = [1, 2, 3].map((last) => ({ address: `198.51.100.${last}`, port: 443 }));

/** What one seed looks like. Each kind of fault is left out in many seeds, so that others are not hidden behind it. */
export function scenarioOf(seed: number, random: Random, weakest: boolean): Scenario {
  const sometimes = (value: number): number => (random.chance(0.5) ? value : 0);
  const ports = random.pick([[80], [80, 443], [22, 80, 443]]);
  const quietFromMs = 1_000 * (80 + random.below(160));
  const isWide = random.chance(0.25);
  const addresses = isWide ? ADDRESSES_WIDE : ADDRESSES;
  const spots = Array.from({ length: addresses }, (_, index) => ports.map((port) => ({ address: `192.0.2.${index + 1}`, port }))).flat();
  return {
    seed,
    scanners: ["s1", "s2", "s3"].slice(0, random.pick([1, 2, 3, 3])),
    keepers: random.chance(0.35) ? ["k1", "k2"] : ["k1"],
    plans: isWide ? [wholePlan(random, { addresses, ports, weakest })] : plansOf(random, { addresses, ports, weakest }),
    spots,
    outage: isWide ? outageOf(random, quietFromMs) : null,
    canaries: CANARIES,
    deadlineS: 120 + random.below(80),
    waitS: 3,
    tickMs: random.pick([2_000, 6_000]),
    leaseTtlMs: random.pick([6_000, 15_000]),
    releaseEveryMs: isWide && random.chance(0.4) ? 4_000 + random.below(10_000) : null,
    quietFromMs,
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

/** It begins when most has been seen, so that there is something to miss. */
function outageOf(random: Random, quietFromMs: number): Outage {
  const fromMs = quietFromMs * (0.4 + random.below(55) / 100);
  const toMs = random.chance(0.4) ? Math.min(quietFromMs, fromMs + 10_000 + random.below(60_000)) : null;
  return { fromMs, toMs };
}

type Network = { readonly addresses: number; readonly ports: readonly number[]; readonly weakest: boolean };

function wholePlan(random: Random, { addresses, ports, weakest }: Network): ScenarioPlan {
  const pairs = addresses * ports.length;
  return {
    engine: random.chance(0.65) ? "masscan" : "connect",
    ranges: [`192.0.2.1-192.0.2.${addresses}`],
    ports: ports.join(","),
    pairsMax: random.pick([Math.ceil(pairs / 3), Math.ceil(pairs / 2), 1_000]),
    closeAfter: weakest ? 1 : random.pick([1, 1, 2, 3]),
    confirm: !weakest && random.chance(0.5),
    intervalS: 15 + random.below(30),
  };
}

function plansOf(random: Random, network: Network): ScenarioPlan[] {
  const whole = wholePlan(random, network);
  const ranges = random.pick([["192.0.2.1-192.0.2.8"], ["192.0.2.1-192.0.2.4"], ["192.0.2.3-192.0.2.8"]]);
  return random.chance(0.3) ? [whole, { ...wholePlan(random, network), ranges }] : [whole];
}
