import { join } from "node:path";
import { isLoopback } from "../bus/server-config.ts";
import { Authority, type TlsFiles } from "./certificates.ts";
import { choosePorts } from "./choose-ports.ts";
import { type AllPorts, keySeed, type Layout, readPorts, writePorts } from "./layout.ts";
import type { RegionOptions } from "./options.ts";

/** Addresses and files of one region, fixed for as long as it runs. */
export type Places = {
  readonly layout: Layout;
  readonly region: string;
  readonly ports: AllPorts;
  readonly apiUrl: string;
  readonly natsUrl: string;
  readonly natsHost: string;
  /** Certificate of the message server and its authority; null: no TLS. */
  readonly natsTls: TlsFiles | null;
  readonly registryUrl: string;
  readonly registryAdminUrl: string;
  readonly ledgerUrl: string;
  readonly ledgerAdminUrl: string;
  readonly keeperSeedFile: string;
  readonly keeperPublicKey: string;
  readonly log: (name: string) => string;
};

/** What regions on one machine share when their places are chosen. */
export type Shared = {
  /** Folder of the authority that signs certificates. */
  readonly authorityDir: string;
  /** Ports that other regions have chosen; gets those of this one. */
  readonly takenPorts?: Set<number>;
};

/** Chooses the ports of a region (see `choosePorts`), makes its keeper's key, and its certificate where one is needed. Throws `conflict`. */
export async function choosePlaces(layout: Layout, options: RegionOptions, { authorityDir, takenPorts }: Shared): Promise<Places> {
  const before = readPorts(layout, options.region);
  const ports = await choosePorts(before, { api: options.apiPort, nats: options.natsPort }, takenPorts);
  writePorts(layout, options.region, ports);
  const keeper = keySeed(layout, "keeper");
  const natsTls = messageTls(options, authorityDir);
  return {
    layout,
    region: options.region,
    ports,
    apiUrl: `http://${urlHost(options.apiHost)}:${ports.api}`,
    natsTls,
    natsUrl: `${natsTls === null ? "nats" : "tls"}://${urlHost(options.natsHost)}:${ports.nats}`,
    natsHost: options.natsHost ?? "127.0.0.1",
    registryUrl: `http://127.0.0.1:${ports.registry}`,
    registryAdminUrl: `http://127.0.0.1:${ports.registryAdmin}`,
    ledgerUrl: `http://127.0.0.1:${ports.ledger}`,
    ledgerAdminUrl: `http://127.0.0.1:${ports.ledgerAdmin}`,
    keeperSeedFile: keeper.file,
    keeperPublicKey: keeper.publicKey,
    log: (name) => join(layout.logs, `${name}.log`),
  };
}

function urlHost(host: string | undefined): string {
  if (host === undefined || host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}

/** A listener that others can reach has TLS, whatever is asked; on loopback only when it is asked for. */
function messageTls(
  { region, natsHost = "127.0.0.1", natsAdvertise, natsTls = false }: RegionOptions,
  authorityDir: string,
): TlsFiles | null {
  if (isLoopback(natsHost) && !natsTls) return null;
  const isAny = natsHost === "0.0.0.0" || natsHost === "::";
  const advertised = natsAdvertise?.replace(/^\[|\]$/g, "");
  const hosts = ["localhost", "127.0.0.1", "::1", ...(isAny ? [] : [natsHost]), ...(advertised === undefined ? [] : [advertised])];
  return new Authority(authorityDir).messages(region, [...new Set(hosts)]);
}
