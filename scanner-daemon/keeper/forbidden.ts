import { type DeniedPairs, isDenied, mergeDenied } from "../../src/core/denied.ts";
import { parseAddress } from "../../src/core/address.ts";
import { normaliseRanges, parseRange, subtractRanges } from "../../src/core/range.ts";
import { mergeRuns, type TileRun } from "../../src/core/tile-stride.ts";
import type { Denied } from "../../src/ledger/denies.ts";
import type { Ledger } from "../../src/ledger/types.ts";
import type { RegistrySnapshot, SnapshotPlan } from "../../src/registry/types.ts";
import type { KeeperDeps } from "./deps.ts";
import type { Snapshots } from "./snapshot.ts";
import type { JobFacts, Specs } from "./specs.ts";

/** What of a job must not be probed any more. */
export type ForbiddenTiles = { readonly denied: readonly TileRun[]; readonly excluded: readonly TileRun[] };

/** Knows which tiles of jobs that were planned before hold what must not be probed by now: denied, excluded, or taken out of their plan's ranges. */
export type Forbidden = {
  /** Asks the ledger what is denied. */
  refresh(): Promise<void>;
  /** Nothing before the first `refresh`. */
  denied(): Denied;
  tilesOf(job: string): Promise<ForbiddenTiles>;
  /** Why this tile must not be given out; null when it may. */
  causeOf(job: string, tile: number): Promise<"denied" | "excluded" | null>;
};

const NOTHING: Denied = { version: "", pairs: [] };
const JOBS_KEPT_MAX = 1_000;

/** Works out each job once for each set of denies and version of the registry. */
export function createForbidden(
  deps: Pick<KeeperDeps, "nowMs"> & { readonly ledger: Pick<Ledger, "denied"> },
  { specs, snapshots }: { readonly specs: Specs; readonly snapshots: Snapshots },
): Forbidden {
  let denied = NOTHING;
  const kept = new Map<string, { readonly key: string; readonly tiles: ForbiddenTiles }>();
  let rules = "";
  let rulesOf: RegistrySnapshot | null = null;
  const tilesOf = async (job: string): Promise<ForbiddenTiles> => {
    const snapshot = snapshots.current();
    // Exclusions end by the clock within one version.
    if (snapshot !== rulesOf) rules = snapshot === null ? "" : `${snapshot.version} ${snapshot.exclusions.map(({ id }) => id).join()}`;
    rulesOf = snapshot;
    const key = `${denied.version} ${rules}`;
    const known = kept.get(job);
    if (known?.key === key) return known.tiles;
    const facts = await specs.get(job);
    const tiles = facts === null ? { denied: [], excluded: [] } : forbiddenTiles(facts, denied.pairs, snapshot);
    if (kept.size >= JOBS_KEPT_MAX) kept.clear();
    if (facts !== null) kept.set(job, { key, tiles });
    return tiles;
  };
  return {
    refresh: async () => {
      denied = await deps.ledger.denied(deps.nowMs());
    },
    denied: () => denied,
    tilesOf,
    causeOf: async (job, tile) => {
      const tiles = await tilesOf(job);
      const holds = (runs: readonly TileRun[]): boolean => runs.some(({ first, last }) => first <= tile && tile <= last);
      return holds(tiles.denied) ? "denied" : holds(tiles.excluded) ? "excluded" : null;
    },
  };
}

function forbiddenTiles(job: JobFacts, denied: readonly DeniedPairs[], snapshot: RegistrySnapshot | null): ForbiddenTiles {
  const plan = snapshot?.plans.find(({ id }) => id === job.spec.plan.id);
  return { denied: tilesWith(job, denied), excluded: tilesWith(job, excludedBy(job, snapshot, plan)) };
}

/** A canary is asked before and after every assignment: when it must not be, none of the tiles may run. */
function tilesWith({ spec, tiling }: JobFacts, forbidden: readonly DeniedPairs[]): TileRun[] {
  const canary = spec.canaries.find(({ address, port }) => isDenied(forbidden, { address: parseAddress(address), protocol: "tcp", port }));
  if (canary !== undefined) return [{ first: 0, last: tiling.count - 1 }];
  return mergeRuns(forbidden.flatMap((pairs) => tiling.tilesWith(pairs)));
}

/** Exclusions, and what the plan has given up of its own ranges. A plan that is gone has given up nothing. */
function excludedBy({ spec }: JobFacts, snapshot: RegistrySnapshot | null, plan: SnapshotPlan | undefined): DeniedPairs[] {
  if (snapshot === null) return [];
  const exclusions = mergeDenied(snapshot.exclusions);
  if (plan === undefined) return exclusions;
  const probed = normaliseRanges(spec.blocks.flatMap(({ ranges }) => ranges.map(parseRange)));
  const gone = subtractRanges(probed, subtractRanges(plan.includeRanges, plan.excludeRanges));
  return [...exclusions, ...(gone.length === 0 ? [] : [{ ranges: gone, ports: null }])];
}
