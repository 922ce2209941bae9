import type { AssignmentKey } from "../../src/core/messages/job.ts";
import { ACCEPT_ITEMS_MAX, type AcceptItem } from "../../src/ledger/types.ts";
import type { Reassignable } from "../../src/ledger/keeper-types.ts";
import type { KeeperDeps } from "./deps.ts";
import { tellHeard } from "./heard.ts";
import { SCANNER_LOST_MS, type Live } from "./live.ts";
import type { Snapshots } from "./snapshot.ts";
import type { Specs } from "./specs.ts";
import type { Writer } from "./writer.ts";

/** Notices scanners that fell silent or are back, tells other regions what they can run, and gives their shards to other members, a few at a time. */
export type Lost = {
  /** One round. Repeatable at any time. */
  run(): Promise<void>;
};

/** Shards of others that one scanner has at a time: when their own comes back, the rest is still its own. */
const GIVEN_PER_SCANNER = 2;
const REASSIGNABLE_LOOKED_AT = 256;
const ROUND_EVERY_MS = 1_000;
/** Who did not look for so long (asleep, or busy) has not listened either. */
const ASLEEP_MS = 5_000;

type Services = { readonly live: Live; readonly snapshots: Snapshots; readonly specs: Specs; readonly writer: Writer };
type Given = { readonly key: AssignmentKey; readonly to: string };

/** Makes the watch of one keeper over the scanners of its own region, and over the shards of its own jobs. */
export function createLost(deps: KeeperDeps, services: Services): Lost {
  const { live } = services;
  /** Those of whom a record says so already, in this silence. */
  const told = new Set<string>();
  const given: Given[] = [];
  let roundAtMs = deps.monotonicMs();
  return {
    run: async () => {
      const sinceMs = deps.monotonicMs() - roundAtMs;
      if (sinceMs < ROUND_EVERY_MS) return;
      roundAtMs = deps.monotonicMs();
      if (sinceMs >= ASLEEP_MS || !deps.bus.connected()) live.wasDeaf();
      await tellLost(deps, services, told);
      await tellHeard(deps, services);
      await reassign(deps, services, given);
    },
  };
}

/** One record for each silence of a scanner that work waits for. */
async function tellLost(deps: KeeperDeps, { live, snapshots, writer }: Services, told: Set<string>): Promise<void> {
  const registered = snapshots.current()?.scanners;
  if (registered === undefined) return;
  const enabled = new Set(registered.filter((one) => one.enabled && one.region === deps.region).map((one) => one.name));
  const isGone = (name: string): boolean => !enabled.has(name) || live.silentMs(name) >= SCANNER_LOST_MS;
  for (const name of told) if (!isGone(name)) told.delete(name);
  const open = await deps.ledger.openAssignments({ region: deps.region, nowMs: deps.nowMs(), perScanner: 1 });
  const fresh = [...new Set(open.map((one) => one.scanner))].filter((name) => isGone(name) && !told.has(name)).slice(0, ACCEPT_ITEMS_MAX);
  if (fresh.length === 0) return;
  // What the ledger keeps stays the same over a restart of the keeper, so a repeat is the same record.
  const heard = new Map((await deps.ledger.scanners()).map((one) => [one.scanner, one.receivedAtMs]));
  await writer.write(
    fresh.map((scanner) =>
      writer.own({ kind: "scanner-lost", content: { version: 1, scanner, region: deps.region, lastHeardMs: heard.get(scanner) ?? 0 } }),
    ),
  );
  for (const scanner of fresh) {
    told.add(scanner);
    deps.log.warning(
      `scanner "${scanner}" is lost: nothing was heard of it for ${SCANNER_LOST_MS / 1_000} s; other members run its shards`,
    );
  }
}

/** A further attempt by another live member of the tile, for shards of jobs that this region is home of. */
async function reassign(deps: KeeperDeps, services: Services, given: Given[]): Promise<void> {
  const stranded = await deps.ledger.reassignable({ home: deps.region, limit: REASSIGNABLE_LOOKED_AT });
  if (stranded.length === 0) return;
  const open: Given[] = [];
  for (const one of given) if (await deps.ledger.isWanted(one.key)) open.push(one);
  given.splice(0, given.length, ...open);
  const items: AcceptItem[] = [];
  for (const shard of stranded) {
    if (items.length >= ACCEPT_ITEMS_MAX) break;
    const to = await receiver(deps, services, shard, given);
    if (to === null) continue;
    const { job, tile, shard: number, attempt, from } = shard;
    given.push({ key: { job, tile, shard: number, attempt }, to });
    items.push(services.writer.own({ kind: "reassignment", content: { version: 1, job, tile, shard: number, attempt, from, to } }));
    deps.log.info(`shard ${number} of tile ${tile} goes from scanner "${from}" to "${to}"`, { job, attempt });
  }
  if (items.length > 0) await services.writer.write(items);
}

/** The candidate that has the least of others' shards; null while all have enough, or none can run it. */
async function receiver(
  deps: KeeperDeps,
  { live, specs, snapshots }: Services,
  shard: Reassignable,
  given: readonly Given[],
): Promise<string | null> {
  const job = await specs.get(shard.job);
  if (job === null) return null;
  const { engine } = job.tile(shard.tile).tile;
  const enabled = new Set(snapshots.current()?.scanners.flatMap((one) => (one.enabled ? [one.name] : [])));
  // Of other regions' scanners their own keeper says when they are lost, and what they can run.
  const elsewhere = new Map((await deps.ledger.scannerAbilities()).map((one) => [one.scanner, one.engines]));
  const able = shard.candidates.filter(({ scanner, region }) => {
    if (!enabled.has(scanner)) return false;
    if (region !== deps.region) return elsewhere.get(scanner)?.includes(engine) ?? true;
    return live.isLive(scanner) && live.engines(scanner).includes(engine);
  });
  const load = (scanner: string): number => given.filter((one) => one.to === scanner).length;
  const [least] = able.map(({ scanner }) => scanner).toSorted((a, b) => load(a) - load(b));
  return least !== undefined && load(least) < GIVEN_PER_SCANNER ? least : null;
}
