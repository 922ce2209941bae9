import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { DaemonConfigInput } from "../../scanner-daemon/config.ts";
import { keySeed, type Layout, type AllPorts, writeSecret } from "./layout.ts";
import { openLog } from "./log.ts";
import { migrate } from "./migrate.ts";
import { type LocalNats, startNats } from "./nats.ts";
import { freePort } from "./ports.ts";
import type { LocalScanner, RegionOptions } from "./options.ts";
import { spawnNode } from "./spawn.ts";
import { startSqld } from "./sqld.ts";
import type { ChildSpec, Running } from "./supervisor.ts";
import { findTool, ROOT } from "./tools.ts";
import type { NatsUsersWatch } from "./users.ts";

/** Addresses and files of one region, fixed for as long as it runs. */
export type Places = {
  readonly layout: Layout;
  readonly region: string;
  readonly ports: AllPorts;
  readonly apiUrl: string;
  readonly natsUrl: string;
  readonly natsHost: string;
  readonly registryUrl: string;
  readonly ledgerUrl: string;
  readonly ledgerAdminUrl: string;
  readonly keeperSeedFile: string;
  readonly keeperPublicKey: string;
  readonly log: (name: string) => string;
};

const READY_MS_MAX = 30_000;
/** A daemon shares its machine with what it scans with: a young generation that may grow makes garbage wait, and memory grow, for nothing. */
const HEAP_LIMITS = ["--max-semi-space-size=8", "--max-old-space-size=160"];

/** sqld with the configuration; its tables are brought up to date at each start. */
export function registryChild(places: Places): ChildSpec {
  const { registry: httpPort, registryAdmin: adminPort } = places.ports;
  return {
    name: "registry",
    start: () => startDatabase({ dir: places.layout.registry, httpPort, adminPort, migrations: "registry", log: places.log("registry") }),
  };
}

/** sqld with the facts. */
export function ledgerChild(places: Places): ChildSpec {
  const { ledger: httpPort, ledgerAdmin: adminPort } = places.ports;
  return {
    name: "ledger",
    start: () => startDatabase({ dir: places.layout.ledger, httpPort, adminPort, migrations: "ledger", log: places.log("ledger") }),
  };
}

type Database = {
  readonly dir: string;
  readonly httpPort: number;
  readonly adminPort: number;
  readonly migrations: string;
  readonly log: string;
};

async function startDatabase(database: Database): Promise<Running> {
  const { dir, httpPort, adminPort } = database;
  const sqld = await startSqld({ dir, httpPort, adminPort, onOutput: openLog(database.log) });
  try {
    await migrate({ url: sqld.url, folder: join(ROOT, "migrations", database.migrations) });
    return sqld;
  } catch (error) {
    await sqld.stop();
    throw error;
  }
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
    ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
  });
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
      const config: DaemonConfigInput = { ...part, region: places.region, dataDir, nats: { url: places.natsUrl }, healthPort };
      writeSecret(file, `${JSON.stringify(config, null, 2)}\n`);
      const args = [...HEAP_LIMITS, join(ROOT, "scanner-daemon/main.ts"), "--config", file];
      const isReady = (): Promise<boolean> => answers(`http://127.0.0.1:${healthPort}/${name === "keeper" ? "readyz" : "healthz"}`);
      return spawnNode({ name, args, env: {}, isReady, readyTimeoutMs: READY_MS_MAX, onOutput });
    },
  };
}

/** The API and the pages. */
export function apiChild(places: Places, options: RegionOptions): ChildSpec {
  const onOutput = openLog(places.log("api"));
  const env = {
    PORTOLAN_REGION: places.region,
    PORTOLAN_REGISTRY_URL: places.registryUrl,
    PORTOLAN_LEDGER_URL: places.ledgerUrl,
    HOST: options.apiHost ?? "127.0.0.1",
    PORT: String(places.ports.api),
  };
  return {
    name: "api",
    start: () =>
      spawnNode({
        name: "api",
        args: ["--import", "tsx", join(ROOT, "workers/node.ts")],
        env,
        isReady: () => answers(`${places.apiUrl}/readyz`),
        readyTimeoutMs: READY_MS_MAX,
        onOutput,
      }),
  };
}

async function answers(url: string): Promise<boolean> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
  await response.arrayBuffer();
  return response.ok;
}
