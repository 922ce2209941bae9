import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { createKeeper, type Keeper } from "../../../scanner-daemon/keeper/keeper.ts";
import type { ConnectPeer, ReplicateSettings } from "../../../scanner-daemon/keeper/replicate/settings.ts";
import type { Log } from "../../../scanner-daemon/log.ts";
import { newSeed, publicKeyOf, sha256Hex } from "../../../src/bus/keys.node.ts";
import { createMemoryServer, type MemoryServer } from "../../../src/bus/memory.ts";
import { canonicalJson } from "../../../src/core/canonical.ts";
import { PortolanError } from "../../../src/core/errors.ts";
import type { Database } from "../../../src/ledger/database.ts";
import { ledgerOn } from "../../../src/ledger/ledger.ts";
import type { StateHash } from "../../../src/ledger/state-hash.ts";
import type { Ledger } from "../../../src/ledger/types.ts";
import type { Plan, RegistryState } from "../../../src/registry/types.ts";
import { until } from "./patience.ts";
import { openMemoryDatabase } from "../../ledger/memory-database.ts";
import { regionOf } from "../../registry/harness.ts";
import { planOf, SCANNERS } from "../keeper/world.ts";
import { faultyLink, type LinkFaults, noFaults } from "./faulty-link.ts";

/** s1 belongs to the first region, s2 to the second. */
export const REGIONS = ["eu", "us", "ap"] as const;
export type RegionName = (typeof REGIONS)[number];

/** Short, so that tests can wait for them. */
const FAST: Partial<ReplicateSettings> = {
  askEveryMs: 100,
  askTimeoutMs: 400,
  standUpWaitMs: 1_000,
  restEveryMs: 30,
  keptEveryMs: 50,
  backoffFirstMs: 10,
  backoffMaxMs: 100,
};

export type Worlds = ReturnType<typeof startWorlds>;
export type RegionWorld = Awaited<ReturnType<typeof startRegion>>;

/** Regions whose message servers and ledgers lie in memory; the keepers are real. Nothing runs before `keeper.start`. */
export function startWorlds(names: readonly RegionName[], options: { readonly plan?: Partial<Plan>; readonly random?: () => number } = {}) {
  const dir = mkdtempSync(join(tmpdir(), "portolan-regions-"));
  const keepers = Object.fromEntries(REGIONS.map((name) => [name, newSeed()])) as Record<RegionName, string>;
  const seeds = { s1: newSeed(), s2: newSeed(), outsider: newSeed() };
  const registry = { value: registryOf(names, keepers, seeds, options.plan ?? {}) };
  const servers = Object.fromEntries(REGIONS.map((name) => [name, createMemoryServer({ ackWaitMs: 2_000 })])) as Record<
    RegionName,
    MemoryServer
  >;
  const faults = new Map<string, LinkFaults>();
  /** What happens to what `from` asks and reads of `to`. */
  const link = (from: RegionName, to: RegionName): LinkFaults => {
    const found = faults.get(`${from} ${to}`) ?? noFaults();
    faults.set(`${from} ${to}`, found);
    return found;
  };
  const connectFrom =
    (from: RegionName): ConnectPeer =>
    async ({ region }) => {
      const to = region as RegionName;
      if (link(from, to).cut) throw new PortolanError("unavailable", "the link is cut");
      return faultyLink(servers[to].connectPeer(to), link(from, to), options.random ?? Math.random);
    };
  const regions = Object.fromEntries(
    names.map((name) => [
      name,
      startRegion({ name, dir, seed: keepers[name], server: servers[name], connect: connectFrom(name), registry }),
    ]),
  ) as Record<RegionName, RegionWorld>;
  return {
    seeds,
    keepers,
    registry,
    servers,
    regions,
    link,
    /** Cuts, or heals, all ways between one region and the others. */
    isolate: (name: RegionName, cut: boolean): void => {
      for (const other of names) if (other !== name) for (const way of [link(name, other), link(other, name)]) way.cut = cut;
    },
    stop: async (): Promise<void> => {
      await Promise.all(names.map((name) => regions[name].keeper.stop()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

type RegionSetup = {
  readonly name: RegionName;
  readonly dir: string;
  readonly seed: string;
  readonly server: MemoryServer;
  readonly connect: ConnectPeer;
  readonly registry: { value: RegistryState };
};

function startRegion({ name, dir, seed, server, connect, registry }: RegionSetup) {
  const store = { database: openMemoryDatabase(), slowMs: 0 };
  const database: Database = {
    batch: async (statements, mode) => store.database.batch(statements, mode),
    close: () => undefined,
  };
  const ledger = ledgerOn(database, name, { decompress: (bytes) => zstdDecompressSync(bytes) });
  const clock = { aheadMs: 0 };
  const lines: string[] = [];
  let running: { readonly keeper: Keeper; readonly end: AbortController; readonly done: Promise<void> } | null = null;
  const start = (settings: Partial<ReplicateSettings> = {}): void => {
    const keeper = createKeeper({
      region: name,
      name: "k1",
      seed,
      bus: server.connect(),
      ledger,
      registry: { state: async () => registry.value },
      durability: { check: async () => "strong" },
      dataDir: join(dir, name),
      log: logInto(lines),
      nowMs: () => Date.now() + clock.aheadMs,
      monotonicMs: () => performance.now(),
      randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
      settings: { tickMs: 20, leaseTtlMs: 5_000, waitS: 1, connectTimeoutMs: 500, engineGraceMs: 0 },
      peers: { connect, settings: { ...FAST, ...settings } },
    });
    const end = new AbortController();
    running = { keeper, end, done: keeper.run(end.signal) };
  };
  return {
    name,
    ledger,
    database,
    clock,
    lines,
    server,
    bus: server.connect(),
    keeper: {
      start,
      status: () => running?.keeper.status() ?? null,
      leads: () => until(`${name} leads`, () => running?.keeper.status().leader),
      stop: async (): Promise<void> => {
        const ending = running;
        running = null;
        ending?.end.abort();
        await ending?.done;
      },
    },
    /** The whole ledger as it is now. */
    backup: (): Buffer => store.database.sqlite.serialize(),
    restore: (backup: Buffer): void => {
      store.database = openMemoryDatabase(undefined, backup);
    },
    /** A new, empty ledger. */
    lose: (): void => {
      store.database = openMemoryDatabase();
    },
  };
}

function registryOf(
  names: readonly RegionName[],
  keepers: Record<RegionName, string>,
  seeds: Record<"s1" | "s2", string>,
  plan: Partial<Plan>,
): RegistryState {
  return {
    version: 1,
    home: null,
    regions: names.map((name) => ({ ...regionOf(name), natsUrl: `memory://${name}`, keeperPublicKeys: [publicKeyOf(keepers[name])] })),
    scanners: SCANNERS.map((name, index) => {
      const region = names[index] ?? names[0] ?? "eu";
      return {
        name,
        region,
        addresses: ["127.0.0.1"],
        publicKey: publicKeyOf(seeds[name]),
        enabled: true,
        mayProbe: null,
        mayNotProbe: [],
        createdAtMs: 0,
      };
    }),
    groups: [],
    rangeGroups: [{ name: "lan", builtIn: false, ranges: [{ canonical: "192.0.2.0/27", text: "192.0.2.0/27" }] }],
    exclusions: [],
    knownGood: [],
    plans: [planOf(plan)],
    webhooks: [],
  };
}

function logInto(lines: string[]): Log {
  const write = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
  return { debug: write("debug"), info: write("info"), warning: write("warning"), error: write("error") };
}

/** State hashes of all regions once they hold the same records and have nothing put off. */
export async function converged(regions: readonly { readonly ledger: Ledger }[], deadlineMs = 60_000): Promise<StateHash[]> {
  return until(
    "all regions hold the same",
    async () => {
      const places = await Promise.all(regions.map(({ ledger }) => ledger.frontier().then((frontier) => sorted(frontier))));
      if (new Set(places).size > 1) return false;
      const hashes = await Promise.all(regions.map(({ ledger }) => ledger.stateHash(sha256Hex)));
      return hashes.every(({ settled }) => settled) && new Set(hashes.map(({ frontier }) => sorted(frontier))).size === 1 && hashes;
    },
    deadlineMs,
  );
}

function sorted(frontier: Readonly<Record<string, number>>): string {
  return canonicalJson(frontier);
}
