import type { LedgerReader } from "../ledger/types.ts";
import type { RegistryState } from "../registry/types.ts";
import type { ScannerSeen } from "./vantage.ts";

/** The queries of the ledger that pages ask. */
export type WebLedger = Pick<
  LedgerReader,
  | "search"
  | "searchCounts"
  | "facets"
  | "labels"
  | "vantages"
  | "peers"
  | "host"
  | "history"
  | "why"
  | "counts"
  | "portCounts"
  | "listChanges"
  | "listJobs"
  | "job"
  | "jobSpec"
  | "listShards"
  | "heldTiles"
  | "scannerTotals"
  | "progress"
  | "scanners"
  | "holes"
>;

/** What pages ask of the registry. */
export type WebRegistry = {
  state(): Promise<RegistryState>;
  /** See `Registry.seen`: whoever wrote reads what they wrote. */
  seen?(version: number): Promise<void>;
};

/** Plans as the registry has them; none when it does not answer: the findings are worth showing without their labels. */
export async function readPlans(registry: WebRegistry): Promise<RegistryState["plans"]> {
  return registry.state().then(
    (state) => state.plans,
    () => [],
  );
}

/** What is set up and who is awake: decides which empty state is the true one. */
export type Surroundings = {
  readonly plans: readonly string[];
  /** Enabled scanners of all regions. */
  readonly scanners: number;
  /** Scanners heard within the last 30 s. */
  readonly awake: number;
  /** What keeps a scanner that is awake from all or some of its work, each with the remedy. */
  readonly notReady: readonly { readonly scanner: string; readonly reason: string; readonly canConnect: boolean }[];
  /** Logs with a hole: nothing can be closed until it is filled. */
  readonly holes: number;
};

const AWAKE_MS = 30_000;

/** A keeper asks a scanner nothing of which it has heard nothing for so long. */
const SILENT_AFTER_MS = 15_000;

/** Registered scanners and whether they are heard here; none when the registry does not answer. */
export async function readScannersSeen(deps: { ledger: WebLedger; registry: WebRegistry; nowMs: number }): Promise<ScannerSeen[]> {
  const [state, beats] = await Promise.all([deps.registry.state().catch(() => null), deps.ledger.scanners()]);
  const heard = new Map(beats.map((beat) => [beat.scanner, beat]));
  return (state?.scanners ?? []).map(({ name, region, enabled }) => {
    const beat = heard.get(name);
    const live = beat === undefined ? null : { silent: deps.nowMs - beat.receivedAtMs > SILENT_AFTER_MS, engines: beat.engines };
    return { name, region, enabled, live };
  });
}

/** Asks ledger and registry at once. Null when the registry does not answer: the findings are worth showing without it. */
export async function readSurroundings(deps: { ledger: WebLedger; registry: WebRegistry; nowMs: number }): Promise<Surroundings | null> {
  const [state, live, holes] = await Promise.all([deps.registry.state().catch(() => null), deps.ledger.scanners(), deps.ledger.holes()]);
  if (state === null) return null;
  const awake = live.filter((scanner) => deps.nowMs - scanner.receivedAtMs < AWAKE_MS);
  return {
    plans: state.plans.map((plan) => plan.name),
    scanners: state.scanners.filter((scanner) => scanner.enabled).length,
    awake: awake.length,
    notReady: awake.flatMap(({ scanner, notReady, engines }) =>
      notReady === null ? [] : [{ scanner, reason: notReady, canConnect: engines.includes("connect") }],
    ),
    holes: holes.length,
  };
}
