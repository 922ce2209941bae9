import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Bus, Subscription } from "../../src/bus/bus.ts";
import { cancelSubject } from "../../src/bus/names.ts";
import { cancelSchema } from "../../src/core/messages/bus.ts";
import type { MasscanAdapter } from "../../src/core/masscan/argv.ts";
import { errorText, type Log } from "../log.ts";
import { concludeLeftOver, type ExecuteDeps } from "./execute.ts";
import { openFinishedList } from "./finished.ts";
import type { Launch, ScannerTools } from "./launch.ts";
import { createLoop, type Loop, type ScannerState } from "./loop.ts";
import { openOrderDesk } from "./orders.ts";
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
};

/** Makes a scanner; nothing happens before `start`. */
export function createScanner(deps: ScannerDeps): Scanner {
  let end: (() => Promise<void>) | null = null;
  return {
    start: async () => {
      end = await startScanner(deps);
    },
    stop: async () => {
      const stop = end;
      end = null;
      await stop?.();
    },
  };
}

async function startScanner({ config, bus, keys, clock, log, tuning }: ScannerDeps): Promise<() => Promise<void>> {
  const pace = { ...SCANNER_TUNING, ...tuning };
  const { name, region } = config;
  const directory = join(config.dataDir, "scanner");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const store = await openRunStore(directory);
  const finished = await openFinishedList(join(directory, "finished"));
  const how: Launch = { launcher: config.launcher, tools: config.tools };
  const sender = startSender({ name, region, bus, seed: keys.seed, store, log, random: Math.random, timing: pace.sender });
  const execution: ExecuteDeps = {
    how,
    adapter: config.adapter ?? {},
    store,
    finished,
    log,
    nowMs: () => clock.nowMs(),
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
  const loop = createLoop({ bus, rules, ready, execution, finished, store, state, log, pace });
  const voice = startVoice({ bus, name, region, state, store, nowMs: execution.nowMs, everyMs: pace.heartbeatMs });
  const cancels = obeyCancels({ bus, name, loop, log });
  const { adapter, nowMs } = execution;
  const readiness = (): Readiness | null => state.readiness;
  const orders = await openOrderDesk({ bus, rules, seed: keys.seed, how, adapter, directory, readiness, nowMs, pace, log });
  loop.start();
  return async () => {
    cancels.stop();
    await orders.stop();
    await loop.stop("the scanner was stopped");
    await sender.drained(STOP_SENDING_MS);
    await sender.stop();
    voice.stop();
    await finished.close();
    await store.close();
  };
}

function obeyCancels(deps: { readonly bus: Bus; readonly name: string; readonly loop: Loop; readonly log: Log }): Subscription {
  return deps.bus.subscribe(cancelSubject(deps.name), ({ data }) => {
    try {
      const cancel = cancelSchema.parse(JSON.parse(Buffer.from(data).toString("utf8")));
      deps.loop.cancel(cancel.job, `cancelled: ${cancel.reason}`);
    } catch (error) {
      deps.log.warning("a cancel message could not be read", { problem: errorText(error) });
    }
  });
}
