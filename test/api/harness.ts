import { createApp } from "../../src/api/app.ts";
import type { Job, LedgerReader, Service } from "../../src/ledger/types.ts";
import type { Role } from "../../src/registry/types.ts";
import { type TestRegistry, publicKey, startTestRegistry } from "../registry/harness.ts";

export const JOB_ID = "ab".repeat(32);

/** The API over a real registry and a ledger whose answers a test chooses. */
export type TestApi = {
  readonly store: TestRegistry;
  readonly app: ReturnType<typeof createApp>;
  readonly tokens: Readonly<Record<Role, string>>;
  readonly ledger: { -readonly [K in keyof LedgerReader]: LedgerReader[K] };
  readonly bugs: unknown[];
  /** What was asked and how it was answered, in this order. */
  readonly answers: { readonly method: string; readonly path: string; readonly status: number }[];
  /** A request with a role's token (`null`: without any). */
  ask(method: string, path: string, options?: { role?: Role | null; body?: unknown; headers?: Record<string, string> }): Promise<Response>;
  close(): Promise<void>;
};

export async function startTestApi(): Promise<TestApi> {
  const store = await startTestRegistry();
  const { registry, clock } = store;
  await registry.addRegion("eu");
  await registry.addScanner({ name: "de01", region: "eu", addresses: ["192.0.2.250"], publicKey: publicKey(0) });
  const issue = async (role: Role): Promise<string> => (await registry.tokens.issue({ name: role, role, expiresAtMs: null })).text;
  const tokens = {
    viewer: await issue("viewer"),
    operator: await issue("operator"),
    admin: await issue("admin"),
    uploader: await issue("uploader"),
  };
  const ledger = cannedLedger();
  const bugs: unknown[] = [];
  const answers: { method: string; path: string; status: number }[] = [];
  const app = createApp({ registry, ledger, clock: () => clock.nowMs, version: "0.0.0", region: "eu", onBug: (error) => bugs.push(error) });
  const ask: TestApi["ask"] = async (method, path, options = {}) => {
    const role = options.role === undefined ? "admin" : options.role;
    const headers: Record<string, string> = { ...options.headers };
    if (role !== null) headers["authorization"] ??= `Bearer ${tokens[role]}`;
    // Whatever it is now: tests that are about versions say which they mean.
    if (["PATCH", "PUT", "DELETE"].includes(method)) headers["if-match"] ??= "*";
    if (options.body !== undefined) headers["content-type"] ??= "application/json";
    const body = options.body === undefined ? {} : { body: typeof options.body === "string" ? options.body : JSON.stringify(options.body) };
    const response = await app.request(path, { method, headers, ...body });
    answers.push({ method, path, status: response.status });
    return response;
  };
  return { store, app, tokens, ledger, bugs, answers, ask, close: store.close };
}

export const SERVICE: Service = {
  address: "192.0.2.1",
  protocol: "tcp",
  port: 443,
  state: "open",
  firstSeenMs: 1,
  lastSeenMs: 2,
  seenBy: ["eu"],
  changedAtMs: 1,
  reopened: false,
  known: false,
  tainted: false,
};

export const JOB: Job = {
  id: JOB_ID,
  plan: "office",
  group: "@all",
  home: "eu",
  cause: "manual",
  state: "running",
  paused: false,
  why: null,
  plannedAtMs: 1,
  deadlineAtMs: 2,
  endedAtMs: null,
  tiles: { total: 1, complete: 0, abandoned: 0 },
  pairs: 256,
};

export function cannedLedger(): TestApi["ledger"] {
  const none = async () => ({ items: [], next: null });
  return {
    listServices: async ({ cursor }) =>
      cursor === undefined ? { items: [SERVICE], next: "k:1" } : { items: [{ ...SERVICE, port: 444 }], next: null },
    countKnown: async () => 0,
    search: async ({ cursor }) =>
      cursor === undefined ? { items: [SERVICE], next: "k:1" } : { items: [{ ...SERVICE, port: 444 }], next: null },
    searchCounts: async () => ({ total: { count: 2, exact: true }, hiddenKnownGood: { count: 0, exact: true } }),
    facets: async () => ({ total: { count: 2, exact: true }, facets: { port: [{ value: "tcp/443", count: 1 }] } }),
    logStands: async () => [],
    peers: async () => [],
    host: async (address) => (address === SERVICE.address ? [SERVICE] : []),
    counts: async () => ({ open: 1, missing: 0, closed: 0 }),
    portCounts: async () => [{ protocol: "tcp", port: 443, open: 1, missing: 0, closed: 0 }],
    listChanges: none,
    listJobs: async () => ({ items: [JOB], next: null }),
    job: async (id) => (id === JOB_ID ? JOB : null),
    jobSpec: async () => null,
    listTiles: none,
    listShards: none,
    listReports: none,
    scannerTotals: async () => [],
    heldTiles: async () => [],
    why: async () => null,
    vantages: async (services) => services.map(() => []),
    history: async () => null,
    openAt: none,
    diff: none,
    labels: async ({ services }) => services.map(() => ({ neverCovered: false, unmonitored: false, stale: false, coveredAtMs: null })),
    rulesVersion: async () => null,
    stateHash: async () => ({ hash: "0".repeat(64), services: 0, frontier: {}, settled: true }),
    scanners: async () => [],
    progress: async () => [],
    frontier: async () => ({}),
    listDenies: none,
    deny: async () => null,
    denied: async () => ({ version: "", pairs: [] }),
    durability: async () => "strong",
    holes: async () => [],
    submitUpload: async () => undefined,
    putImport: async () => undefined,
    importOf: async () => null,
    legacyJobs: async () => [],
    legacyJob: async () => null,
    traceroute: async () => null,
    submitCommand: async () => "command",
    awaitCommand: async () => ({ ok: true, result: { job: JOB_ID } }),
  };
}
