import type { Hono } from "hono";
import type { Certificate } from "../../src/core/certificate/schema.ts";
import type { JobSpec } from "../../src/core/messages/job.ts";
import type { ScannerTotal } from "../../src/ledger/accounting.ts";
import type { ServiceHistory } from "../../src/ledger/history.ts";
import type { Labels } from "../../src/ledger/labels.ts";
import type { PeerState } from "../../src/ledger/peer-types.ts";
import type { Vantage } from "../../src/ledger/vantage.ts";
import type { Change, HeldTile, Job, Page, Service, ShardRow } from "../../src/ledger/types.ts";
import type { RegistryState } from "../../src/registry/types.ts";
import { createWeb, type WebDeps } from "../../src/web/app.tsx";
import type { WebLedger } from "../../src/web/readers.ts";
import { isHidden, matchesFilter } from "../ledger/matching.ts";

const NOW_MS = Date.UTC(2026, 10, 20, 13, 5, 12);
export const TOKEN = "ptl_api_0123abcd_test";
export const JOB_ID = "ab".repeat(32);

export function service(part: Partial<Service> = {}): Service {
  return {
    address: "192.0.2.10",
    protocol: "tcp",
    port: 443,
    state: "open",
    firstSeenMs: NOW_MS - 30 * 86_400_000,
    lastSeenMs: NOW_MS - 12 * 60_000,
    seenBy: ["eu"],
    changedAtMs: NOW_MS - 30 * 86_400_000,
    reopened: false,
    known: false,
    tainted: false,
    ...part,
  };
}

export function job(part: Partial<Job> = {}): Job {
  return {
    id: JOB_ID,
    plan: "office",
    group: "@all",
    home: "eu",
    cause: "manual",
    state: "complete",
    paused: false,
    why: null,
    plannedAtMs: NOW_MS - 20 * 60_000,
    deadlineAtMs: NOW_MS + 86_400_000,
    endedAtMs: NOW_MS - 12 * 60_000,
    tiles: { total: 8, complete: 8, abandoned: 0 },
    pairs: 262_144,
    ...part,
  };
}

export function shard(part: Partial<ShardRow> = {}): ShardRow {
  return {
    tile: 0,
    shard: 1,
    scanner: "de01",
    region: "eu",
    attempt: 1,
    state: "running",
    percent: 41.3,
    ratePps: 9_900,
    found: 128,
    remainingS: 83,
    problem: null,
    ...part,
  };
}

export type FakeData = {
  services?: Service[];
  jobs?: Job[];
  shards?: ShardRow[];
  plans?: string[];
  scanners?: number;
  holes?: number;
  changes?: Change[];
  certificates?: Certificate[];
  /** By port. */
  histories?: Record<number, ServiceHistory>;
  vantages?: Record<number, Vantage[]>;
  peers?: PeerState[];
  /** By port. */
  labels?: Record<number, Labels>;
  held?: HeldTile[];
  totals?: ScannerTotal[];
  spec?: JobSpec;
};

const COVERED: Labels = { neverCovered: false, unmonitored: false, stale: false, coveredAtMs: NOW_MS - 12 * 60_000 };

function pageOf<T>(items: readonly T[], query: { limit?: number; cursor?: string }): Page<T> {
  const from = query.cursor === undefined ? 0 : Number(query.cursor.slice(1));
  const to = from + (query.limit ?? 100);
  return { items: items.slice(from, to), next: to < items.length ? `c${to}` : null };
}

/** A ledger that answers from memory as the real one does, cursors included. */
export function fakeLedger(data: FakeData): WebLedger {
  const services = data.services ?? [];
  const count = (state: Service["state"]) => services.filter((row) => row.state === state).length;
  return {
    search: async (query) =>
      pageOf(
        services.filter((row) => matchesFilter(row, query.filter)),
        query,
      ),
    searchCounts: async ({ filter }) => ({
      total: { count: services.filter((row) => matchesFilter(row, filter)).length, exact: true },
      hiddenKnownGood: { count: services.filter((row) => row.known && isHidden(row, filter)).length, exact: true },
    }),
    facets: async ({ filter }) => {
      const found = services.filter((row) => matchesFilter(row, filter));
      const count = (valuesOf: (row: Service) => readonly string[]) =>
        [...Map.groupBy(found.flatMap(valuesOf), (value) => value)].map(([value, all]) => ({ value, count: all.length }));
      return {
        total: { count: found.length, exact: true },
        facets: {
          state: count((row) => [row.state]),
          port: count((row) => [`${row.protocol}/${row.port}`]),
          region: count((row) => row.seenBy),
        },
      };
    },
    host: async (address) => services.filter((row) => row.address === address),
    counts: async () => ({ open: count("open"), missing: count("missing"), closed: count("closed") }),
    portCounts: async (limit) =>
      [...Map.groupBy(services, (row) => `${row.protocol}/${row.port}`).values()]
        .map((rows) => ({
          protocol: rows[0]?.protocol ?? "tcp",
          port: rows[0]?.port ?? 0,
          open: rows.filter((row) => row.state === "open").length,
          missing: rows.filter((row) => row.state === "missing").length,
          closed: rows.filter((row) => row.state === "closed").length,
        }))
        .toSorted((a, b) => b.open - a.open)
        .slice(0, limit),
    labels: async ({ services: asked }) => asked.map(({ port }) => data.labels?.[port] ?? COVERED),
    vantages: async (asked) => asked.map(({ port }) => data.vantages?.[port] ?? []),
    history: async ({ port }) => data.histories?.[port] ?? null,
    why: async ({ address, port }) => data.certificates?.find(({ service: of }) => of.address === address && of.port === port) ?? null,
    listChanges: async (query) => {
      const before = query.cursor === undefined ? Number.MAX_SAFE_INTEGER : Number(query.cursor);
      const rest = (data.changes ?? []).filter((row) => row.n < before && (query.kinds?.includes(row.kind) ?? true));
      const items = rest.slice(0, query.limit ?? 100);
      return { items, next: rest.length > items.length ? String(items.at(-1)?.n ?? 0) : null };
    },
    jobSpec: async () => data.spec ?? null,
    heldTiles: async () => data.held ?? [],
    scannerTotals: async () => data.totals ?? [],
    listJobs: async (query) => pageOf(data.jobs ?? [], query),
    job: async (id) => (data.jobs ?? []).find((row) => row.id === id) ?? null,
    listShards: async (query) => pageOf(data.shards ?? [], query),
    progress: async ({ job: id }) =>
      (data.shards ?? [])
        .filter((row) => row.state === "running")
        .map((row) => ({
          key: { job: id, tile: row.tile, shard: row.shard, attempt: row.attempt },
          scanner: row.scanner,
          phase: "probing" as const,
          percent: row.percent ?? 0,
          ratePps: row.ratePps ?? 0,
          found: row.found ?? 0,
          remainingS: row.remainingS,
          sentAtMs: NOW_MS,
        })),
    scanners: async () => [],
    peers: async () => data.peers ?? [],
    holes: async () =>
      Array.from({ length: data.holes ?? 0 }, (_, index) => ({
        log: String(index).padStart(32, "0"),
        region: "us",
        prefix: 4,
        highest: 9,
      })),
  };
}

function fakeRegistryState(data: FakeData): RegistryState {
  const plans = (data.plans ?? []).map((name) => ({ name }));
  const scanners = Array.from({ length: data.scanners ?? 0 }, (_, index) => ({ name: `s${index}`, enabled: true, addresses: [] }));
  return { version: 1, regions: [], groups: [], rangeGroups: [], exclusions: [], plans, scanners } as unknown as RegistryState;
}

/** The pages over data in memory; `overrides` replaces parts, say with ones that fail. */
export function webWith(data: FakeData, overrides: Partial<WebDeps> = {}): Hono {
  return createWeb({
    ledger: fakeLedger(data),
    registry: { state: async () => fakeRegistryState(data) },
    authenticate: async (token) => token === TOKEN,
    callApi: () => new Response("{}"),
    now: () => NOW_MS,
    region: "eu",
    ...overrides,
  });
}

/** Findings of some size and variety, always the same. */
export function manyServices(count: number): Service[] {
  const ports = [443, 80, 22, 25, 3306, 8080, 53, 5432, 993, 3389, 6379, 9200];
  return Array.from({ length: count }, (_, index) =>
    service({
      address: index % 9 === 8 ? `2001:db8:4a:${(index % 7) + 1}::${(index * 37 + 1).toString(16)}` : `192.0.2.${(index * 7) % 254}`,
      port: ports[(index * index) % ports.length] ?? 80,
      protocol: index % 12 === 6 ? "udp" : "tcp",
      state: index % 11 === 10 ? "missing" : index % 17 === 16 ? "closed" : "open",
      reopened: index % 23 === 5,
      firstSeenMs: NOW_MS - (index + 1) * 7_000_000,
      lastSeenMs: NOW_MS - ((index * 13) % 400) * 60_000,
      seenBy: index % 3 === 0 ? ["eu", "us"] : ["eu"],
    }),
  );
}
