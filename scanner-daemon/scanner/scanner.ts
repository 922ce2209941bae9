import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Bus, Subscription } from "../../src/bus/bus.ts";
import { cancelSubject } from "../../src/bus/names.ts";
import { cancelSchema, deniedSchema } from "../../src/core/messages/bus.ts";
import type { MasscanAdapter } from "../../src/core/masscan/argv.ts";
import { errorText, type Log } from "../log.ts";
import { concludeLeftOver, type ExecuteDeps } from "./execute.ts";
import { type Denials, openDenials } from "./denials.ts";
import { openFinishedList } from "./finished.ts";
import { hearKept } from "./hear-kept.ts";
import type { Launch, ScannerTools } from "./launch.ts";
import { createLoop, type Loop, type LoopTally, type ScannerState } from "./loop.ts";
import { openOrderDesk, type OrderDesk } from "./orders.ts";
import { startVoice } from "./voice.ts";
import type { Readiness, ReadyInput } from "./ready.ts";
import { startSender } from "./send.ts";
import { openRunStore } from "./store.ts";
import { SCANNER_TUNING, type ScannerTuning } from "./tuning.ts";

/** The scanner's part of the daemon's configuration, with its defaults filled in. */
export type ScannerConfig = {
  readonly name: string;
  readonly region: string;
  /** The scanner keeps its spool in `scanner/` below it. */
  readonly dataDir: string;
  readonly launcher: readonly string[];
  readonly labMode: boolean;
  readonly adapter?: MasscanAdapter;
  readonly tools: ScannerTools;
  readonly keeperPublicKeys: readonly string[];
  /** Claims nothing while more than this waits for the keeper; 1 GiB by default. */
  readonly spoolBytesMax?: number;
};

/** What a scanner needs from outside. */
export type ScannerDeps = {
  readonly config: ScannerConfig;
  readonly bus: Bus;
  /** nkey seed of this scanner. */
  readonly keys: { readonly seed: string };
  readonly clock: { nowMs(): number };
  readonly log: Log;
  /** Pace; for tests. */
  readonly tuning?: Partial<ScannerTuning>;
};

const STOP_SENDING_MS = 3_000;

/** A scanner role. Both calls are for once. */
export type Scanner = {
  /** Repairs what a crash left and begins to claim work. Does not wait for the message server. */
  start(): Promise<void>;
  /** Stops a running assignment (it becomes a partial report), gives the sender a moment, and ends. */
  stop(): Promise<void>;
  /** What it has done since `start`, and the engines that it can run now. */
  standing(): Standing;
  /** Whether the keeper has acknowledged everything that was found, within `timeoutMs`. */
  drained(timeoutMs: number): Promise<boolean>;
};

export type Standing = LoopTally & { readonly engines: readonly string[] };

/** Makes a scanner; nothing happens before `start`. */
export function createScanner(deps: ScannerDeps): Scanner {
  let running: Running | null = null;
  return {
    start: async () => {
      running = await startScanner(deps);
    },
    stop: async () => {
      const ended = running;
      running = null;
      await ended?.stop();
    },
    standing: () => running?.standing() ?? { complete: 0, partial: 0, isBusy: false, lastWorkAtMs: performance.now(), engines: [] },
    drained: async (timeoutMs) => running === null || (await running.drained(timeoutMs)),
  };
}

type Running = Pick<Scanner, "stop" | "standing" | "drained">;

async function startScanner({ config, bus, keys, clock, log, tuning }: ScannerDeps): Promise<Running> {
  const pace = { ...SCANNER_TUNING, ...tuning };
  const { name, region } = config;
  const directory = join(config.dataDir, "scanner");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const store = await openRunStore(directory);
  const finished = await openFinishedList(join(directory, "finished"));
  const how: Launch = { launcher: config.launcher, tools: config.tools };
  const nowMs = (): number => clock.nowMs();
  const sending = { name, region, bus, seed: keys.seed, store, log, nowMs };
  const sender = startSender({ ...sending, random: Math.random, timing: pace.sender });
  const execution: ExecuteDeps = {
    how,
    adapter: config.adapter ?? {},
    store,
    finished,
    log,
    nowMs,
    newRunId: () => randomBytes(16).toString("hex"),
    wakeSender: () => sender.wake(),
    runTiming: pace.run,
    sealEveryMs: pace.sealEveryMs,
  };
  await concludeLeftOver(execution);
  const ready: ReadyInput = {
    how,
    adapter: execution.adapter,
    labMode: config.labMode,
    dataDir: directory,
    diskFreeBytesMin: pace.diskFreeBytesMin,
    reserve: () => store.reserve(),
    spoolBytes: () => store.bytes(),
    spoolBytesMax: config.spoolBytesMax ?? 1024 ** 3,
  };
  const state: ScannerState = { readiness: null, checkedAtMs: 0, running: null, progress: null, cancelled: new Map() };
  const rules = { name, region, keeperPublicKeys: config.keeperPublicKeys };
  const denials = await openDenials(directory, log);
  const loop = createLoop({ bus, rules, ready, execution, finished, store, denials, state, log, pace });
  const voice = startVoice({ bus, name, region, state, store, nowMs, everyMs: pace.heartbeatMs });
  const { adapter } = execution;
  const readiness = (): Readiness | null => state.readiness;
  const orders = await openOrderDesk({ bus, rules, seed: keys.seed, how, adapter, directory, readiness, denials, nowMs, pace, log });
  const stops = obeyStops({ bus, name, loop, orders, denials, log });
  const kept = hearKept({ bus, region, store, sender, nowMs, log });
  loop.start();
  const stop = async (): Promise<void> => {
    stops.stop();
    await kept.stop();
    await orders.stop();
    await loop.stop("the scanner was stopped");
    await sender.drained(STOP_SENDING_MS);
    await sender.stop();
    voice.stop();
    await finished.close();
    await store.close();
  };
  const standing = (): Standing => ({ ...loop.tally(), engines: state.readiness?.engines ?? [] });
  return { stop, standing, drained: sender.drained };
}

type Stopping = {
  readonly bus: Bus;
  readonly name: string;
  readonly loop: Loop;
  readonly orders: OrderDesk;
  readonly denials: Denials;
  readonly log: Log;
};

/** What the keeper says to stop: a job, a tile, or whatever holds a denied address. */
function obeyStops({ bus, name, loop, orders, denials, log }: Stopping): Subscription {
  return bus.subscribe(cancelSubject(name), ({ data }) => {
    try {
      const message: unknown = JSON.parse(Buffer.from(data).toString("utf8"));
      const list = deniedSchema.safeParse(message);
      if (!list.success) {
        const cancel = cancelSchema.parse(message);
        loop.cancel(cancel, `cancelled: ${cancel.reason}`);
      } else if (denials.take(list.data)) {
        loop.recheck();
        orders.recheck();
      }
    } catch (error) {
      log.warning("a cancel message could not be read", { problem: errorText(error) });
    }
  });
}
