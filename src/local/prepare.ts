import { readFileSync } from "node:fs";
import { bootstrap, type Registry } from "../registry/registry.ts";
import { readLocalCredentials, writeLocalCredentials } from "./credentials.ts";
import { keySeed } from "./layout.ts";
import type { RegionOptions } from "./options.ts";
import type { Places } from "./places.ts";

/** The token of the CLI on this machine; its text is shown once, when it is new. */
export type AdminToken = { readonly text: string; readonly isNew: boolean };

/** Where a region lies, for the choice of the nearest one. */
export type Position = { readonly latitude: number; readonly longitude: number };

type Place = { readonly places: Places; readonly options: RegionOptions; readonly position?: Position };

/**
 * Puts a region with its addresses, its keeper's key and its local scanners into the registry (the primary), and returns a token that
 * works; its text is kept for the CLI of this machine. Repeatable.
 */
export async function prepareRegion(registry: Registry, place: Place): Promise<AdminToken> {
  const { places, options } = place;
  const issued = await bootstrap(registry, { region: options.region, tokenName: `${options.region} first admin` });
  await prepareFacts(registry, place);
  await prepareScanners(registry, place);
  const kept = readLocalCredentials(places.layout.credentials);
  const token = issued !== null ? { text: issued.text, isNew: true } : await keptToken(registry, kept?.token ?? null);
  keepToken(place, token);
  return token;
}

/** Further regions share the token of the first. */
export async function prepareFurtherRegion(registry: Registry, place: Place, token: AdminToken): Promise<void> {
  await registry.addRegion(place.options.region);
  await prepareFacts(registry, place);
  await prepareScanners(registry, place);
  keepToken(place, token);
}

async function prepareFacts(registry: Registry, { places, options, position }: Place): Promise<void> {
  const known = (await registry.state()).regions.find((region) => region.name === options.region);
  // What a former key signed must stay verifiable; the newest one is the last.
  const former = (known?.keeperPublicKeys ?? []).filter((key) => key !== places.keeperPublicKey);
  const facts = { natsUrl: advertised({ places, options }), apiUrl: places.apiUrl, keeperPublicKeys: [...former, places.keeperPublicKey] };
  await registry.setRegion(options.region, { ...facts, ...position });
}

async function prepareScanners(registry: Registry, { places, options }: Place): Promise<void> {
  for (const scanner of options.scanners) {
    const { publicKey } = keySeed(places.layout, scanner.name);
    const known = (await registry.state()).scanners.find((one) => one.name === scanner.name);
    // The address of a machine may change; its key says who it is.
    if (known?.publicKey === publicKey && known.region === options.region) continue;
    await registry.addScanner({ name: scanner.name, region: options.region, addresses: scanner.addresses, publicKey });
  }
}

/** What scanners and keepers on other machines dial. */
function advertised({ places, options }: Place): string {
  return options.natsAdvertise === undefined
    ? places.natsUrl
    : `${places.natsTls === null ? "nats" : "tls"}://${options.natsAdvertise}:${places.ports.nats}`;
}

function keepToken({ places, options }: Place, token: AdminToken): void {
  const { apiUrl: url, region, keeperPublicKey } = places;
  const natsUrl = advertised({ places, options });
  const natsCa = places.natsTls === null ? {} : { natsCa: readFileSync(places.natsTls.caFile, "utf8") };
  writeLocalCredentials(places.layout.credentials, {
    url,
    token: token.text,
    region,
    natsUrl,
    keeperPublicKeys: [keeperPublicKey],
    ...natsCa,
  });
}

async function keptToken(registry: Registry, text: string | null): Promise<AdminToken> {
  if (text !== null && (await registry.tokens.verify(text)) !== null) return { text, isNew: false };
  // The file was lost or its token revoked: whoever owns the data folder may have another.
  const issued = await registry.tokens.issue({ name: `admin of ${new Date().toISOString()}`, role: "admin", expiresAtMs: null });
  return { text: issued.text, isNew: true };
}
