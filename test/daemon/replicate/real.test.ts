import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createKeeper } from "../../../scanner-daemon/keeper/keeper.ts";
import { sqldDurability } from "../../../scanner-daemon/keeper/durability.ts";
import type { Bus } from "../../../src/bus/bus.ts";
import { newSeed, publicKeyOf } from "../../../src/bus/keys.node.ts";
import { peerClient } from "../../../src/bus/names.ts";
import { connectNats } from "../../../src/bus/nats.ts";
import { connectPeer } from "../../../src/bus/nats-peer.ts";
import { openLedger } from "../../../src/ledger/ledger.ts";
import { type LocalNats, startNats } from "../../../src/local/nats.ts";
import type { RegistryState } from "../../../src/registry/types.ts";
import { until } from "./patience.ts";
import { regionOf } from "../../registry/harness.ts";
import { planOf } from "../keeper/world.ts";
import { startLedgerSqld } from "../keeper/stores.ts";
import { OPEN } from "./start.ts";
import { finished, startJob, startScanners, type Scanners } from "./work.ts";
import { converged } from "./world.ts";

const NAMES = ["eu", "us"] as const;
type Name = (typeof NAMES)[number];
type Running = Awaited<ReturnType<typeof startRegion>>;

const quiet = { debug: () => undefined, info: () => undefined, warning: () => undefined, error: () => undefined };

describe("two regions on real message servers and real databases", () => {
  const dir = mkdtempSync(join(tmpdir(), "portolan-real-"));
  const keepers = { eu: newSeed(), us: newSeed() };
  const seeds = { s1: newSeed(), s2: newSeed(), outsider: newSeed() };
  const registry: { value: RegistryState | null } = { value: null };
  const regions = {} as Record<Name, Running>;
  let scanners: Scanners;

  beforeAll(async () => {
    for (const name of NAMES) regions[name] = await startRegion({ name, dir, keepers, registry });
    registry.value = {
      version: 1,
      home: null,
      regions: NAMES.map((name) => ({ ...regionOf(name), natsUrl: regions[name].url, keeperPublicKeys: [publicKeyOf(keepers[name])] })),
      scanners: NAMES.map((region, index) => {
        const name = index === 0 ? "s1" : "s2";
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
      plans: [planOf({})],
      webhooks: [],
    };
    for (const name of NAMES) regions[name].start();
    await until("both lead", () => NAMES.every((name) => regions[name].keeper.status().leader), 30_000);
    scanners = startScanners({ seeds, regions }, { s1: "eu", s2: "us" }, () => OPEN);
  }, 90_000);

  afterAll(async () => {
    await scanners.stop();
    for (const name of NAMES) await regions[name].stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test("a job of both regions ends in both, with equal registers, and each knows it", async () => {
    await finished(regions.us, await startJob(regions.eu));
    const hashes = await converged(NAMES.map((name) => regions[name]));
    expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(1);
    for (const name of NAMES) await until("it is equal", () => regions[name].keeper.status().peers[0]?.equalAtMs, 30_000);
  }, 60_000);

  test("a message server that is killed and comes back without its store loses nothing", async () => {
    await regions.eu.loseNats();
    await finished(regions.us, await startJob(regions.eu));
    await regions.us.loseNats();
    await finished(regions.us, await startJob(regions.eu));
    const hashes = await converged(
      NAMES.map((name) => regions[name]),
      60_000,
    );
    expect(new Set(hashes.map(({ hash }) => hash)).size).toBe(1);
  }, 120_000);
});

type Setup = {
  readonly name: Name;
  readonly dir: string;
  readonly keepers: Readonly<Record<Name, string>>;
  readonly registry: { readonly value: RegistryState | null };
};

async function startRegion({ name, dir, keepers, registry }: Setup) {
  const store = await startLedgerSqld();
  const peers = NAMES.filter((one) => one !== name).map((one) => ({ name: peerClient(one), publicKey: publicKeyOf(keepers[one]) }));
  const users = { region: name, keepers: [{ name: "KEEPER", publicKey: publicKeyOf(keepers[name]) }], scanners: [], peers };
  let nats: LocalNats = await startNats({ dir: join(dir, name, "nats"), ...users });
  const seed = keepers[name];
  const bus: Bus = await connectNats({ url: nats.url, client: "KEEPER", seed });
  const ledger = openLedger({ url: store.url, region: name, decompress: (bytes) => zstdDecompressSync(bytes) });
  const keeper = createKeeper({
    region: name,
    name: "k1",
    seed,
    bus,
    ledger,
    registry: { state: async () => registry.value ?? Promise.reject(new Error("not yet")) },
    durability: sqldDurability({ url: store.url, adminUrl: store.adminUrl, log: quiet }),
    dataDir: join(dir, name, "keeper"),
    log: quiet,
    nowMs: () => Date.now(),
    monotonicMs: () => performance.now(),
    randomBytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
    settings: { tickMs: 50, leaseTtlMs: 15_000, waitS: 1, connectTimeoutMs: 500, engineGraceMs: 0 },
    peers: { connect: connectPeer, settings: { askEveryMs: 1_000, restEveryMs: 200 } },
  });
  const end = new AbortController();
  let running: Promise<void> = Promise.resolve();
  return {
    name,
    url: nats.url,
    bus,
    ledger,
    keeper,
    start: (): void => void (running = keeper.run(end.signal)),
    loseNats: async (): Promise<void> => {
      await nats.kill9();
      rmSync(join(dir, name, "nats", "store"), { recursive: true });
      nats = await startNats({ dir: join(dir, name, "nats"), port: nats.port, ...users });
    },
    stop: async (): Promise<void> => {
      end.abort();
      await running;
      await bus.close();
      ledger.close();
      await nats.stop();
      await store.stop();
    },
  };
}
