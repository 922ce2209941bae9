import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { DaemonConfigInput } from "../../scanner-daemon/config.ts";
import { startDatabase } from "./database-child.ts";
import { keySeed, writeSecret } from "./layout.ts";
import { openLog } from "./log.ts";
import { type LocalNats, startNats } from "./nats.ts";
import type { LocalScanner, RegionOptions } from "./options.ts";
import type { Places } from "./places.ts";
import { freePort } from "./ports.ts";
import { spawnNode } from "./spawn.ts";
import type { ChildSpec } from "./supervisor.ts";
import { findTool, ROOT } from "./tools.ts";
import type { NatsUsersWatch } from "./users.ts";

const READY_MS_MAX = 30_000;
/** A daemon shares its machine with what it scans with: a young generation that may grow makes garbage wait, and memory grow, for nothing. */
const HEAP_LIMITS = ["--max-semi-space-size=8", "--max-old-space-size=160"];

/** sqld with the facts; its tables are brought up to date at each start. */
export function ledgerChild(places: Places): ChildSpec {
  const { ledger: httpPort, ledgerAdmin: adminPort } = places.ports;
  const onOutput = openLog(places.log("ledger"));
  return { name: "ledger", start: () => startDatabase({ dir: places.layout.ledger, httpPort, adminPort, onOutput }, "ledger") };
}

/** nats-server, whose users follow the registry. */
export function natsChild(places: Places, watch: NatsUsersWatch): ChildSpec {
  return {
    name: "nats",
    start: async () => {
      const { region, natsHost: host } = places;
      const onOutput = openLog(places.log("nats"));
      const server: LocalNats = await startNats({
        dir: places.layout.nats,
        region,
        host,
        port: places.ports.nats,
        ...watch.users,
        ...(places.natsTls === null ? {} : { tls: { certFile: places.natsTls.certFile, keyFile: places.natsTls.keyFile } }),
        onOutput,
      });
      watch.onChange((users) => server.reload(users));
      return server;
    },
  };
}

/** The daemon in the keeper's role. */
export function keeperChild(places: Places, options: RegionOptions): ChildSpec {
  return daemonChild(places, "keeper", {
    roles: ["keeper"],
    keySeedFile: places.keeperSeedFile,
    registry: { url: places.registryUrl },
    ledger: { url: places.ledgerUrl, adminUrl: places.ledgerAdminUrl },
    keeper: { ...options.keeper, name: "keeper" },
    peers: { urls: peerUrls(options), ...authorityOf(places) },
    ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
  });
}

function authorityOf({ natsTls }: Places): { caFile?: string } {
  return natsTls === null ? {} : { caFile: natsTls.caFile };
}

function peerUrls({ peers = {} }: RegionOptions): Record<string, string> {
  return Object.fromEntries(Object.entries(peers).flatMap(([region, { natsUrl }]) => (natsUrl === undefined ? [] : [[region, natsUrl]])));
}

/** The daemon in a scanner's role. */
export function scannerChild(places: Places, options: RegionOptions, scanner: LocalScanner): ChildSpec {
  const { addresses: _, ...rest } = scanner;
  const found = Object.fromEntries(["masscan", "ethtool", "setpriv", "stdbuf"].map((name) => [name, findTool(name) ?? name]));
  return daemonChild(places, `scanner-${scanner.name}`, {
    roles: ["scanner"],
    keySeedFile: keySeed(places.layout, scanner.name).file,
    keeperPublicKeys: [places.keeperPublicKey],
    scanner: { ...rest, tools: { ...found, ...scanner.tools } },
    ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
  });
}

type DaemonPart = Omit<DaemonConfigInput, "region" | "dataDir" | "nats" | "healthPort">;

function daemonChild(places: Places, name: string, part: DaemonPart): ChildSpec {
  const onOutput = openLog(places.log(name));
  const dataDir = places.layout.daemon(name);
  const file = places.layout.daemonConfig(name);
  return {
    name,
    start: async () => {
      mkdirSync(dataDir, { recursive: true, mode: 0o700 });
      const healthPort = await freePort();
      const config: DaemonConfigInput = {
        ...part,
        region: places.region,
        dataDir,
        nats: { url: places.natsUrl, ...authorityOf(places) },
        healthPort,
      };
      writeSecret(file, `${JSON.stringify(config, null, 2)}\n`);
      const args = [...HEAP_LIMITS, join(ROOT, "scanner-daemon/main.ts"), "--config", file];
      const isReady = (): Promise<boolean> => answers(`http://127.0.0.1:${healthPort}/${name === "keeper" ? "readyz" : "healthz"}`);
      return spawnNode({ name, args, env: {}, isReady, readyTimeoutMs: READY_MS_MAX, onOutput });
    },
  };
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  await response.arrayBuffer();
  return response.ok;
}
