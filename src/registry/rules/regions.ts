import { eq } from "drizzle-orm";
import { PortolanError } from "../../core/errors.ts";
import { publicKeySchema } from "../../core/messages/common.ts";
import { type Query, build } from "../query.ts";
import { meta, plan as planTable, region as table, scanner as scannerTable } from "../schema.ts";
import type { Plan, Region, RegistryState } from "../types.ts";
import { type Change, LIMITS, checkLimit, checkName, clip, nameList, notFound, unchanged } from "./change.ts";

/** What a person says of a region; what is left out stays (null and empty for a new one). */
export type RegionFacts = Partial<Pick<Region, "natsUrl" | "apiUrl" | "keeperPublicKeys" | "latitude" | "longitude">>;

const URL_CHARS_MAX = 300;
const KEYS_MAX = 64;
const LIST = "portolan region ls";

/**
 * Adds a region, or takes a retired one back (its old keys stay). Repeating it with the same facts changes nothing; a region that exists with
 * other facts is a `conflict`.
 */
export function addRegion(state: RegistryState, input: { name: string; facts: RegionFacts; nowMs: number }): Change<Region> {
  checkName("region", input.name);
  const existing = state.regions.find((region) => region.name === input.name);
  if (existing?.state === "retired") {
    const keys = [...existing.keeperPublicKeys, ...(input.facts.keeperPublicKeys ?? [])];
    return store(state, { ...withFacts(state, existing, { ...input.facts, keeperPublicKeys: keys }), state: "active" });
  }
  if (existing !== undefined) {
    if (same(existing, withFacts(state, existing, input.facts))) return unchanged(existing);
    throw new PortolanError(
      "conflict",
      `region "${input.name}" already exists with other settings; change them with "portolan region set"`,
    );
  }
  checkLimit("regions", state.regions.length + 1, LIMITS.regions);
  const fresh: Region = {
    name: input.name,
    natsUrl: null,
    apiUrl: null,
    keeperPublicKeys: [],
    latitude: null,
    longitude: null,
    state: "active",
    createdAtMs: input.nowMs,
  };
  const value = withFacts(state, fresh, input.facts);
  return { value, statements: [build.insert(table).values(value)] };
}

/**
 * Changes facts of a region. Keys are only added by this: what a former keeper signed must stay verifiable. With `force` the list is
 * replaced, and what only the removed keys signed is no longer believed by anybody who does not hold it yet. Throws `not-found`.
 */
export function setRegion(state: RegistryState, input: { name: string; facts: RegionFacts; force: boolean }): Change<Region> {
  const existing = findRegion(state, input.name);
  const value = withFacts(state, existing, input.facts);
  const removed = existing.keeperPublicKeys.filter((key) => !value.keeperPublicKeys.includes(key));
  const [first] = removed;
  if (first !== undefined && !input.force) {
    throw new PortolanError(
      "conflict",
      `without the key ${first} nobody could verify what it signed for region "${input.name}" any more; keep it in the list, or repeat with force`,
    );
  }
  return store(state, value);
}

/**
 * Retires a region: nobody pulls from it and it plans nothing. Its facts and keys stay, so that its log stays verifiable. A region with
 * enabled scanners, or the only home of a plan, is retired only with `force`: the scanners and those plans are then disabled in the same
 * write. Other plans go on with their next home. The region that holds the registry's primary is never retired. Repeatable.
 */
export function retireRegion(state: RegistryState, input: { name: string; force: boolean }): Change<Region> {
  const existing = findRegion(state, input.name);
  if (existing.state === "retired") return unchanged(existing);
  if (state.home === existing.name) {
    throw new PortolanError(
      "conflict",
      `region "${existing.name}" holds the registry's primary; make another region the home first: "portolan region promote"`,
    );
  }
  const scanners = state.scanners.filter((scanner) => scanner.region === existing.name && scanner.enabled);
  const plans = state.plans.filter((plan) => plan.homes.includes(existing.name));
  const orphans = plans.filter((plan) => plan.homes.length === 1 && plan.enabled);
  if (!input.force && scanners.length > 0) {
    throw new PortolanError(
      "conflict",
      `region "${existing.name}" still has scanner ${nameList(scanners)}; delete them first, or repeat with --force to disable them`,
    );
  }
  if (!input.force && orphans.length > 0) {
    throw new PortolanError(
      "conflict",
      `region "${existing.name}" is the only home of plan ${nameList(orphans)}; give it another with "portolan plan set --home", or repeat with --force to disable it`,
    );
  }
  const value: Region = { ...existing, state: "retired" };
  const disable = build.update(scannerTable).set({ enabled: false }).where(eq(scannerTable.region, existing.name));
  return {
    value,
    statements: [update(value), ...(scanners.length > 0 ? [disable] : []), ...plans.flatMap((plan) => withoutHome(plan, existing.name))],
  };
}

/** Says which region holds the registry's primary. Throws `not-found`, and `conflict` for a retired one. */
export function setHome(state: RegistryState, name: string): Change<string> {
  activeRegion(state, name);
  if (state.home === name) return unchanged(name);
  return { value: name, statements: [build.update(meta).set({ home: name }).where(eq(meta.id, 1))] };
}

/** The region with this name. Throws `not-found`. */
export function findRegion(state: RegistryState, name: string): Region {
  const region = state.regions.find((candidate) => candidate.name === name);
  if (region === undefined) throw notFound("region", name, LIST);
  return region;
}

/** The region with this name, which must not be retired. Throws `not-found`, `conflict`. */
export function activeRegion(state: RegistryState, name: string): Region {
  const region = findRegion(state, name);
  if (region.state === "active") return region;
  throw new PortolanError("conflict", `region "${name}" is retired; choose another, or take it back with "portolan region add ${name}"`);
}

function withoutHome(plan: Plan, name: string): Query[] {
  const homes = plan.homes.filter((home) => home !== name);
  const [home] = homes;
  // A plan keeps its last home even when that is retired: it is disabled, and shows why.
  if (home === undefined && !plan.enabled) return [];
  const changes = home === undefined ? { enabled: false } : { home, homes };
  return [
    build
      .update(planTable)
      .set({ ...changes, revision: plan.revision + 1 })
      .where(eq(planTable.name, plan.name)),
  ];
}

function store(state: RegistryState, value: Region): Change<Region> {
  const existing = state.regions.find((region) => region.name === value.name);
  if (existing !== undefined && same(existing, value)) return unchanged(existing);
  return { value, statements: [update(value)] };
}

function update(value: Region): Query {
  return build.update(table).set(value).where(eq(table.name, value.name));
}

function same(a: Region, b: Region): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function withFacts(state: RegistryState, region: Region, facts: RegionFacts): Region {
  const { name } = region;
  const others = state.regions.filter((other) => other.name !== name);
  const natsUrl = facts.natsUrl === undefined ? region.natsUrl : checkUrl(name, "message server", facts.natsUrl, NATS_PROTOCOLS);
  const apiUrl = facts.apiUrl === undefined ? region.apiUrl : checkUrl(name, "API", facts.apiUrl, API_PROTOCOLS);
  const sameServer = natsUrl === null ? undefined : others.find((other) => other.natsUrl === natsUrl);
  if (sameServer !== undefined) {
    throw new PortolanError(
      "conflict",
      `${natsUrl} is the message server of region "${sameServer.name}"; each region has its own, so give the one of "${name}"`,
    );
  }
  const keeperPublicKeys = facts.keeperPublicKeys === undefined ? region.keeperPublicKeys : [...new Set(facts.keeperPublicKeys)];
  checkKeys(state, name, keeperPublicKeys);
  const latitude = facts.latitude === undefined ? region.latitude : facts.latitude;
  const longitude = facts.longitude === undefined ? region.longitude : facts.longitude;
  checkPlace(name, latitude, longitude);
  // Keys in the stored order, so that the same facts are the same text.
  const { state: regionState, createdAtMs } = region;
  return { name, natsUrl, apiUrl, keeperPublicKeys, latitude, longitude, state: regionState, createdAtMs };
}

const NATS_PROTOCOLS: readonly string[] = ["nats:", "tls:", "ws:", "wss:"];
const API_PROTOCOLS: readonly string[] = ["http:", "https:"];

function checkUrl(name: string, what: string, text: string | null, protocols: readonly string[]): string | null {
  if (text === null || text.trim() === "") return null;
  const url = URL.parse(text.trim());
  const wanted = `${protocols.map((protocol) => `${protocol}//`).join(", ")} with a host name`;
  if (url === null || text.length > URL_CHARS_MAX || !protocols.includes(url.protocol) || url.hostname === "") {
    throw new PortolanError("invalid", `"${clip(text)}" cannot be the address of the ${what} of region "${name}": use ${wanted}`);
  }
  // The registry is read by every viewer, so it must hold no secret.
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    throw new PortolanError(
      "invalid",
      `the address of the ${what} of region "${name}" must not carry a user, a password, a query or a fragment; give host and port only`,
    );
  }
  return url.href.replace(/\/+$/, "");
}

function checkKeys(state: RegistryState, name: string, keys: readonly string[]): void {
  if (keys.length > KEYS_MAX)
    throw new PortolanError("invalid", `region "${name}" has over ${KEYS_MAX} keeper keys; give those that ever signed`);
  for (const key of keys) {
    if (!publicKeySchema.safeParse(key).success) {
      throw new PortolanError(
        "invalid",
        `"${clip(key)}" is not the public key of a keeper: give an nkey user public key, U and 55 base32 characters`,
      );
    }
    // A key speaks for one log's region, and a scanner's word is not a keeper's.
    const owner = state.regions.find((other) => other.name !== name && other.keeperPublicKeys.includes(key));
    if (owner !== undefined) {
      throw new PortolanError("conflict", `the keeper key ${key} belongs to region "${owner.name}"; make one of its own for "${name}"`);
    }
  }
}

function checkPlace(name: string, latitude: number | null, longitude: number | null): void {
  if (latitude === null && longitude === null) return;
  const isInside = (value: number | null, bound: number): boolean => value !== null && Number.isFinite(value) && Math.abs(value) <= bound;
  if (isInside(latitude, 90) && isInside(longitude, 180)) return;
  throw new PortolanError(
    "invalid",
    `region "${name}" lies at latitude ${latitude ?? "none"}, longitude ${longitude ?? "none"}; give both in degrees: −90 to 90 and −180 to 180`,
  );
}
