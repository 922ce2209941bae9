import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Bus } from "../../src/bus/bus.ts";
import { scannerScanSubject } from "../../src/bus/names.ts";
import type { MasscanAdapter } from "../../src/core/masscan/argv.ts";
import { TESTED_FAMILIES, versionFamily } from "../../src/core/masscan/echo.ts";
import type { ConfirmOrder, ConfirmReply, Probe } from "../../src/core/messages/probe.ts";
import { errorText, type Log } from "../log.ts";
import type { ClaimRules } from "./claims.ts";
import type { Denials } from "./denials.ts";
import type { Launch } from "./launch.ts";
import { lookBetweenCanaries, type TimedLook } from "./look-canaries.ts";
import { lookByConnect } from "./look-connect.ts";
import { lookByMasscan } from "./look-masscan.ts";
import { checkOrder } from "./order-check.ts";
import type { Readiness } from "./ready.ts";
import { Refusal, submit } from "./send.ts";
import { shareProber, type SharedProber } from "./shared-prober.ts";
import type { ScannerTuning } from "./tuning.ts";

/** Carries out confirm orders, beside whatever assignment runs. */
export type OrderDesk = {
  /** What is denied has changed: breaks off the orders that are hit. */
  recheck(): void;
  /** Answers no further order, breaks off what is in hand and waits for its end: the keeper orders it again. */
  stop(): Promise<void>;
};

type OrderDeskDeps = {
  readonly bus: Bus;
  readonly rules: ClaimRules;
  /** nkey seed of this scanner. */
  readonly seed: string;
  readonly how: Launch;
  readonly adapter: MasscanAdapter;
  /** Directory of the scanner's own. */
  readonly directory: string;
  readonly readiness: () => Readiness | null;
  readonly denials: Pick<Denials, "ofOrder">;
  readonly nowMs: () => number;
  readonly pace: ScannerTuning;
  readonly log: Log;
};

/** Orders and targets in hand; the keeper keeps below that. */
const ORDERS_MAX = 32;
const TARGETS_MAX = 1_000;
/** Ids of orders that were carried out, so that a repeat is no second look. */
const DONE_KEPT_MAX = 1_000;
const REQUEST_TIMEOUT_MS = 10_000;
const SEND_TRIES_MAX = 8;
const SEND_BACKOFF_FIRST_MS = 250;

type InHand = { readonly order: ConfirmOrder; readonly abort: AbortController; readonly work: Promise<void> };
type Desk = OrderDeskDeps & {
  readonly stopping: AbortController;
  readonly inHand: Map<string, InHand>;
  readonly done: Set<string>;
  readonly prober: SharedProber;
  /** masscan looks wait for each other. */
  masscan: Promise<unknown>;
};

/** Answers orders from now on. */
export async function openOrderDesk(deps: OrderDeskDeps): Promise<OrderDesk> {
  await rm(join(deps.directory, "looks"), { recursive: true, force: true });
  const desk: Desk = {
    ...deps,
    stopping: new AbortController(),
    inHand: new Map(),
    done: new Set(),
    prober: shareProber(deps.how),
    masscan: Promise.resolve(),
  };
  const { name, region } = deps.rules;
  const subscription = deps.bus.serve(scannerScanSubject(region, name), {
    queue: name,
    handler: async ({ data }) => Buffer.from(JSON.stringify(takeOrder(desk, data)), "utf8"),
  });
  return {
    recheck: () => {
      for (const { order, abort } of desk.inHand.values()) {
        const denied = deps.denials.ofOrder(order);
        if (denied !== null) abort.abort(denied);
      }
    },
    stop: async () => {
      subscription.stop();
      desk.stopping.abort("the scanner was stopped");
      desk.prober.kill();
      await Promise.all([...desk.inHand.values()].map(({ work }) => work));
    },
  };
}

function takeOrder(desk: Desk, data: Uint8Array): ConfirmReply {
  const checked = checkOrder(data, desk.rules);
  if (checked.kind === "refused") {
    desk.log.warning("a confirm order was refused", { reason: checked.reason });
    return { ok: false, problem: checked.reason };
  }
  const { order } = checked;
  if (desk.inHand.has(order.id) || desk.done.has(order.id)) return { ok: true };
  const problem = obstacle(desk, order);
  if (problem !== null) return { ok: false, problem };
  const abort = new AbortController();
  const work = carryOut(desk, order, AbortSignal.any([desk.stopping.signal, abort.signal])).finally(() => {
    desk.inHand.delete(order.id);
    remember(desk.done, order.id);
  });
  desk.inHand.set(order.id, { order, abort, work });
  return { ok: true };
}

function obstacle({ readiness, inHand, denials, stopping }: Desk, order: ConfirmOrder): string | null {
  const { engine, targets } = order;
  const denied = denials.ofOrder(order);
  if (denied !== null) return denied;
  if (stopping.signal.aborted) return "the scanner stops";
  const ready = readiness();
  if (ready === null) return "the scanner is still looking around after its start";
  if (!ready.engines.includes(engine)) return `engine ${engine} is not ready here`;
  const targetsInHand = [...inHand.values()].reduce((sum, one) => sum + one.order.targets.length, 0);
  return inHand.size >= ORDERS_MAX || targetsInHand + targets.length > TARGETS_MAX ? "the scanner has too many orders in hand" : null;
}

function remember(done: Set<string>, id: string): void {
  done.add(id);
  const oldest = done.keys().next();
  if (done.size > DONE_KEPT_MAX && oldest.done !== true) done.delete(oldest.value);
}

/** Looks and reports. What cannot be done or sent is dropped: the keeper orders it again. Never rejects. */
async function carryOut(desk: Desk, order: ConfirmOrder, signal: AbortSignal): Promise<void> {
  try {
    const probe = await look(desk, order, signal);
    if (!signal.aborted) await deliver(desk, probe);
  } catch (error) {
    desk.log.warning("a confirm order came to nothing", { order: order.id, problem: errorText(error) });
  }
}

async function look(desk: Desk, order: ConfirmOrder, signal: AbortSignal): Promise<Probe> {
  const between = (act: () => Promise<Probe["results"]>): ReturnType<typeof lookBetweenCanaries> =>
    lookBetweenCanaries(desk.prober, order.canaries ?? [], () => timed(desk, act));
  if (order.engine === "connect") {
    const { pace } = desk;
    const looked = await between(() =>
      desk.prober.use((prober) => lookByConnect({ prober, targets: order.targets, everyMs: pace.lookEveryMs, signal })),
    );
    return { version: 1, order, ...looked };
  }
  const turn = desk.masscan.then(() => {
    // It may have waited for long.
    if (signal.aborted) throw new Error(errorText(signal.reason));
    return between(async () => {
      const results = await runLook(desk, order, signal);
      // What was broken off is not followed by canaries: they may be what is denied.
      if (signal.aborted) throw new Error(errorText(signal.reason));
      return results;
    });
  });
  desk.masscan = turn.catch(() => undefined);
  return { version: 1, order, ...(await turn) };
}

/** The end is counted from the beginning by a clock that no step of the other one can alter. */
async function timed({ nowMs }: Desk, act: () => Promise<Probe["results"]>): Promise<TimedLook> {
  const startedAtMs = nowMs();
  const beganAtMs = performance.now();
  const results = await act();
  return { results, startedAtMs, endedAtMs: startedAtMs + Math.round(performance.now() - beganAtMs) };
}

function runLook(desk: Desk, order: ConfirmOrder, signal: AbortSignal): Promise<Probe["results"]> {
  const { how, adapter, nowMs, pace } = desk;
  const version = desk.readiness()?.masscanVersion;
  const masscanFamily = version === null || version === undefined ? (TESTED_FAMILIES[0] ?? "1.3") : versionFamily(version);
  const directory = join(desk.directory, "looks", order.id);
  return lookByMasscan({ how, adapter, order, directory, masscanFamily, newSeed, nowMs, signal, timing: pace.run });
}

function newSeed(): string {
  return String(1 + randomBytes(6).readUIntBE(0, 6));
}

async function deliver(desk: Desk, probe: Probe): Promise<void> {
  const { name, region } = desk.rules;
  const sender = { name, region, bus: desk.bus, seed: desk.seed };
  for (let tries = 1; ; tries += 1) {
    try {
      await submit(sender, { requestTimeoutMs: REQUEST_TIMEOUT_MS }, { kind: "probe", content: probe }, null);
      return;
    } catch (error) {
      if (error instanceof Refusal || tries >= SEND_TRIES_MAX || desk.stopping.signal.aborted) throw error;
      await new Promise((resolve) => setTimeout(resolve, SEND_BACKOFF_FIRST_MS * 2 ** (tries - 1) * (0.5 + Math.random() / 2)));
    }
  }
}
