import type { Engine } from "../../src/core/messages/common.ts";
import type { ServiceRef } from "../../src/core/messages/probe.ts";
import type { Asked as Known } from "./confirm-choice.ts";

type Asked = { -readonly [Name in keyof Known]: Known[Name] };

/** What was asked of whom; only in memory: a keeper that starts anew asks anew, which does no harm. */
export type ConfirmState = {
  /** Targets whose probe is awaited. */
  outstanding(): number;
  /** Whether there is no place for this target: what was asked in vain must not be forgotten before it can be given up. */
  isFull(key: string): boolean;
  asked(key: string): ReadonlyMap<string, Known>;
  mayAsk(key: string, scanner: string): boolean;
  ask(key: string, scanner: string, engine: Engine): void;
  /** No answer that counts: asked again after a while, perhaps of others. */
  fail(key: string, scanner: string): void;
  /** Its answer is here: it takes a moment to count, and is asked for again only when it does not. */
  answered(key: string, scanner: string): void;
  /** Whether a masscan order of this scanner is on its way. */
  isBusy(scanner: string): boolean;
  free(scanner: string): void;
};

/** A probe that has not come by then is ordered again. */
const AWAITED_MS: Readonly<Record<Engine, number>> = { connect: 60_000, masscan: 300_000 };
const FAILED_MS = 30_000;
const ANSWERED_MS = 30_000;
/** What was asked in vain is remembered so long after its time, and gives way to others after so long in all. */
const KEPT_MS = 600_000;
const KEPT_IN_ALL_MS = 1_800_000;
const TARGETS_KEPT_MAX = 5_000;

const NOBODY: ReadonlyMap<string, Asked> = new Map();

/** One text for what a probe is wanted for: a later job needs a probe of its own. */
export function keyOfTarget({ address, protocol, port, job }: ServiceRef & { readonly job: string }): string {
  return `${address} ${protocol} ${port} ${job}`;
}

/** Begins empty. Times run on the clock that never jumps. */
export function createConfirmState(monotonicMs: () => number): ConfirmState {
  const targets = new Map<string, { readonly sinceMs: number; readonly states: Map<string, Asked> }>();
  const busyUntilMs = new Map<string, number>();
  const stateOf = (key: string, scanner: string): Asked | undefined => targets.get(key)?.states.get(scanner);
  const settle = (): void => {
    const nowMs = monotonicMs();
    for (const [key, { sinceMs, states }] of targets) {
      const all = [...states.values()];
      for (const state of all) if (state.pending && state.untilMs <= nowMs) state.pending = false;
      const isOld = nowMs - sinceMs >= KEPT_IN_ALL_MS && all.every(({ pending }) => !pending);
      if (isOld || all.every(({ untilMs, tries }) => untilMs + (tries > 0 ? KEPT_MS : 0) <= nowMs)) targets.delete(key);
    }
  };
  return {
    outstanding: () => {
      settle();
      return [...targets.values()].filter(({ states }) => [...states.values()].some((state) => state.pending)).length;
    },
    isFull: (key) => targets.size >= TARGETS_KEPT_MAX && !targets.has(key),
    asked: (key) => targets.get(key)?.states ?? NOBODY,
    mayAsk: (key, scanner) => (stateOf(key, scanner)?.untilMs ?? -Infinity) <= monotonicMs(),
    ask: (key, scanner, engine) => {
      const target = targets.get(key) ?? { sinceMs: monotonicMs(), states: new Map<string, Asked>() };
      const untilMs = monotonicMs() + AWAITED_MS[engine];
      target.states.set(scanner, { untilMs, pending: true, tries: (target.states.get(scanner)?.tries ?? 0) + 1 });
      targets.set(key, target);
      if (engine === "masscan") busyUntilMs.set(scanner, untilMs);
    },
    fail: (key, scanner) => {
      const state = stateOf(key, scanner);
      if (state === undefined) return;
      state.pending = false;
      state.untilMs = monotonicMs() + FAILED_MS;
    },
    answered: (key, scanner) =>
      void targets.get(key)?.states.set(scanner, { untilMs: monotonicMs() + ANSWERED_MS, pending: false, tries: 0 }),
    isBusy: (scanner) => (busyUntilMs.get(scanner) ?? -Infinity) > monotonicMs(),
    free: (scanner) => void busyUntilMs.delete(scanner),
  };
}
