import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "node:tls";
import { z } from "zod";
import type { TlsFiles } from "./certificates.ts";
import { startDatabase } from "./database-child.ts";
import { openLog } from "./log.ts";
import type { Places } from "./places.ts";
import { startSqld } from "./sqld.ts";
import type { ChildSpec, Running } from "./supervisor.ts";
import { fitRole } from "./topology.ts";

/** Whether the registry's one writer is here, and where it is else. */
export type RegistryRole =
  | { readonly kind: "primary"; /** Null: no replication port, because there is one region only. */ readonly tls: TlsFiles | null }
  | { readonly kind: "replica"; readonly primaryGrpcPort: number; readonly primaryAdminUrl: string; readonly tls: TlsFiles };

/** A replica copies all of the registry before it answers for the first time. */
const REPLICA_READY_MS_MAX = 10_000;
const STATS_MS_MAX = 3_000;
const DATABASE = "dbs/default";
const PROBE_EVERY_MS = 500;
const PROBE_MS_MAX = 1_000;

/** sqld with the configuration, in the role that it has at each start. */
export function registryChild(places: Places, role: () => RegistryRole): ChildSpec {
  const { registry: httpPort, registryAdmin: adminPort, registryGrpc: grpcPort } = places.ports;
  const onOutput = openLog(places.log("registry"));
  return {
    name: "registry",
    start: () => {
      const now = role();
      fitRole(places.layout.registry, now.kind, Date.now());
      if (now.kind === "replica") return startReplica(places, now, onOutput);
      const replication = now.tls === null ? {} : { grpcPort, grpcTls: now.tls };
      return startDatabase({ dir: places.layout.registry, httpPort, adminPort, ...replication, onOutput }, "registry");
    },
  };
}

type Replica = Extract<RegistryRole, { kind: "replica" }>;

/**
 * A replica, or, while its primary is away, a copy of its data that takes no writes: sqld itself serves nothing when it is started without
 * its primary. The copy ends by itself when the primary is back, so that whoever keeps the child running starts it as a replica again.
 */
async function startReplica(places: Places, role: Replica, onOutput: (chunk: string) => void): Promise<Running> {
  const { registry: httpPort, registryAdmin: adminPort } = places.ports;
  const ports = { httpPort, adminPort, onOutput };
  if (!(await answers(role)) && hasData(places.layout.registry)) {
    copyData(places.layout.registry, places.layout.registryAlone);
    const alone = await startSqld({ ...ports, dir: places.layout.registryAlone, isReadOnly: true });
    endWhenBack(alone, role);
    return alone;
  }
  const replica = await startSqld({
    ...ports,
    dir: places.layout.registry,
    primaryGrpcUrl: `https://127.0.0.1:${role.primaryGrpcPort}`,
    primaryTls: role.tls,
    readyTimeoutMs: REPLICA_READY_MS_MAX,
  });
  await copied(places.layout.registry, role);
  return replica;
}

/** Waits until a replica holds what the primary had when it started: before that its answers come from the primary. Not for ever: it answers anyway. */
async function copied(dir: string, { primaryAdminUrl }: Replica): Promise<void> {
  const deadline = performance.now() + REPLICA_READY_MS_MAX;
  const goal = await primaryFrame(primaryAdminUrl).catch(() => 0);
  while (replicatedFrame(dir) < goal && performance.now() < deadline) await delay(20);
}

/** How many frames a primary has committed. Throws when it does not answer within 3 s. */
export async function primaryFrame(adminUrl: string): Promise<number> {
  const response = await fetch(`${adminUrl}/v1/namespaces/default/stats`, { signal: AbortSignal.timeout(STATS_MS_MAX) });
  return z.object({ replication_index: z.int().nullable() }).parse(await response.json()).replication_index ?? 0;
}

/** How many of its primary's frames a replica has on its own disk, as its own file says (a replica's statistics count what it was told of too); -1 for none. */
export function replicatedFrame(dir: string): number {
  try {
    const index = readFileSync(join(dir, DATABASE, "client_wal_index"));
    return index.length < 24 ? -1 : Number(index.readBigUInt64LE(16));
  } catch {
    return -1;
  }
}

function endWhenBack(alone: Running, role: Replica): void {
  const probe = async (): Promise<void> => {
    if (await answers(role)) await alone.stop();
  };
  const timer = setInterval(() => void probe(), PROBE_EVERY_MS);
  timer.unref();
  void alone.exited.then(() => clearInterval(timer));
}

/** Whether the primary greets us as a replica: one that is frozen accepts connections and says nothing. */
function answers({ primaryGrpcPort: port, tls }: Replica): Promise<boolean> {
  const [ca, cert, key] = [tls.caFile, tls.certFile, tls.keyFile].map((file) => readFileSync(file));
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, servername: "sqld", ca, cert, key, ALPNProtocols: ["h2"] });
    const finish = (isThere: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(isThere);
    };
    const timer = setTimeout(() => finish(false), PROBE_MS_MAX);
    socket.once("secureConnect", () => finish(true));
    socket.once("error", () => finish(false));
  });
}

/** Whether a sqld that used this folder has left a database there. */
export function hasData(dir: string): boolean {
  return existsSync(join(dir, DATABASE, "data"));
}

/**
 * Copies the database alone from the folder of a sqld that does not run, without what makes it a replica or a primary with a history:
 * what starts on the copy begins a history of its own. Replaces `to`.
 */
export function copyData(from: string, to: string): void {
  rmSync(to, { recursive: true, force: true });
  mkdirSync(join(to, DATABASE), { recursive: true, mode: 0o700 });
  for (const file of ["data", "data-wal"]) {
    const source = join(from, DATABASE, file);
    if (existsSync(source)) cpSync(source, join(to, DATABASE, file));
  }
}
