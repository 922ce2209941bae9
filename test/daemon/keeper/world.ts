import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { createKeeper, type Keeper } from "../../../scanner-daemon/keeper/keeper.ts";
import { sqldDurability } from "../../../scanner-daemon/keeper/durability.ts";
import type { Log } from "../../../scanner-daemon/log.ts";
import { newSeed, publicKeyOf } from "../../../src/bus/keys.node.ts";
import { createMemoryServer } from "../../../src/bus/memory.ts";
import { openLedger } from "../../../src/ledger/ledger.ts";
import type { CommandKind, Ledger } from "../../../src/ledger/types.ts";
import { regionOf } from "../../registry/harness.ts";
import type { Plan, RegistryState } from "../../../src/registry/types.ts";
import { startLedgerSqld } from "./stores.ts";
import { until } from "../../bus/until.ts";

export const REGION = "eu";
export const SCANNERS = ["s1", "s2"] as const;
export type ScannerName = (typeof SCANNERS)[number] | "outsider";

/** One region without scanners' processes: real ledger, bus in memory, a registry that the test writes. */
export type World = Awaited<ReturnType<typeof startWorld>>;

export type WorldOptions = {
  readonly adminUrl?: string;
  /** The monotonic clock goes on only when the test says so. */
  readonly stoppedClock?: boolean;
  /** Another region than `eu`, with its own registry state and the scanners' keys that stand in it. */
  readonly region?: string;
  readonly registry?: RegistryState;
  readonly seeds?: Seeds;
};
type Seeds = Readonly<Record<"s1" | "s2" | "outsider", string>>;

export function newSeeds(): Seeds {
  return { s1: newSeed(), s2: newSeed(), outsider: newSeed() };
}

/** Starts the region. `plans` are changes to a plan of four tiles of 16 pairs that runs on request. */
export async function startWorld(plans: readonly Partial<Plan>[] = [{}], over: WorldOptions = {}) {
  const region = over.region ?? REGION;
  const store = await startLedgerSqld();
  const dir = mkdtempSync(join(tmpdir(), "portolan-keeper-"));
  const seeds = { ...(over.seeds ?? newSeeds()), keeper: newSeed() };
  const server = createMemoryServer({ ackWaitMs: 2_000, duplicateWindowMs: 200 });
  const clock = { aheadMs: 0, monotonicAheadMs: 0 };
  const nowMs = (): number => Date.now() + clock.aheadMs;
  const state = { value: over.registry ?? registryState(seeds, plans), down: false, asked: 0 };
  const askRegistry = (): Promise<RegistryState> => {
    state.asked += 1;
    return state.down ? Promise.reject(new Error("registry is down")) : Promise.resolve(state.value);
  };
  const ledger = openLedger({ url: store.url, region, decompress: (bytes) => zstdDecompressSync(bytes) });
  const keepers: { stop: () => Promise<void> }[] = [];
  const lines: string[] = [];
  const startKeeper = (name: string, own: { ledger?: Ledger; leaseTtlMs?: number } = {}): Keeper & { stop(): Promise<void> } => {
    const end = new AbortController();
    const url = store.url;
    const keeper = createKeeper({
      region,
      name,
      seed: seeds.keeper,
      bus: server.connect(),
      ledger: own.ledger ?? ledger,
      registry: { state: askRegistry },
      durability: sqldDurability({ url, adminUrl: over.adminUrl ?? store.adminUrl, log: logInto(lines) }),
      dataDir: join(dir, name),
      log: logInto(lines),
      nowMs,
      monotonicMs: () => (over.stoppedClock === true ? 0 : performance.now()) + clock.monotonicAheadMs,
      randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
      settings: { tickMs: 20, leaseTtlMs: own.leaseTtlMs ?? 15_000, waitS: 1, connectTimeoutMs: 500, engineGraceMs: 0 },
    });
    const running = keeper.run(end.signal);
    const stop = async (): Promise<void> => {
      end.abort();
      await running;
    };
    keepers.push({ stop });
    return { ...keeper, stop };
  };
  return {
    region,
    store,
    dir,
    seeds,
    server,
    clock,
    nowMs,
    state,
    ledger,
    lines,
    startKeeper,
    bus: server.connect(),
    /** Leaves a command in the inbox and waits for its answer. */
    command: async (kind: CommandKind, body: unknown) => {
      const id = await ledger.submitCommand(kind, body, { nowMs: nowMs() });
      return until(`an answer to ${kind}`, () => ledger.awaitCommand(id, 5_000));
    },
    stop: async () => {
      await Promise.all(keepers.map((keeper) => keeper.stop()));
      ledger.close();
      await store.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function logInto(lines: string[]): Log {
  const write = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
  return { debug: write("debug"), info: write("info"), warning: write("warning"), error: write("error") };
}

export function registryState(seeds: Record<"s1" | "s2", string>, plans: readonly Partial<Plan>[]): RegistryState {
  const scanners = SCANNERS.map((name) => {
    return {
      name,
      region: REGION,
      addresses: ["127.0.0.1"],
      publicKey: publicKeyOf(seeds[name]),
      enabled: true,
      mayProbe: null,
      mayNotProbe: [],
      createdAtMs: 0,
    };
  });
  return {
    version: 1,
    home: null,
    regions: [regionOf(REGION)],
    scanners,
    groups: [],
    rangeGroups: [{ name: "lan", builtIn: false, ranges: [{ canonical: "192.0.2.0/27", text: "192.0.2.0/27" }] }],
    exclusions: [],
    knownGood: [],
    plans: plans.map((plan, index) => planOf({ id: `plan-${index}`, name: `plan${index}`, ...plan })),
    webhooks: [],
  };
}

export function planOf(plan: Partial<Plan>): Plan {
  return {
    id: "plan-0",
    name: "plan0",
    revision: 0,
    enabled: true,
    include: ["lan"],
    exclude: [],
    ports: "80,443",
    rateLimitPps: 1_000,
    retries: 0,
    group: "@all",
    engine: "connect",
    intervalS: null,
    cron: null,
    timeZone: "UTC",
    deadlineS: 600,
    closeAfter: 2,
    confirm: false,
    home: REGION,
    homes: [plan.home ?? REGION],
    takeoverAfterS: 900,
    pairsMax: 16,
    canaries: [],
    ownGroup: null,
    createdAtMs: 0,
    ...plan,
  };
}
