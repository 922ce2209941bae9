import { publicKeyOf, signText } from "../../src/bus/keys.node.ts";
import { scannerScanSubject } from "../../src/bus/names.ts";
import { parseAddress } from "../../src/core/address.ts";
import { type DeniedPairs, isDenied, mergeDenied } from "../../src/core/denied.ts";
import type { Engine, Frontier } from "../../src/core/messages/common.ts";
import type { Canary } from "../../src/core/messages/job.ts";
import { confirmReplySchema, type ConfirmOrder, type Probe, type ServiceRef } from "../../src/core/messages/probe.ts";
import { confirmOrderSignedText } from "../../src/core/statement.ts";
import type { ConfirmDue } from "../../src/ledger/keeper-types.ts";
import type { Exclusion } from "../../src/registry/types.ts";
import { errorText } from "../log.ts";
import { createCanaries } from "./confirm-canaries.ts";
import { chooseScanners } from "./confirm-choice.ts";
import { type ConfirmState, createConfirmState, keyOfTarget } from "./confirm-state.ts";
import type { KeeperDeps } from "./deps.ts";
import type { Forbidden } from "./forbidden.ts";
import { SCANNER_LOST_MS, type Live } from "./live.ts";
import { boundsOf } from "./probe-bounds.ts";
import type { Snapshots } from "./snapshot.ts";
import type { Specs } from "./specs.ts";

/** Orders probes for what would be closed if this region confirmed it. */
export type Confirms = {
  /** One round: orders what is due, as far as rate and bounds allow. Repeatable at any time. */
  run(): Promise<void>;
  /** A probe that this keeper ordered was committed. */
  heard(probe: Probe): void;
};

/** Targets that are ordered in a second, on average. */
const TARGETS_PER_S = 50;
/** Targets that one round may order when nothing was due for a while. */
const BURST_MAX = 200;
/** Targets whose probe is awaited. */
const OUTSTANDING_MAX = 1_000;
/** What is due is looked at page by page, and then from the beginning again. */
const PAGE = 500;
const ROUND_EVERY_MS = 1_000;
const ORDERS_PER_ROUND_MAX = 16;
const REQUEST_TIMEOUT_MS = 3_000;

type Services = {
  readonly live: Live;
  readonly snapshots: Snapshots;
  readonly specs: Specs;
  readonly forbidden: Pick<Forbidden, "denied">;
};
type Target = { readonly due: ConfirmDue; readonly key: string; readonly isAloneInVain: boolean };
type Draft = {
  readonly scanner: string;
  readonly job: string;
  readonly basis: ConfirmOrder["basis"];
  readonly engine: Engine;
  readonly targets: Target[];
};

/** Makes the part of one keeper that orders confirms from the scanners of its own region. */
export function createConfirms(deps: KeeperDeps, { live, snapshots, specs, forbidden }: Services): Confirms {
  const state = createConfirmState(deps.monotonicMs);
  const budget = createBudget(deps.monotonicMs);
  const askable = createCanaries(specs);
  let roundAtMs = -Infinity;
  let cursor: string | null = null;
  const sender = createSender(deps, state);
  return {
    run: async () => {
      if (deps.monotonicMs() - roundAtMs < ROUND_EVERY_MS) return;
      roundAtMs = deps.monotonicMs();
      const room = Math.min(budget.left(), OUTSTANDING_MAX - state.outstanding());
      const snapshot = snapshots.current();
      if (room <= 0 || snapshot === null) return;
      const page = await deps.ledger.confirmsDue({ region: deps.region, limit: PAGE, ...(cursor === null ? {} : { cursor }) });
      const { items: due } = page;
      if (due.length === 0) {
        cursor = page.next;
        return;
      }
      // After the misses were read and before the first connect: so it holds the missing job's tile-completes.
      const frontier = await deps.ledger.frontier();
      const isExcluded = excluder(snapshot.exclusions, forbidden.denied().pairs);
      const canaries = await askable(due, isExcluded);
      const allowed = due.filter((one) => !isExcluded(one) && canaries.has(one.job));
      const ours = new Set(snapshot.scanners.filter((one) => one.region === deps.region && one.enabled).map((one) => one.name));
      const { drafts, isCut } = draftOrders({
        due: allowed,
        room,
        able: (engine) => [...ours].filter((name) => live.isLive(name) && live.engines(name).includes(engine)),
        mayProbe: boundsOf(snapshot.scanners),
        isSettling: [...ours].some((name) => !live.isLive(name) && live.silentMs(name) < SCANNER_LOST_MS),
        isSending: sender.isSending,
        state,
      });
      // What found no room comes first the next time.
      if (!isCut) cursor = page.next;
      for (const draft of drafts) budget.spend(draft.targets.length);
      for (const draft of drafts) void sender.send(draft, canaries.get(draft.job) ?? [], frontier);
    },
    heard: (probe) => {
      const { scanner, engine } = probe.order;
      if (engine === "masscan") state.free(scanner);
      for (const result of probe.results) {
        const key = keyOfTarget({ ...result, job: probe.order.job });
        if (result.answer === "error") state.fail(key, scanner);
        else state.answered(key, scanner);
      }
    },
  };
}

type Sender = {
  /** Orders, and takes back what was not taken. Never rejects, and ends by its time-out. */
  send(draft: Draft, canaries: readonly Canary[], frontier: Frontier): Promise<void>;
  isSending(scanner: string): boolean;
};

function createSender(deps: KeeperDeps, state: ConfirmState): Sender {
  const keeper = publicKeyOf(deps.seed);
  /** Requests on their way, by scanner: one that does not answer must not hold up the keeper's rounds. */
  const sending = new Map<string, number>();
  return {
    isSending: (scanner) => sending.has(scanner),
    send: async (draft, canaries, frontier) => {
      const { scanner, targets } = draft;
      const order = orderOf(deps, keeper, draft, canaries, frontier);
      const vain = targets.filter(({ isAloneInVain }) => isAloneInVain).length;
      if (vain > 0) deps.log.info(`scanner "${scanner}" confirms alone: no other scanner gave a usable answer`, { targets: vain });
      for (const { key } of targets) state.ask(key, scanner, draft.engine);
      sending.set(scanner, (sending.get(scanner) ?? 0) + 1);
      const problem = await request(deps, order);
      const left = (sending.get(scanner) ?? 1) - 1;
      if (left > 0) sending.set(scanner, left);
      else sending.delete(scanner);
      if (problem === null) return;
      deps.log.info(`scanner "${scanner}" does not take a confirm order: ${problem}`, { targets: targets.length });
      for (const { key } of targets) state.fail(key, scanner);
      state.free(scanner);
    },
  };
}

/** Targets that may be ordered now: refilled by time, never above the burst. */
function createBudget(monotonicMs: () => number): { left(): number; spend(targets: number): void } {
  let targets = BURST_MAX;
  let filledAtMs = monotonicMs();
  return {
    left: () => {
      const nowMs = monotonicMs();
      targets = Math.min(BURST_MAX, targets + ((nowMs - filledAtMs) / 1_000) * TARGETS_PER_S);
      filledAtMs = nowMs;
      return Math.floor(targets);
    },
    spend: (spent) => void (targets -= spent),
  };
}

type DraftInput = {
  readonly due: readonly ConfirmDue[];
  readonly room: number;
  readonly able: (engine: Engine) => string[];
  /** Whether a scanner may probe this target at all. */
  readonly mayProbe: (scanner: string, target: ServiceRef) => boolean;
  readonly isSettling: boolean;
  /** Whether a request to this scanner is on its way. */
  readonly isSending: (scanner: string) => boolean;
  readonly state: ConfirmState;
};

/** Orders for what may be asked now: one for each scanner, job and basis; with masscan one port each, and one order at a time. */
function draftOrders({ due, room, able, mayProbe, isSettling, isSending, state }: DraftInput): { drafts: Draft[]; isCut: boolean } {
  const drafts = new Map<string, Draft>();
  const scanners = { connect: able("connect"), masscan: able("masscan") };
  const runsMasscan = new Map<string, string>();
  let left = room;
  for (const one of due) {
    const engine: Engine = one.protocol === "tcp" ? "connect" : "masscan";
    const key = keyOfTarget(one);
    const sighter = one.sighters[0] ?? null;
    if (state.isFull(key)) continue;
    const { confirmedBy } = one;
    const choice = chooseScanners({
      sighter,
      confirmedBy,
      able: scanners[engine].filter((name) => mayProbe(name, one)),
      isSettling,
      asked: state.asked(key),
    });
    for (const scanner of choice.scanners) {
      if (isSending(scanner) || !state.mayAsk(key, scanner) || (engine === "masscan" && state.isBusy(scanner))) continue;
      if (left <= 0) return { drafts: [...drafts.values()], isCut: true };
      const name = `${scanner} ${one.job} ${choice.basis} ${engine === "masscan" ? `${one.protocol} ${one.port}` : ""}`;
      if (engine === "masscan" && (runsMasscan.get(scanner) ?? name) !== name) continue;
      if (!drafts.has(name) && drafts.size >= ORDERS_PER_ROUND_MAX) continue;
      if (engine === "masscan") runsMasscan.set(scanner, name);
      const draft = drafts.get(name) ?? { scanner, job: one.job, basis: choice.basis, engine, targets: [] };
      draft.targets.push({ due: one, key, isAloneInVain: choice.isAloneInVain });
      drafts.set(name, draft);
      left -= 1;
    }
  }
  return { drafts: [...drafts.values()], isCut: false };
}

/** What must not be probed is not confirmed either: it stays missing. */
function excluder(exclusions: readonly Exclusion[], denied: readonly DeniedPairs[]): (target: ServiceRef) => boolean {
  const rules = [...mergeDenied(exclusions), ...denied];
  return ({ address, protocol, port }) => isDenied(rules, { address: parseAddress(address), protocol, port });
}

function orderOf(deps: KeeperDeps, keeper: string, draft: Draft, canaries: readonly Canary[], frontier: Frontier): ConfirmOrder {
  const unsigned = {
    version: 1 as const,
    id: Buffer.from(deps.randomBytes(16)).toString("hex"),
    region: deps.region,
    job: draft.job,
    scanner: draft.scanner,
    basis: draft.basis,
    engine: draft.engine,
    frontier,
    targets: draft.targets.map(({ due: { address, protocol, port } }) => ({ address, protocol, port })),
    ...(canaries.length === 0 ? {} : { canaries: [...canaries] }),
    orderedAtMs: deps.nowMs(),
    keeper,
  };
  return { ...unsigned, signature: signText(deps.seed, confirmOrderSignedText(unsigned)) };
}

/** Null when the scanner takes the order. */
async function request(deps: KeeperDeps, order: ConfirmOrder): Promise<string | null> {
  try {
    const data = new TextEncoder().encode(JSON.stringify({ order }));
    const reply = await deps.bus.request(scannerScanSubject(deps.region, order.scanner), data, { timeoutMs: REQUEST_TIMEOUT_MS });
    const parsed = confirmReplySchema.parse(JSON.parse(new TextDecoder().decode(reply)));
    return parsed.ok ? null : parsed.problem;
  } catch (error) {
    return errorText(error);
  }
}
