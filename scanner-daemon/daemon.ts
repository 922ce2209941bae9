import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { zstdDecompressSync } from "node:zlib";
import type { Bus } from "../src/bus/bus.ts";
import { publicKeyOf } from "../src/bus/keys.node.ts";
import { connectNats } from "../src/bus/nats.ts";
import { connectPeer, type PeerOptions } from "../src/bus/nats-peer.ts";
import type { PeerLink } from "../src/bus/peer.ts";
import { PortolanError } from "../src/core/errors.ts";
import { openLedger } from "../src/ledger/ledger.ts";
import { openRegistry } from "../src/registry/registry.ts";
import { readKeySeed, readSecret, type DaemonConfig } from "./config.ts";
import { startHealth, type Health } from "./health.ts";
import { providerDurability, sqldDurability } from "./keeper/durability.ts";
import { createKeeper, type Keeper } from "./keeper/keeper.ts";
import { errorText, logFor, type Log } from "./log.ts";
import { createNotifier } from "./notify.ts";
import { createScanner } from "./scanner/scanner.ts";

/** How long planning waits for the first heartbeat of a scanner, to learn which engines it has. */
const ENGINE_GRACE_MS = 5_000;
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 10_000;

/**
 * Runs the roles of one daemon until `stop` aborts: then the scanner ends its run and sends what it has, the keeper
 * finishes what is in hand and gives its lease back. What is down (NATS, ledger, registry) is waited for.
 * Throws `PortolanError` when the configuration cannot be used.
 */
export async function runDaemon(config: DaemonConfig, stop: AbortSignal): Promise<void> {
  const log = logFor("daemon");
  const seed = readKeySeed(config);
  const publicKey = publicKeyOf(seed);
  makeDataDir(config.dataDir);
  const state: { bus: Bus | null; keeper: Keeper | null } = { bus: null, keeper: null };
  const health = config.healthPort === undefined ? null : await startHealth(config.healthPort, () => look(config, state));
  const notifier = createNotifier({ env: process.env, onProblem: (text) => log.warning(text) });
  notifier.ready("waiting for NATS");
  stop.addEventListener("abort", () => notifier.stopping(), { once: true });
  log.info("the daemon starts", { region: config.region, roles: config.roles, publicKey, healthPort: health?.port ?? null });
  try {
    const bus = await connected(config, seed, log, stop);
    state.bus = bus;
    notifier.status(`at work as ${config.roles.join(" and ")} of region ${config.region}`);
    if (bus !== null) await runRoles(config, { bus, seed, state }, stop);
    await bus?.close();
  } finally {
    await health?.close();
  }
  log.info("the daemon has ended");
}

type Running = { readonly bus: Bus; readonly seed: string; readonly state: { keeper: Keeper | null } };

async function runRoles(config: DaemonConfig, { bus, seed, state }: Running, stop: AbortSignal): Promise<void> {
  const keeperEnd = new AbortController();
  const keeper = config.roles.includes("keeper") ? makeKeeper(config, bus, seed) : null;
  state.keeper = keeper?.keeper ?? null;
  const keeping = keeper?.keeper.run(keeperEnd.signal) ?? Promise.resolve();
  const scanner = config.roles.includes("scanner") ? makeScanner(config, bus, seed) : null;
  try {
    await scanner?.start();
    // A keeper that ends by itself has met a bug: its rejection ends the daemon.
    await Promise.race([aborted(stop), keeping.then(() => aborted(stop))]);
  } finally {
    // The scanner first: its last reports need a keeper, perhaps the one next door.
    await scanner?.stop();
    keeperEnd.abort();
    await keeping.catch(() => undefined);
    keeper?.close();
  }
  await keeping;
}

function makeScanner(config: DaemonConfig, bus: Bus, seed: string): ReturnType<typeof createScanner> {
  const { scanner, region, dataDir, keeperPublicKeys } = config;
  if (scanner === undefined) throw new PortolanError("internal", "the configuration lacks its scanner section");
  return createScanner({
    config: { ...scanner, region, dataDir, keeperPublicKeys },
    bus,
    keys: { seed },
    clock: { nowMs: () => Date.now() },
    log: logFor("scanner"),
  });
}

function makeKeeper(config: DaemonConfig, bus: Bus, seed: string): { keeper: Keeper; close: () => void } {
  const { region, dataDir, keeper, ledger: ledgerAt, registry: registryAt } = config;
  if (keeper === undefined || ledgerAt === undefined || registryAt === undefined) {
    throw new PortolanError("internal", "the configuration lacks a section of its keeper role");
  }
  const log = logFor("keeper");
  const ledgerOptions = { url: ledgerAt.url, ...tokenOf(ledgerAt.tokenFile) };
  const ledger = openLedger({ ...ledgerOptions, region, decompress: (bytes) => zstdDecompressSync(bytes) });
  const registry = openRegistry({ url: registryAt.url, ...tokenOf(registryAt.tokenFile) });
  const { adminUrl } = ledgerAt;
  const { name, ...settings } = keeper;
  return {
    keeper: createKeeper({
      region,
      name,
      seed,
      bus,
      ledger,
      registry,
      dataDir,
      log,
      durability: adminUrl === undefined ? providerDurability : sqldDurability({ ...ledgerOptions, adminUrl, log }),
      nowMs: () => Date.now(),
      monotonicMs: () => performance.now(),
      randomBytes,
      settings: { ...settings, engineGraceMs: ENGINE_GRACE_MS },
      peers: { connect: (peer) => connectTo({ ...peer, url: config.peers?.urls?.[peer.region] ?? peer.url }, config.peers) },
    }),
    close: () => {
      ledger.close();
      registry.close();
    },
  };
}

function connectTo(peer: PeerOptions, peers: DaemonConfig["peers"]): Promise<PeerLink> {
  // Which servers have TLS says the registry; this says whose certificates count then.
  return connectPeer({ ...peer, ...(peers?.caFile !== undefined && peer.url.startsWith("tls:") ? { caFile: peers.caFile } : {}) });
}

function tokenOf(file: string | undefined): { authToken?: string } {
  return file === undefined ? {} : { authToken: readSecret(file) };
}

/** A connection to NATS, however long that takes; null when `stop` comes first. */
async function connected(config: DaemonConfig, seed: string, log: Log, stop: AbortSignal): Promise<Bus | null> {
  // Upper case: no scanner can have this name, so no scanner may read the keeper's replies.
  const client = config.roles.includes("keeper") ? `KEEPER_${config.keeper?.name ?? ""}` : (config.scanner?.name ?? "");
  const { url, caFile, ca } = config.nats;
  const onStatus = (text: string): void => log.warning(text);
  let problem = "";
  for (let backoffMs = BACKOFF_FIRST_MS; !stop.aborted; backoffMs = Math.min(BACKOFF_MAX_MS, backoffMs * 2)) {
    try {
      return await connectNats({
        url,
        client,
        seed,
        onStatus,
        ...(caFile === undefined ? {} : { caFile }),
        ...(ca === undefined ? {} : { ca }),
      });
    } catch (error) {
      if (errorText(error) !== problem) log.warning(`waiting for NATS: ${errorText(error)}`);
      problem = errorText(error);
    }
    await aborted(stop, backoffMs * (0.75 + Math.random() / 2));
  }
  return null;
}

/** Resolves when the signal aborts, or after the time. */
function aborted(signal: AbortSignal, timeoutMs?: number): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    };
    const timer = timeoutMs === undefined ? undefined : setTimeout(done, timeoutMs);
    signal.addEventListener("abort", done, { once: true });
    if (signal.aborted) done();
  });
}

function makeDataDir(dir: string): void {
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new PortolanError("invalid", `dataDir ${dir} cannot be made: ${errorText(error)}; choose another one or make it yourself`, {
      cause: error,
    });
  }
}

function look(config: DaemonConfig, { bus, keeper }: { bus: Bus | null; keeper: Keeper | null }): Health {
  const nats = bus?.connected() ?? false;
  const status = keeper?.status() ?? null;
  const keeperWorks = status === null || Object.keys(status.problems).length === 0;
  // Without an admin address it is the provider of the database who answers for what a commit is worth.
  const durability = status === null ? {} : { durability: config.ledger?.adminUrl === undefined ? "provider" : "strong" };
  return { ready: nats && keeperWorks, details: { region: config.region, roles: config.roles, nats, ...durability, keeper: status } };
}
