import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { PortolanError } from "../core/errors.ts";
import { bootstrap, openRegistry, type Registry } from "../registry/registry.ts";
import { apiChild, keeperChild, type Places, registryChild, ledgerChild, scannerChild, natsChild } from "./children.ts";
import { readLocalCredentials, writeLocalCredentials } from "./credentials.ts";
import { keySeed, type Layout, makeLayout, readPorts, writePorts } from "./layout.ts";
import { lockFolder } from "./lock.ts";
import type { RegionOptions } from "./options.ts";
import { choosePorts } from "./choose-ports.ts";
import { Child } from "./supervisor.ts";
import { NatsUsersWatch } from "./users.ts";

/** A running region. */
export type Region = {
  readonly name: string;
  readonly layout: Layout;
  readonly apiUrl: string;
  readonly natsUrl: string;
  readonly registryUrl: string;
  readonly ledgerUrl: string;
  /** Admin token of the CLI on this machine; `tokenIsNew` when this start made it. */
  readonly adminToken: string;
  readonly tokenIsNew: boolean;
  readonly keeperPublicKey: string;
  /** In the order of their start: registry, ledger, nats, keeper, scanner NAME …, api. */
  readonly children: readonly Child[];
  /** `registry`, `ledger`, `nats`, `keeper`, `api` or a scanner's name with `scanner-` before it. Throws `not-found`. */
  child(name: string): Child;
  /** Ends all children in order, the last started first. Repeatable. */
  stop(): Promise<void>;
};

/**
 * Starts all of one region on this machine and returns when every part has answered a real request.
 * Throws `conflict` when another process uses the folder, `unavailable` with the remedy when a part does not come up; nothing is left running then.
 */
export async function startRegion(options: RegionOptions): Promise<Region> {
  const layout = makeLayout(options.dir);
  const lock = await lockFolder(layout.dir);
  const started: Child[] = [];
  let watch: NatsUsersWatch | null = null;
  let registry: Registry | null = null;
  const stop = async (): Promise<void> => {
    watch?.stop();
    registry?.close();
    for (const child of started.toReversed()) await child.stop();
    await lock.release();
  };
  const run = async (child: Child): Promise<Child> => {
    started.push(child);
    await child.start();
    return child;
  };
  try {
    const places = await choosePlaces(layout, options);
    const onEvent = options.onEvent ?? (() => undefined);
    await Promise.all([run(new Child(registryChild(places), onEvent)), run(new Child(ledgerChild(places), onEvent))]);
    registry = openRegistry({ url: places.registryUrl, timeoutMs: 5_000 });
    const token = await prepareRegistry(registry, places, options);
    watch = await NatsUsersWatch.open(registry, places);
    await run(new Child(natsChild(places, watch), onEvent));
    await run(new Child(keeperChild(places, options), onEvent));
    await Promise.all([
      ...options.scanners.map((scanner) => run(new Child(scannerChild(places, options, scanner), onEvent))),
      run(new Child(apiChild(places, options), onEvent)),
    ]);
    await scannersHeard(places, options, token);
    watch.start();
    return handle({ places, options, started, token, stop: once(stop) });
  } catch (error) {
    await stop();
    throw error;
  }
}

const HEARD_MS_MAX = 15_000;
const scannersSchema = z.object({ items: z.array(z.object({ name: z.string(), live: z.unknown().nullable() })) });

/** Waits for a sign of life of each local scanner, because only then planning knows what it can do. */
async function scannersHeard(places: Places, options: RegionOptions, token: Token): Promise<void> {
  const deadline = performance.now() + HEARD_MS_MAX;
  const silent = async (): Promise<string[]> => {
    const headers = { authorization: `Bearer ${token.text}` };
    const response = await fetch(`${places.apiUrl}/v1/scanners?limit=1000`, { headers, signal: AbortSignal.timeout(5_000) });
    const { items } = scannersSchema.parse(await response.json());
    const heard = new Set(items.filter((item) => item.live !== null).map((item) => item.name));
    return options.scanners.map((scanner) => scanner.name).filter((name) => !heard.has(name));
  };
  for (;;) {
    const names = await silent();
    if (names.length === 0) return;
    if (performance.now() > deadline) {
      throw new PortolanError(
        "unavailable",
        `scanner ${names.join(", ")} was not heard within ${HEARD_MS_MAX} ms; see ${places.log(`scanner-${names[0]}`)}`,
      );
    }
    await delay(50);
  }
}

function once(work: () => Promise<void>): () => Promise<void> {
  let done: Promise<void> | null = null;
  return () => (done ??= work());
}

type Token = { readonly text: string; readonly isNew: boolean };

function handle(parts: {
  readonly places: Places;
  readonly options: RegionOptions;
  readonly started: readonly Child[];
  readonly token: Token;
  readonly stop: () => Promise<void>;
}): Region {
  const { places, started, token } = parts;
  return {
    name: parts.options.region,
    layout: places.layout,
    apiUrl: places.apiUrl,
    natsUrl: places.natsUrl,
    registryUrl: places.registryUrl,
    ledgerUrl: places.ledgerUrl,
    adminToken: token.text,
    tokenIsNew: token.isNew,
    keeperPublicKey: places.keeperPublicKey,
    children: started,
    child: (name) => {
      const found = started.find((child) => child.name === name);
      if (found === undefined)
        throw new PortolanError(
          "not-found",
          `region "${parts.options.region}" has no child "${name}"; it has ${started.map((child) => child.name).join(", ")}`,
        );
      return found;
    },
    stop: parts.stop,
  };
}

async function choosePlaces(layout: Layout, options: RegionOptions): Promise<Places> {
  const before = readPorts(layout, options.region);
  const ports = await choosePorts(before, { api: options.apiPort, nats: options.natsPort });
  writePorts(layout, options.region, ports);
  const keeper = keySeed(layout, "keeper");
  return {
    layout,
    region: options.region,
    ports,
    apiUrl: `http://${urlHost(options.apiHost)}:${ports.api}`,
    natsUrl: `nats://${urlHost(options.natsHost)}:${ports.nats}`,
    natsHost: options.natsHost ?? "127.0.0.1",
    registryUrl: `http://127.0.0.1:${ports.registry}`,
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

/** Region, scanners and a token that works; the token's text is kept for the CLI of this machine. */
async function prepareRegistry(registry: Registry, places: Places, options: RegionOptions): Promise<Token> {
  const tokenName = `${options.region} first admin`;
  const issued = await bootstrap(registry, { region: options.region, tokenName });
  for (const scanner of options.scanners) {
    const { publicKey } = keySeed(places.layout, scanner.name);
    const known = (await registry.state()).scanners.find((one) => one.name === scanner.name);
    // The address of a machine may change; its key says who it is.
    if (known?.publicKey === publicKey && known.region === options.region) continue;
    await registry.addScanner({ name: scanner.name, region: options.region, addresses: scanner.addresses, publicKey });
  }
  const kept = readLocalCredentials(places.layout.credentials);
  const token = issued !== null ? { text: issued.text, isNew: true } : await keptToken(registry, kept?.token ?? null);
  const { apiUrl: url, region } = places;
  // What scanners on other machines dial.
  const natsUrl = options.natsAdvertise === undefined ? places.natsUrl : `nats://${options.natsAdvertise}:${places.ports.nats}`;
  writeLocalCredentials(places.layout.credentials, { url, token: token.text, region, natsUrl, keeperPublicKeys: [places.keeperPublicKey] });
  return token;
}

async function keptToken(registry: Registry, text: string | null): Promise<Token> {
  if (text !== null && (await registry.tokens.verify(text)) !== null) return { text, isNew: false };
  // The file was lost or its token revoked: whoever owns the data folder may have another.
  const issued = await registry.tokens.issue({ name: `admin of ${new Date().toISOString()}`, role: "admin", expiresAtMs: null });
  return { text: issued.text, isNew: true };
}
