import { publicKeyOf, sha256Hex } from "../../src/bus/keys.node.ts";
import { PortolanError } from "../../src/core/errors.ts";
import type { PeerState } from "../../src/ledger/peer-types.ts";
import { isLeaseLost } from "../../src/ledger/settle.ts";
import { errorText } from "../log.ts";
import { runCommands } from "./commands.ts";
import type { KeeperDeps } from "./deps.ts";
import { createConfirms } from "./confirms.ts";
import { createDenials } from "./denials.ts";
import { createDispatch } from "./dispatch.ts";
import { createDoorbell, type Doorbell } from "./doorbell.ts";
import { createFollowUps } from "./follow-up.ts";
import { createForbidden } from "./forbidden.ts";
import { createIngest, type IngestCounters } from "./ingest.ts";
import { createLease, type LeaseHolder } from "./lease.ts";
import { createLive } from "./live.ts";
import { createLost } from "./lost.ts";
import { createReplicate, type Replicate } from "./replicate/replicate.ts";
import { REPLICATE_SETTINGS } from "./replicate/settings.ts";
import { createRules } from "./rules.ts";
import { createSchedule } from "./schedule.ts";
import { createSnapshots, type Snapshots } from "./snapshot.ts";
import { createSpecs } from "./specs.ts";
import { createTiles } from "./tiles.ts";
import { createWriter, type Writer } from "./writer.ts";

/** The keeper role of one daemon: works while it has the lease, stands by while another has it. */
export type Keeper = {
  /** Works until `signal` aborts; then finishes what is in hand and gives the lease back. Rejects only for a bug. */
  run(signal: AbortSignal): Promise<void>;
  status(): KeeperStatus;
};

/** For health checks and log lines. */
export type KeeperStatus = {
  readonly leader: boolean;
  /** What does not work at the moment, by the name of the step. */
  readonly problems: Readonly<Record<string, string>>;
  readonly registryVersion: number | null;
  readonly counters: Readonly<IngestCounters>;
  /** Longest transaction since the start. */
  readonly longestCommitMs: number;
  /** Where this keeper stands with each other region; empty while it stands by. */
  readonly peers: readonly PeerState[];
};

/** Windows of deferred work in one round: other work waits no longer than about a second. */
const WINDOWS_PER_ROUND = 8;

/** Makes a keeper. Nothing happens before `run`. */
export function createKeeper(deps: KeeperDeps): Keeper {
  const parts = assemble(deps);
  const { lease, writer, ingest, live, snapshots, doorbell, steps, replicate } = parts;
  let active = false;
  let term = 0;
  const standUp = async (): Promise<boolean> =>
    steps.run("log", async () => {
      const begun = lease.term();
      // What was committed without fsync may be gone after a power failure: a log that nobody makes again, or a lease whose
      // epoch another keeper then gets too. The renewal is a commit that makes both last.
      await deps.durability.check();
      const { log } = await deps.ledger.ensureLog(() => mintLogId(deps));
      await lease.renew();
      if ((await deps.durability.check()) === "restored") await lease.renew();
      await snapshots.refresh();
      await replicate?.begin(log);
      term = begun;
      ingest.start();
      live.start();
      active = true;
    });
  const standDown = async (): Promise<void> => {
    active = false;
    live.stop();
    await ingest.stop();
    await replicate?.end();
  };
  return {
    status: () => ({
      leader: active && lease.epoch() !== null,
      problems: { ...Object.fromEntries(steps.problems), ...replicate?.problems() },
      registryVersion: snapshots.current()?.version ?? null,
      counters: { ...ingest.counters },
      longestCommitMs: Math.round(writer.longestCommitMs()),
      peers: replicate?.peers() ?? [],
    }),
    run: async (signal) => {
      const leasing = keepLease(deps, lease, doorbell, signal);
      while (!signal.aborted) {
        if (lease.epoch() === null) {
          if (active) await standDown();
          await snapshots.refresh();
        } else if ((active && term === lease.term()) || (await standUp())) await parts.round();
        await doorbell.wait(deps.settings.tickMs, signal);
      }
      await standDown();
      await leasing;
      await lease.release();
    },
  };
}

async function keepLease(
  deps: KeeperDeps,
  lease: { step(): Promise<void>; epoch(): number | null },
  doorbell: Doorbell,
  signal: AbortSignal,
): Promise<void> {
  const pause = createDoorbell();
  while (!signal.aborted) {
    const had = lease.epoch() !== null;
    await lease.step();
    if (!had && lease.epoch() !== null) doorbell.ring();
    await pause.wait(Math.min(deps.settings.tickMs, deps.settings.leaseTtlMs / 5), signal);
  }
}

function assemble(deps: KeeperDeps) {
  const lease = createLease({ ...deps, ttlMs: deps.settings.leaseTtlMs });
  const doorbell = createDoorbell();
  const steps = createSteps(deps, lease.lost);
  const snapshots = createSnapshots(deps);
  const specs = createSpecs(deps.ledger);
  const writer: Writer = createWriter(deps, lease, {
    refusal: () => replicate?.refusal() ?? null,
    onWritten: (receipts) => replicate?.committed(receipts),
  });
  const replicate = assembleReplicate(deps, { writer, snapshots, doorbell, lease });
  const scanners = () => snapshots.current()?.scanners ?? null;
  const isOurs = (name: string): boolean =>
    scanners()?.some((scanner) => scanner.name === name && scanner.region === deps.region && scanner.enabled) ?? false;
  const live = createLive({ ...deps, isOurs });
  const forbidden = createForbidden(deps, { specs, snapshots });
  const confirms = createConfirms(deps, { live, snapshots, specs, forbidden });
  const ingest = createIngest({
    ...deps,
    keeper: publicKeyOf(deps.seed),
    writer,
    specs,
    scanners,
    reassigned: (key) => deps.ledger.reassigned(key),
    mayStillCome: () => replicate?.isFilling() ?? false,
    onReport: doorbell.ring,
    onProbe: confirms.heard,
  });
  const schedule = createSchedule(deps, { writer, live, snapshots, forbidden });
  const tiles = createTiles(deps, { writer, specs });
  const lost = createLost(deps, { live, snapshots, specs, writer });
  const dispatch = createDispatch(deps, { specs, live, snapshots, forbidden });
  const denials = createDenials(deps, { forbidden, tiles, snapshots });
  const followUps = createFollowUps(deps, { schedule, specs });
  const rules = createRules({ ledger: deps.ledger, writer, snapshots, forbidden });
  const round = async (): Promise<void> => {
    await snapshots.refresh();
    await steps.run("commands", () => runCommands(deps, { writer, schedule, tiles }));
    await steps.run("denies", async () => {
      await forbidden.refresh();
      denials.tell();
    });
    await steps.run("complete tiles", async () => {
      if (await tiles.complete()) doorbell.ring();
    });
    await steps.run("denied tiles", denials.abandon);
    await steps.run("deadlines", tiles.expire);
    await steps.run("rules", rules.apply);
    await steps.run("deferred work", () => runWindows(deps, writer, doorbell));
    await steps.run("follow-ups", followUps.run);
    await steps.run("schedule", schedule.startDue);
    await steps.run("lost scanners", lost.run);
    if (!(await steps.run("dispatch", dispatch.run))) dispatch.forget();
    await steps.run("confirms", confirms.run);
    await steps.run("live state", live.flush);
  };
  return { lease, writer, ingest, live, snapshots, doorbell, steps, replicate, round };
}

/** A few windows of deferred work; rings when more is due. */
async function runWindows(deps: KeeperDeps, writer: Writer, doorbell: Doorbell): Promise<void> {
  for (let window = 0; window < WINDOWS_PER_ROUND; window += 1) {
    if (!(await deps.ledger.runDeferred({ epoch: writer.epoch(), sha256: sha256Hex }))) return;
  }
  doorbell.ring();
}

type ReplicateParts = {
  readonly writer: Writer;
  readonly snapshots: Snapshots;
  readonly doorbell: Doorbell;
  readonly lease: LeaseHolder;
};

function assembleReplicate(deps: KeeperDeps, { writer, snapshots, doorbell, lease }: ReplicateParts): Replicate | null {
  if (deps.peers === undefined) return null;
  const { connect, settings } = deps.peers;
  return createReplicate({
    ...deps,
    connect,
    settings: { ...REPLICATE_SETTINGS, ...settings },
    snapshot: snapshots.current,
    epoch: writer.epoch,
    onError: (error) => {
      if (isLeaseLost(error)) lease.lost();
    },
    onNews: doorbell.ring,
    mintLogId: () => mintLogId(deps),
  });
}

function mintLogId({ randomBytes }: Pick<KeeperDeps, "randomBytes">): string {
  return Buffer.from(randomBytes(16)).toString("hex");
}

type Steps = { readonly problems: ReadonlyMap<string, string>; run(name: string, step: () => Promise<void>): Promise<boolean> };

/** Runs steps one by one so that a failing one does not keep the others from their work; says what fails once, and when it works again. */
function createSteps(deps: KeeperDeps, onLeaseLost: () => void): Steps {
  const problems = new Map<string, string>();
  return {
    problems,
    run: async (name, step) => {
      try {
        await step();
        if (problems.delete(name)) deps.log.info(`${name}: works again`);
        return true;
      } catch (error) {
        const text = errorText(error);
        if (isLeaseLost(error) || (error instanceof PortolanError && error.code === "conflict")) onLeaseLost();
        const expected = error instanceof PortolanError && error.code !== "internal";
        if (problems.get(name) !== text)
          deps.log[expected ? "warning" : "error"](`${name}: ${text}`, expected ? {} : { error: stackOf(error) });
        problems.set(name, text);
        return false;
      }
    },
  };
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
