import { addressFromHex, formatAddress } from "../core/address.ts";
import { PortolanError } from "../core/errors.ts";
import { differenceOf, type Point } from "../core/history/diff.ts";
import { foldHistory, type Interval, stateAt, type Turn } from "../core/history/fold.ts";
import { protocolOf } from "../core/port.ts";
import { type Database, numberOf, type SqlRow, textOf } from "./database.ts";
import { type LoadedFacts, loadFacts } from "./history-facts.ts";
import type { StoredReader } from "./stored.ts";
import type { Page, Service, ServiceState } from "./types.ts";

type ServiceId = Pick<Service, "address" | "protocol" | "port">;

/** `sinceMs`: null, or from when on the history is whole (older records were too many to read). */
export type ServiceHistory = { readonly intervals: Interval[]; readonly turns: Turn[]; readonly sinceMs: number | null };

/** A service as it was at a moment. */
export type ServiceThen = ServiceId & { readonly state: ServiceState };

/** A moment in milliseconds, or a job: then the moment at which its last tile was complete, and what it covered. */
export type DiffPoint = { readonly atMs: number } | { readonly job: string };

export type ServiceDifference = ServiceId & { readonly difference: "appeared" | "disappeared" | "not-comparable" };

/** Each page looks at this many services (default, most), whether or not they belong on it. */
const LOOKED_AT = 50;
const LOOKED_AT_MAX = 200;

export type HistoryPageQuery = { readonly limit?: number; readonly cursor?: string };

/** When a service was open, missing, closed. Null when it is not in the register. */
export async function historyOf(database: Database, service: ServiceId, reader: StoredReader): Promise<ServiceHistory | null> {
  const [loaded] = await loadFacts(database, [service], reader);
  if (loaded === undefined || loaded.facts.sightings.length === 0) return null;
  return { ...foldHistory(loaded.facts), sinceMs: loaded.sinceMs };
}

/**
 * Services that were open (or missing) at a moment, in the order of the register. A page may be short or empty although more
 * follow: only `next` tells.
 */
export async function openAt(
  database: Database,
  query: HistoryPageQuery & { readonly atMs: number },
  reader: StoredReader,
): Promise<Page<ServiceThen>> {
  const { services, next } = await servicesPage(database, query);
  const loaded = await loadFacts(database, services, reader);
  const items = services.flatMap((service, index) => {
    const state = stateAt(factsOf(loaded, index), query.atMs);
    return state === "open" || state === "missing" ? [{ ...service, state }] : [];
  });
  return { items, next };
}

/** What differs between two moments or jobs; services without a difference are left out, so a page may be empty although more follow. */
export async function diff(
  database: Database,
  query: HistoryPageQuery & { readonly a: DiffPoint; readonly b: DiffPoint },
  reader: StoredReader,
): Promise<Page<ServiceDifference>> {
  const [a, b] = [await pointOf(database, query.a), await pointOf(database, query.b)];
  const { services, next } = await servicesPage(database, query);
  const loaded = await loadFacts(database, services, reader);
  const items = services.flatMap((service, index) => {
    const difference = differenceOf(factsOf(loaded, index), a, b);
    return difference === "same" ? [] : [{ ...service, difference }];
  });
  return { items, next };
}

function factsOf(loaded: readonly LoadedFacts[], index: number): LoadedFacts["facts"] {
  return loaded[index]?.facts ?? { sightings: [], covers: [], confirms: [] };
}

async function pointOf(database: Database, point: DiffPoint): Promise<Point> {
  if ("atMs" in point) return { atMs: point.atMs, job: null };
  const sql = `select max((select min(r.stamp_ms) from record r where r.id = c.id)) as at_ms from tile_complete c where c.job = unhex(?1)`;
  const [rows] = await database.batch([{ sql, args: [point.job] }], "read");
  const atMs = rows?.[0]?.["at_ms"];
  if (typeof atMs !== "number") {
    throw new PortolanError(
      "not-found",
      `job ${point.job.slice(0, 12)} has no complete tile, so it cannot be compared; choose another one or a time`,
    );
  }
  return { atMs, job: point.job };
}

async function servicesPage(
  database: Database,
  { limit = LOOKED_AT, cursor }: HistoryPageQuery,
): Promise<{ services: ServiceId[]; next: string | null }> {
  if (!Number.isInteger(limit) || limit < 1 || limit > LOOKED_AT_MAX) {
    throw new PortolanError("invalid", `limit ${limit} is not a whole number from 1 to ${LOOKED_AT_MAX}`);
  }
  const match = /^([0-9a-f]{32})\.(\d{1,5})\.(\d{1,3})$/.exec(cursor ?? `${"0".repeat(32)}.0.0`);
  if (match === null) throw new PortolanError("invalid", "the cursor is not one that this list gave; start again without it");
  const sql = `select lower(hex(ip)) as ip, port, proto from service where (ip, port, proto) > (unhex(?1), ?2, ?3) order by ip, port, proto limit ?4`;
  const [rows = []] = await database.batch([{ sql, args: [match[1] ?? "", Number(match[2]), Number(match[3]), limit + 1] }], "read");
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const next =
    rows.length > limit && last !== undefined ? `${textOf(last, "ip")}.${numberOf(last, "port")}.${numberOf(last, "proto")}` : null;
  return { services: shown.map(serviceOf), next };
}

function serviceOf(row: SqlRow): ServiceId {
  const address = formatAddress(addressFromHex(textOf(row, "ip")));
  return { address, port: numberOf(row, "port"), protocol: protocolOf(numberOf(row, "proto")) };
}
