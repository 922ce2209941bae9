import type { PeerLink } from "../../../src/bus/peer.ts";
import { peerClient } from "../../../src/bus/names.ts";
import { PortolanError } from "../../../src/core/errors.ts";
import type { StandsReply } from "../../../src/core/messages/peer.ts";
import type { Ledger } from "../../../src/ledger/types.ts";
import type { PeerState } from "../../../src/ledger/peer-types.ts";
import { errorText, type Log } from "../../log.ts";
import { createDoorbell } from "../doorbell.ts";
import { askerOn, type Asker } from "./ask.ts";
import type { Clocks } from "./clocks.ts";
import { createFiller } from "./fill.ts";
import { followStream } from "./follow.ts";
import type { Intake } from "./intake.ts";
import type { OwnLog } from "./own-log.ts";
import type { PeerPlace } from "./places.ts";
import type { Register } from "./register.ts";
import { backoffMs, type ConnectPeer, type ReplicateSettings } from "./settings.ts";

/** What all peers of a keeper share. */
export type PeerDeps = {
  readonly region: string;
  readonly seed: string;
  readonly connect: ConnectPeer;
  readonly ledger: Pick<Ledger, "setPeer" | "resetCheckpoint">;
  readonly intake: Intake;
  readonly ownLog: OwnLog;
  readonly register: Register;
  readonly clocks: Clocks;
  readonly epoch: () => number;
  readonly nowMs: () => number;
  readonly log: Log;
  readonly settings: ReplicateSettings;
  /** Logs that some peer is being asked for at the moment. */
  readonly filling: Set<string>;
  readonly onError: (error: unknown) => void;
  /** The peer holds what we do not hold yet. */
  readonly onBehind: () => void;
  /** A peer said what it holds, and its clock and what it holds of our log were looked at. */
  readonly onStands: (reply: StandsReply) => void;
};

/** One region from which we pull. */
export type Peer = {
  readonly place: PeerPlace;
  state(): PeerState;
  /** Resolves when it has told what it holds of our log, for the first time. */
  readonly heard: Promise<void>;
  hasAnswered(): boolean;
  /** Whether nothing was missing when it was last compared with us, since `run` began. */
  isLevel(): boolean;
  /** Pulls and asks until `signal` aborts; whatever happens, it tries again. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
};

/** Everything that one peer's parts know of it. */
export type PeerRun = {
  readonly place: PeerPlace;
  state: PeerState;
  /** What is wrong, by its cause. */
  readonly alarms: Map<string, string>;
  /** Logs of which a message was missing in the stream. */
  readonly holes: Set<string>;
  /** Whether we held all that it held when it was last asked. */
  isLevel: boolean;
  readonly bell: ReturnType<typeof createDoorbell>;
};

/** Makes a peer that goes on from where `saved` ended. */
export function createPeer(deps: PeerDeps, place: PeerPlace, saved: PeerState | undefined): Peer {
  const { region } = place;
  const run: PeerRun = {
    place,
    state: { region, checkpoint: 0, contactMs: 0, behind: 0, equalAtMs: null, ...saved, alarm: null },
    alarms: new Map(),
    holes: new Set(),
    isLevel: false,
    bell: createDoorbell(),
  };
  let answer = (): void => undefined;
  const heard = new Promise<void>((resolve) => (answer = resolve));
  let answered = false;
  let failures = 0;
  let problem = "";
  const onHeard = (): void => {
    answered = true;
    answer();
    if (problem !== "") deps.log.info(`region "${region}" answers again`);
    problem = "";
    failures = 0;
  };
  const attempt = async (signal: AbortSignal): Promise<void> => {
    const link = await deps.connect({ region, url: place.url, client: peerClient(deps.region), seed: deps.seed });
    try {
      await session(deps, run, link, signal, onHeard);
    } finally {
      await link.close();
    }
  };
  return {
    place,
    state: () => run.state,
    heard,
    hasAnswered: () => answered,
    isLevel: () => run.isLevel,
    run: async (signal) => {
      const pause = createDoorbell();
      while (!signal.aborted) {
        try {
          await attempt(signal);
        } catch (error) {
          deps.onError(error);
          if (problem === "" && !signal.aborted) deps.log.warning(`nothing comes from region "${region}": ${errorText(error)}`);
          problem = errorText(error);
        }
        await pause.wait(backoffMs(deps.settings, failures), signal);
        failures += 1;
      }
      deps.clocks.forget(region);
    },
  };
}

/** One connection, from the first question to its loss. Throws when it is lost, or the ledger does not take what came. */
async function session(deps: PeerDeps, run: PeerRun, link: PeerLink, signal: AbortSignal, onHeard: () => void): Promise<void> {
  const asker = askerOn(link, deps.settings.askTimeoutMs);
  const filler = createFiller(deps, run);
  // Asked before the stands: what the stream holds up to here is part of them.
  const stream = await link.streamState().catch(() => null);
  const reply = await hear(deps, run, asker);
  onHeard();
  if (stream !== null && stream.lastSeq < run.state.checkpoint) await startOver(deps, run, stream.lastSeq);
  if (behindOf(deps, reply) > 0) deps.onBehind();
  const { checkpoint } = run.state;
  const goesOn = stream !== null && checkpoint > 0 && stream.firstSeq <= checkpoint + 1;
  if (!goesOn) {
    await filler.fill(asker, reply, signal, "everything");
    await conclude(deps, run, reply);
    if (stream === null) throw new PortolanError("unavailable", `the log stream of region "${link.region}" cannot be read`);
    if (stream.lastSeq > checkpoint) await deps.intake.take([], { region: link.region, seq: stream.lastSeq });
    run.state = { ...run.state, checkpoint: stream.lastSeq };
  } else run.bell.ring();
  const end = new AbortController();
  const both = AbortSignal.any([signal, end.signal]);
  const parts = [
    followStream(deps, run, link, both),
    askAgain(deps, run, { link, asker, fill: (news) => filler.fill(asker, news, both, "what the stream lacks") }, both),
  ];
  try {
    await Promise.race(parts);
  } finally {
    end.abort();
    await Promise.allSettled(parts);
  }
}

type Asking = { readonly link: PeerLink; readonly asker: Asker; readonly fill: (reply: StandsReply) => Promise<void> };

/** Asks every now and then, and at once when a hole was seen. */
async function askAgain(deps: PeerDeps, run: PeerRun, { link, asker, fill }: Asking, signal: AbortSignal): Promise<void> {
  const { askEveryMs } = deps.settings;
  for (;;) {
    await run.bell.wait(askEveryMs * (0.75 + Math.random() / 2), signal);
    if (signal.aborted) return;
    // A ledger that went back under us holds less than we remember, and nobody else would notice.
    await deps.intake.load();
    const { lastSeq } = await link.streamState();
    if (lastSeq < run.state.checkpoint) throw new PortolanError("unavailable", `the log stream of region "${link.region}" went back`);
    const reply = await hear(deps, run, asker);
    await fill(reply);
    await conclude(deps, run, reply);
  }
}

/** Asks where the peer stands, and looks at its clock and at our own log before anything of it is applied. */
async function hear(deps: PeerDeps, run: PeerRun, asker: Asker): Promise<StandsReply> {
  const askedAtMs = deps.nowMs();
  const reply = await asker.stands();
  const answeredAtMs = deps.nowMs();
  deps.clocks.heard(asker.region, reply.nowMs - (askedAtMs + answeredAtMs) / 2);
  run.state = { ...run.state, contactMs: answeredAtMs };
  try {
    await deps.ownLog.check(asker, reply);
    run.alarms.delete("own log");
  } catch (error) {
    if (!(error instanceof PortolanError && error.code === "invalid")) throw error;
    run.alarms.set("own log", error.message);
    return reply;
  }
  deps.onStands(reply);
  return reply;
}

/** The peer's stream ends before what we have read: it was lost, or rolled back. */
async function startOver(deps: PeerDeps, run: PeerRun, lastSeq: number): Promise<void> {
  const { region } = run.place;
  deps.log.warning(
    `the log stream of region "${region}" went back from message ${run.state.checkpoint} to ${lastSeq}; what is missing is asked for`,
  );
  await deps.ledger.resetCheckpoint(region, { epoch: deps.epoch() });
  run.state = { ...run.state, checkpoint: 0 };
}

/** Compares registers that hold the same, and writes down how it stands between us. */
async function conclude(deps: PeerDeps, run: PeerRun, reply: StandsReply): Promise<void> {
  const { region } = run.place;
  const behind = behindOf(deps, reply);
  run.isLevel = behind === 0;
  if (behind > 0) deps.onBehind();
  const ours = reply.hash === null ? null : deps.register.at(reply.frontier);
  let { equalAtMs } = run.state;
  if (ours !== null && ours === reply.hash) {
    equalAtMs = deps.nowMs();
    run.alarms.delete("register");
  } else if (ours !== null) {
    deps.register.doubt();
    run.alarms.set(
      "register",
      `this register differs from the one of region "${region}" although both hold the same records; verify and rebuild the wrong one (portolan ledger)`,
    );
  }
  const alarm = run.alarms.size === 0 ? null : [...run.alarms.values()].join("; ").slice(0, 1_000);
  if (alarm !== run.state.alarm) {
    if (alarm === null) deps.log.info(`region "${region}": nothing is wrong any more`);
    else deps.log.error(`region "${region}": ${alarm}`);
  }
  run.state = { ...run.state, behind, equalAtMs, alarm };
  const { checkpoint: _, ...state } = run.state;
  await deps.ledger.setPeer(state, { epoch: deps.epoch() });
}

/** Records that the peer holds and we do not. */
function behindOf({ intake }: PeerDeps, { stands }: StandsReply): number {
  return stands.reduce((sum, { log, prefix }) => sum + Math.max(0, prefix + 1 - (intake.head(log)?.next ?? Infinity)), 0);
}
