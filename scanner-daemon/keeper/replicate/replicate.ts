import type { Bus, Subscription } from "../../../src/bus/bus.ts";
import { publicKeyOf, signText } from "../../../src/bus/keys.node.ts";
import type { Receipt } from "../../../src/core/messages/bus.ts";
import type { PeerState } from "../../../src/ledger/peer-types.ts";
import type { Ledger } from "../../../src/ledger/types.ts";
import type { RegistrySnapshot } from "../../../src/registry/types.ts";
import type { Log } from "../../log.ts";
import { createDoorbell } from "../doorbell.ts";
import { createClocks } from "./clocks.ts";
import { createIntake } from "./intake.ts";
import { createKeptVoice } from "./kept.ts";
import { createOwnLog } from "./own-log.ts";
import type { PeerDeps } from "./peer.ts";
import { createPeers } from "./peers.ts";
import { hasPeers, keeperKeys } from "./places.ts";
import { runPublisher } from "./publish.ts";
import { createRegister } from "./register.ts";
import { serveRepair } from "./serve.ts";
import type { ConnectPeer, ReplicateSettings } from "./settings.ts";

/** What a keeper has to do with other regions. Its loops are its own: no peer delays what the region itself has to do. */
export type Replicate = {
  /**
   * Starts with a lease that was just taken: answers peers, and asks all of them what they know of our log before anything is accepted,
   * for a bounded time. Throws what the ledger throws. `log` is the one that this ledger continues.
   */
  begin(log: string): Promise<void>;
  /** Ends everything that `begin` started. Repeatable; never throws. */
  end(): Promise<void>;
  /** What was committed here just now: it is published at once. */
  committed(receipts: readonly Receipt[]): void;
  /** Why nothing may be accepted at the moment; null when it may. */
  refusal(): string | null;
  /** Whether records that this ledger lacks may be on their way: some time after a beginning, a new log, or a peer that held more. */
  isFilling(): boolean;
  /** Where we stand with each peer, by name. */
  peers(): PeerState[];
  /** What does not work here, by the name of the step; peers that are away are no problem of this keeper. */
  problems(): Record<string, string>;
};

export type ReplicateDeps = {
  readonly region: string;
  readonly seed: string;
  readonly bus: Bus;
  readonly ledger: Ledger;
  readonly connect: ConnectPeer;
  readonly settings: ReplicateSettings;
  readonly snapshot: () => RegistrySnapshot | null;
  /** Throws `conflict` without the lease. */
  readonly epoch: () => number;
  /** Called with what went wrong in a loop: the lease may be lost. */
  readonly onError: (error: unknown) => void;
  /** Something came that the keeper may have to act on. */
  readonly onNews: () => void;
  readonly mintLogId: () => string;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly log: Log;
};

/** How often the registry's snapshot is compared with the peers that we have. */
const LOOK_EVERY_MS = 500;
/** Kinds that come in great numbers and ask nothing of a keeper. */
const QUIET_KINDS: ReadonlySet<string> = new Set(["part", "upload"]);
/** What a scanner says about a job that nobody knows is asked for again so long; the ledger may have been lost, and peers be out of reach. */
const FILLING_MS = 10 * 60_000;

/** Makes the part; nothing happens before `begin`. */
export function createReplicate(deps: ReplicateDeps): Replicate {
  const parts = assemble(deps);
  const { clocks, ownLog, peers, bell } = parts;
  let publishing: string | null = null;
  let term: Term | null = null;
  const end = async (): Promise<void> => {
    const ending = term;
    term = null;
    ending?.serving.stop();
    ending?.end.abort();
    await peers.stop();
    await Promise.allSettled(ending?.loops ?? []);
  };
  const begin = async (own: string): Promise<void> => {
    parts.touch();
    await parts.intake.load();
    ownLog.begin(own);
    // Peers that stand up at this moment ask us as we ask them.
    const begun: Term = { end: new AbortController(), serving: serveRepair({ ...deps, register: parts.register }), loops: [] };
    term = begun;
    peers.start(await deps.ledger.peers());
    const silent = await peers.heard(deps.settings.standUpWaitMs);
    await ownLog.settle(deps.snapshot() === null ? null : silent);
    begun.loops.push(...startLoops(deps, parts, begun.end.signal, (problem) => void (publishing = problem)));
  };
  return {
    begin: async (own) => {
      await end();
      try {
        await begin(own);
      } catch (error) {
        await end();
        throw error;
      }
    },
    end,
    committed: (receipts) => {
      ownLog.committed(receipts);
      bell.ring();
    },
    refusal: clocks.problem,
    isFilling: parts.isFilling,
    peers: peers.states,
    problems: () => {
      const clock = clocks.problem();
      return { ...(publishing === null ? {} : { publish: publishing }), ...(clock === null ? {} : { clock }) };
    },
  };
}

type Term = { readonly end: AbortController; readonly serving: Subscription; readonly loops: Promise<unknown>[] };

function assemble(deps: ReplicateDeps) {
  const ownKey = publicKeyOf(deps.seed);
  const keys = (name: string): readonly string[] => {
    const listed = keeperKeys(deps.snapshot(), name);
    return name === deps.region ? [...listed, ownKey] : listed;
  };
  const clocks = createClocks(deps.monotonicMs);
  const register = createRegister(deps);
  const bell = createDoorbell();
  let filledAtMs = -Infinity;
  const touch = (): void => void (filledAtMs = deps.monotonicMs());
  const onApplied = (kinds: ReadonlySet<string>): void => {
    if ([...kinds].some((kind) => !QUIET_KINDS.has(kind))) deps.onNews();
  };
  const intake = createIntake({ ...deps, keys, onApplied });
  const onRetired = async (): Promise<void> => {
    touch();
    await intake.load();
    bell.ring();
    deps.onNews();
  };
  const ownLog = createOwnLog({ ...deps, keys, onRetired, sign: (chain) => signText(deps.seed, chain) });
  const isFilling = (): boolean => deps.monotonicMs() - filledAtMs < FILLING_MS;
  const kept = createKeptVoice({
    ...deps,
    log: ownLog.id,
    alone: () => (deps.snapshot() === null ? null : !hasPeers(deps.snapshot(), deps.region)),
    certain: () => peers.level() || !isFilling(),
  });
  const peerDeps: PeerDeps = { ...deps, intake, ownLog, register, clocks, filling: new Set(), onBehind: touch, onStands: kept.heard };
  const peers = createPeers(peerDeps, deps.snapshot);
  return { clocks, register, bell, intake, ownLog, peers, kept, touch, isFilling };
}

function startLoops(
  deps: ReplicateDeps,
  { bell, kept, ownLog, peers, register }: ReturnType<typeof assemble>,
  signal: AbortSignal,
  onProblem: (problem: string | null) => void,
): Promise<void>[] {
  const isWanted = (): boolean => hasPeers(deps.snapshot(), deps.region);
  return [
    runPublisher({ ...deps, log: ownLog.id, newest: ownLog.newest, isWanted, bell, say: deps.log, onProblem }, signal),
    every(LOOK_EVERY_MS, signal, peers.match),
    every(deps.settings.keptEveryMs, signal, kept.say),
    every(deps.settings.restEveryMs, signal, async () => {
      if (isWanted()) await register.look();
    }),
  ];
}

/** Does something now and then until `signal` aborts; what fails is tried again the next time. */
async function every(pauseMs: number, signal: AbortSignal, step: () => Promise<void>): Promise<void> {
  const pause = createDoorbell();
  while (!signal.aborted) {
    await step().catch(() => undefined);
    await pause.wait(pauseMs, signal);
  }
}
