import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createKeeper, type Keeper } from "../../../scanner-daemon/keeper/keeper.ts";
import { sqldDurability } from "../../../scanner-daemon/keeper/durability.ts";
import type { Log } from "../../../scanner-daemon/log.ts";
import { newSeed, publicKeyOf } from "../../../src/bus/keys.node.ts";
import { createMemoryServer } from "../../../src/bus/memory.ts";
import { openLedger } from "../../../src/ledger/ledger.ts";
import type { CommandKind, Ledger } from "../../../src/ledger/types.ts";
import type { Plan, RegistryState } from "../../../src/registry/types.ts";
import { startLedgerSqld } from "./stores.ts";
import { until } from "../../bus/until.ts";

export const REGION = "eu";
export const SCANNERS = ["s1", "s2"] as const;
export type ScannerName = (typeof SCANNERS)[number] | "outsider";

/** One region without scanners' processes: real ledger, bus in memory, a registry that the test writes. */
export type World = Awaited<ReturnType<typeof startWorld>>;

/** Starts the region. `plans` are changes to a plan of four tiles of 16 pairs that runs on request. */
export async function startWorld(
  plans: readonly Partial<Plan>[] = [{}],
  over: { readonly adminUrl?: string; /** The monotonic clock goes on only when the test says so. */ readonly stoppedClock?: boolean } = {},
) {
  const store = await startLedgerSqld();
  const dir = mkdtempSync(join(tmpdir(), "portolan-keeper-"));
  const seeds = { keeper: newSeed(), s1: newSeed(), s2: newSeed(), outsider: newSeed() };
  const server = createMemoryServer({ ackWaitMs: 2_000, duplicateWindowMs: 200 });
  const clock = { aheadMs: 0, monotonicAheadMs: 0 };
  const nowMs = (): number => Date.now() + clock.aheadMs;
  const state = { value: registryState(seeds, plans), down: false, asked: 0 };
  const askRegistry = (): Promise<RegistryState> => {
    state.asked += 1;
    return state.down ? Promise.reject(new Error("registry is down")) : Promise.resolve(state.value);
  };
  const ledger = openLedger({ url: store.url, region: REGION });
  const keepers: { stop: () => Promise<void> }[] = [];
  const lines: string[] = [];
  const startKeeper = (name: string, own: { ledger?: Ledger; leaseTtlMs?: number } = {}): Keeper & { stop(): Promise<void> } => {
    const end = new AbortController();
    const url = store.url;
    const keeper = createKeeper({
      region: REGION,
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

function registryState(seeds: Record<"s1" | "s2", string>, plans: readonly Partial<Plan>[]): RegistryState {
  const scanners = SCANNERS.map((name) => {
    return { name, region: REGION, addresses: ["127.0.0.1"], publicKey: publicKeyOf(seeds[name]), enabled: true, createdAtMs: 0 };
  });
  return {
    version: 1,
    regions: [{ name: REGION, createdAtMs: 0 }],
    scanners,
    groups: [],
    rangeGroups: [{ name: "lan", builtIn: false, ranges: [{ canonical: "192.0.2.0/27", text: "192.0.2.0/27" }] }],
    exclusions: [],
    knownGood: [],
    plans: plans.map((plan, index) => planOf({ id: `plan-${index}`, name: `plan${index}`, ...plan })),
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
    deadlineS: 600,
    closeAfter: 2,
    confirm: false,
    home: REGION,
    pairsMax: 16,
    canaries: [],
    ownGroup: null,
    createdAtMs: 0,
    ...plan,
  };
}
