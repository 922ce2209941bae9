import { xorshift32 } from "../../src/local/lab/truth.ts";

/** Regions of a campaign; the first one holds the registry's primary. */
export const REGIONS = ["eu", "us", "ap"] as const;
export type RegionName = (typeof REGIONS)[number];

/** One direction of dialling between two regions: `from` reads what `to` has. */
export type Way = { readonly from: RegionName; readonly to: RegionName };

/** What is done to the regions, and when: `atMs` after the start of the schedule, for `forMs`. */
export type Fault = { readonly atMs: number; readonly forMs: number } & (
  | {
      readonly kind: "cut";
      readonly name: "link" | "one way" | "alone";
      readonly ways: readonly Way[];
      readonly state: "silent" | "refused";
      readonly heal: "resume" | "reset";
    }
  | { readonly kind: "stop" | "kill"; readonly region: RegionName; readonly child: string }
  | { readonly kind: "wipe" | "lose"; readonly region: RegionName }
  | { readonly kind: "roll back"; readonly region: RegionName; readonly keeperToo: boolean }
);

const CUTS = ["link", "one way", "alone"] as const;
const KINDS = [...CUTS, "stop", "kill", "wipe", "lose", "roll back", "stop", "kill"] as const;
const CHILDREN = ["keeper", "nats", "ledger", "registry", "api", "scanner-1", "scanner-2"] as const;
const FAULTS_MAX = 3;
const AT_MS_MAX = 1_200;
const SHORT_MS = { min: 300, max: 3_000 };
/** Long enough for a server to give a silent connection up, and a keeper's lease to run out. */
const LONG_MS = { min: 12_000, max: 18_000 };
const LONG_EVERY = 7;

/** The faults of a schedule, by its seed alone. */
export function drawFaults(seed: number): Fault[] {
  // Seeds in a row differ in few bits: multiplied, they begin far from one another.
  const next = xorshift32(Math.imul(seed + 1, 0x9e3779b1));
  for (let warm = 0; warm < 8; warm += 1) next();
  const pick = <T>(list: readonly [T, ...T[]]): T => list[next() % list.length] ?? list[0];
  const between = ({ min, max }: { min: number; max: number }): number => min + (next() % (max - min));
  const isLong = seed % LONG_EVERY === LONG_EVERY - 1;
  const count = 1 + (next() % FAULTS_MAX);
  const faults: Fault[] = [];
  for (let tries = 0; faults.length < count && tries < 50; tries += 1) {
    // The first one goes through all kinds from seed to seed.
    const kind = faults.length === 0 ? (KINDS[seed % KINDS.length] ?? "kill") : pick(KINDS);
    const when = { atMs: next() % AT_MS_MAX, forMs: between(isLong && faults.length === 0 ? LONG_MS : SHORT_MS) };
    const fault = drawOne(kind, when, pick);
    if (faults.every((other) => fits(fault, other))) faults.push(fault);
  }
  return faults;
}

type Pick = <T>(list: readonly [T, ...T[]]) => T;

function drawOne(kind: (typeof KINDS)[number], when: { atMs: number; forMs: number }, pick: Pick): Fault {
  const region = pick(REGIONS);
  switch (kind) {
    case "link":
    case "one way":
    case "alone": {
      const others = REGIONS.filter((name) => name !== region);
      const out = others.map((to) => ({ from: region, to }));
      const back = others.map((from) => ({ from, to: region }));
      const one = pick([0, 1]);
      const ways = kind === "alone" ? [...out, ...back] : kind === "link" ? [out[one], back[one]] : [out[one]];
      const how = { state: pick<"silent" | "refused">(["silent", "refused"]), heal: pick<"resume" | "reset">(["resume", "reset"]) };
      return { ...when, ...how, kind: "cut", name: kind, ways: ways.filter((way) => way !== undefined) };
    }
    case "stop":
    case "kill":
      return { ...when, kind, region, child: childOf(region, pick(CHILDREN)) };
    case "wipe":
    case "lose":
      return { ...when, kind, region };
    case "roll back":
      return { ...when, kind, region, keeperToo: pick([true, false]) };
  }
}

function childOf(region: RegionName, child: (typeof CHILDREN)[number]): string {
  return child.startsWith("scanner-") ? `scanner-${region}-${child.slice(-1)}` : child;
}

/** Whether two faults can be had at one time: not two of one process, and one lost ledger at most, since two may hold what nobody else does. */
function fits(a: Fault, b: Fault): boolean {
  if (losesLedger(a) && losesLedger(b)) return false;
  if (a.kind === "cut") return b.kind !== "cut" || !a.ways.some(({ from, to }) => b.ways.some((way) => way.from === from && way.to === to));
  if (b.kind === "cut") return true;
  if (a.region !== b.region) return true;
  const touched = new Set(touches(a));
  return !touches(b).some((child) => touched.has(child));
}

/** Whether a region comes back with less than it had. */
export function losesLedger({ kind }: Fault): boolean {
  return kind === "lose" || kind === "roll back";
}

/** Children of the fault's region that do not run all the time. */
export function touches(fault: Fault): readonly string[] {
  switch (fault.kind) {
    case "cut":
      return [];
    case "stop":
    case "kill":
      return [fault.child];
    case "wipe":
      return ["nats"];
    case "lose":
    case "roll back":
      return ["ledger", "keeper"];
  }
}

/** A fault in words, for people; also what it is counted under. */
export function nameOf(fault: Fault): string {
  if (fault.kind === "cut") return `${fault.name} ${fault.state}`;
  if (fault.kind === "stop" || fault.kind === "kill") return `${fault.kind} ${fault.child.replace(/^scanner-.*/, "scanner")}`;
  return { wipe: "JetStream wiped", lose: "ledger lost", "roll back": "ledger rolled back" }[fault.kind];
}

/** The same with its place and time. */
export function describe(fault: Fault): string {
  const where = fault.kind === "cut" ? fault.ways.map(({ from, to }) => `${from}→${to}`).join(" ") : fault.region;
  return `${nameOf(fault)} (${where}) at ${fault.atMs} ms for ${fault.forMs} ms`;
}
