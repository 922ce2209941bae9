import { publicKeyOf, signText } from "../../src/bus/keys.node.ts";
import { ALL_SHARDS, assignmentSubject, cancelSubject, parseAssignmentSubject } from "../../src/bus/names.ts";
import type { Cancel, SignedAssignment } from "../../src/core/messages/bus.ts";
import type { AssignmentKey } from "../../src/core/messages/job.ts";
import { assignmentSignedText } from "../../src/core/statement.ts";
import type { OpenAssignment } from "../../src/ledger/types.ts";
import type { KeeperDeps } from "./deps.ts";
import type { Forbidden } from "./forbidden.ts";
import type { Live } from "./live.ts";
import type { Snapshots } from "./snapshot.ts";
import { assignmentOf, type Specs } from "./specs.ts";
import { createStuckWatch } from "./stuck.ts";

/** Keeps the work queue filled with what is due, and free of what nobody wants any more. */
export type Dispatch = {
  /** One round: looks at the queue, tops it up, clears it, repeats cancels. Repeatable at any time. */
  run(): Promise<void>;
  /** The server may have lost its streams: set them up again in the next round. */
  forget(): void;
};

/** Assignments of one scanner in the queue, the one that it runs included. */
const QUEUED_PER_SCANNER_MAX = 2;
/** Candidates of each job and scanner: the queued ones, ones whose report is on its way, and some to follow. */
const CANDIDATES_PER_JOB = 8;
/** Pairs of scanner and job whose last turn is remembered. */
const SERVED_KEPT_MAX = 10_000;
const SETUP_EVERY_MS = 30_000;
/** An older heartbeat says nothing about what its scanner does now. */
const HEARTBEAT_FRESH_MS = 10_000;

type Services = {
  readonly specs: Specs;
  readonly live: Live;
  readonly snapshots: Snapshots;
  readonly forbidden: Pick<Forbidden, "causeOf">;
};

/** Makes the dispatcher of one keeper, for the scanners of its own region. */
export function createDispatch(deps: KeeperDeps, { specs, live, snapshots, forbidden }: Services): Dispatch {
  const setUp = createSetup(deps, snapshots);
  const turns = createTurns();
  const isStuck = createStuckWatch();
  const keeper = publicKeyOf(deps.seed);
  /** Whether it lies in the queue now: a repeat within the queue's window of duplicates does not. */
  const send = async (open: OpenAssignment): Promise<boolean> => {
    const job = await specs.get(open.job);
    if (job === null) return false;
    const assignment = assignmentOf(job, keyOf(open), open.scanner);
    const signed: SignedAssignment = { assignment, keeper, signature: signText(deps.seed, assignmentSignedText(assignment)) };
    const subject = assignmentSubject(open.scanner, keyOf(open));
    const { duplicate } = await deps.bus.enqueue(deps.region, {
      subject,
      data: new TextEncoder().encode(JSON.stringify(signed)),
      id: subject,
    });
    return !duplicate;
  };
  return {
    forget: setUp.forget,
    run: async () => {
      await setUp.run();
      const queued = (await deps.bus.queued(deps.region, ALL_SHARDS)).flatMap(readSubject);
      const due = await deps.ledger.openAssignments({ region: deps.region, nowMs: deps.nowMs(), perScanner: CANDIDATES_PER_JOB });
      // The job's home abandons such tiles; while it is away nobody may begin them.
      const open: OpenAssignment[] = [];
      for (const one of due) if ((await forbidden.causeOf(one.job, one.tile)) === null) open.push(one);
      const stuck = isStuck({ queued: queued.map(lying), heartbeats: live.heartbeats(), nowMs: deps.nowMs() });
      for (const subject of stuck) {
        deps.log.warning("a message of the work queue was handed to nobody; it is put there again", { subject });
        await deps.bus.purge(deps.region, subject);
      }
      const kept = await clear(deps, { queued: queued.filter((one) => !stuck.has(lying(one).subject)), open, forbidden });
      for (const [scanner, candidates] of Map.groupBy(open, (one) => one.scanner)) {
        if (!setUp.knows(scanner)) continue;
        const own = kept.filter((one) => one.scanner === scanner).map((one) => one.key);
        await turns({ scanner, candidates, queued: own, send });
      }
      await repeatCancels(deps, live, forbidden);
    },
  };
}

type Queued = { readonly scanner: string; readonly key: AssignmentKey };

function lying({ scanner, key }: Queued): { scanner: string; subject: string } {
  return { scanner, subject: assignmentSubject(scanner, key) };
}

/** What is no assignment of ours lies in the queue for nobody, and must not keep the others from their work. */
function readSubject(subject: string): Queued[] {
  try {
    return [parseAssignmentSubject(subject)];
  } catch {
    return [];
  }
}

type Turn = {
  readonly scanner: string;
  readonly candidates: readonly OpenAssignment[];
  readonly queued: readonly AssignmentKey[];
  /** Whether it was added; one that was not takes no place. */
  readonly send: (next: OpenAssignment) => Promise<boolean>;
};

/** Adds assignments for one scanner: fair between jobs, never above the bound, never one that lies there. */
export function createTurns(): (turn: Turn) => Promise<void> {
  const servedAt = new Map<string, number>();
  let clock = 0;
  return async ({ scanner, candidates, queued, send }) => {
    const lying = new Set(queued.map(textOfKey));
    const load = new Map<string, number>();
    for (const { job } of queued) load.set(job, (load.get(job) ?? 0) + 1);
    const waiting = candidates.filter((one) => !lying.has(textOfKey(keyOf(one))));
    // The job with the least in the queue comes first, and of those the one served longest ago.
    const rank = ({ job }: OpenAssignment): number => (load.get(job) ?? 0) * 1e12 + (servedAt.get(`${scanner} ${job}`) ?? 0);
    let count = queued.length;
    while (count < QUEUED_PER_SCANNER_MAX && waiting.length > 0) {
      const next = waiting.reduce((best, one) => (rank(one) < rank(best) ? one : best));
      waiting.splice(waiting.indexOf(next), 1);
      if (!(await send(next))) continue;
      count += 1;
      load.set(next.job, (load.get(next.job) ?? 0) + 1);
      servedAt.delete(`${scanner} ${next.job}`);
      servedAt.set(`${scanner} ${next.job}`, ++clock);
      const oldest = servedAt.keys().next();
      if (servedAt.size > SERVED_KEPT_MAX && oldest.done !== true) servedAt.delete(oldest.value);
    }
  };
}

/** Removes from the queue, by exact subject, what is no longer wanted; returns what stays. */
async function clear(
  deps: KeeperDeps,
  {
    queued,
    open,
    forbidden,
  }: { readonly queued: readonly Queued[]; readonly open: readonly OpenAssignment[] } & Pick<Services, "forbidden">,
): Promise<Queued[]> {
  const due = new Set(open.map((one) => `${one.scanner} ${textOfKey(keyOf(one))}`));
  const kept: Queued[] = [];
  for (const one of queued) {
    const isWanted = due.has(`${one.scanner} ${textOfKey(one.key)}`) || (await deps.ledger.isWanted(one.key));
    if (isWanted && (await forbidden.causeOf(one.key.job, one.key.tile)) === null) kept.push(one);
    else await deps.bus.purge(deps.region, assignmentSubject(one.scanner, one.key));
  }
  return kept;
}

/** Tells scanners that still work for what has ended to stop; the message is lossy, so it is repeated while they do. */
async function repeatCancels(deps: KeeperDeps, live: Live, forbidden: Services["forbidden"]): Promise<void> {
  const since = deps.nowMs() - HEARTBEAT_FRESH_MS;
  const busy = [...live.heartbeats().values()].filter((scanner) => scanner.running !== null && scanner.receivedAtMs > since);
  if (busy.length === 0) return;
  const running = new Set((await deps.ledger.runningJobs()).map((job) => job.id));
  for (const { scanner, running: key } of busy) {
    if (key === null) continue;
    const cancel = running.has(key.job) ? await cancelOfTile(deps, key, forbidden) : { job: key.job, reason: "the job has ended" };
    // What this ledger knows nothing of (yet) may be quite right.
    if (cancel === null || (await deps.ledger.jobSpec(key.job)) === null) continue;
    deps.bus.publish(cancelSubject(scanner), new TextEncoder().encode(JSON.stringify(cancel)));
  }
}

async function cancelOfTile(deps: KeeperDeps, { job, tile }: AssignmentKey, forbidden: Services["forbidden"]): Promise<Cancel | null> {
  const cause = await forbidden.causeOf(job, tile);
  if (cause !== null) return { job, tile, reason: `an address of the tile is ${cause}` };
  return (await deps.ledger.tileState(job, tile)) === "abandoned" ? { job, tile, reason: "the tile was abandoned" } : null;
}

type Setup = { run(): Promise<void>; forget(): void; knows(scanner: string): boolean };

/** Stream and durables: made at the start, when a scanner is new, after trouble, and now and then. */
function createSetup(deps: KeeperDeps, snapshots: Snapshots): Setup {
  const ready = new Set<string>();
  let atMs = -Infinity;
  return {
    knows: (scanner) => ready.has(scanner),
    forget: () => void (atMs = -Infinity),
    run: async () => {
      const scanners = snapshots.current()?.scanners.filter((scanner) => scanner.region === deps.region && scanner.enabled) ?? [];
      const isOld = deps.monotonicMs() - atMs >= SETUP_EVERY_MS;
      if (!isOld && scanners.length === ready.size && scanners.every((scanner) => ready.has(scanner.name))) return;
      await deps.bus.ensureWorkQueue(deps.region);
      for (const name of ready) if (!scanners.some((scanner) => scanner.name === name)) await deps.bus.removeClaimer(deps.region, name);
      ready.clear();
      for (const { name } of scanners) {
        await deps.bus.ensureClaimer(deps.region, name);
        ready.add(name);
      }
      atMs = deps.monotonicMs();
    },
  };
}

function keyOf({ job, tile, shard, attempt }: OpenAssignment): AssignmentKey {
  return { job, tile, shard, attempt };
}

function textOfKey({ job, tile, shard, attempt }: AssignmentKey): string {
  return `${job} ${tile} ${shard} ${attempt}`;
}
