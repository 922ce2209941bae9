import type { Engine } from "../../src/core/messages/common.ts";
import type { ServiceRef } from "../../src/core/messages/probe.ts";
import type { Asked as Known } from "./confirm-choice.ts";

type Asked = { -readonly [Name in keyof Known]: Known[Name] };

/** What was asked of whom; only in memory: a keeper that starts anew asks anew, which does no harm. */
export type ConfirmState = {
  /** Targets whose probe is awaited. */
  outstanding(): number;
  asked(key: string): ReadonlyMap<string, Known>;
  mayAsk(key: string, scanner: string): boolean;
  ask(key: string, scanner: string, engine: Engine): void;
  /** No answer that counts: asked again after a while, perhaps of others. */
  fail(key: string, scanner: string): void;
  /** Its answer is here. */
  forget(key: string, scanner: string): void;
  /** Whether a masscan order of this scanner is on its way. */
  isBusy(scanner: string): boolean;
  free(scanner: string): void;
};

/** A probe that has not come by then is ordered again. */
const AWAITED_MS: Readonly<Record<Engine, number>> = { connect: 60_000, masscan: 300_000 };
const FAILED_MS = 30_000;
/** What was asked in vain is remembered so long after its time. */
const KEPT_MS = 600_000;
const TARGETS_KEPT_MAX = 5_000;

const NOBODY: ReadonlyMap<string, Asked> = new Map();

/** One text for what a probe is wanted for: a later job needs a probe of its own. */
export function keyOfTarget({ address, protocol, port, job }: ServiceRef & { readonly job: string }): string {
  return `${address} ${protocol} ${port} ${job}`;
}

/** Begins empty. Times run on the clock that never jumps. */
export function createConfirmState(monotonicMs: () => number): ConfirmState {
  const targets = new Map<string, Map<string, Asked>>();
  const busyUntilMs = new Map<string, number>();
  const stateOf = (key: string, scanner: string): Asked | undefined => targets.get(key)?.get(scanner);
  const settle = (): void => {
    const nowMs = monotonicMs();
    for (const [key, states] of targets) {
      for (const state of states.values()) if (state.pending && state.untilMs <= nowMs) state.pending = false;
      if ([...states.values()].every((state) => state.untilMs + KEPT_MS <= nowMs)) targets.delete(key);
    }
  };
  return {
    outstanding: () => {
      settle();
      return [...targets.values()].filter((states) => [...states.values()].some((state) => state.pending)).length;
    },
    asked: (key) => targets.get(key) ?? NOBODY,
    mayAsk: (key, scanner) => (stateOf(key, scanner)?.untilMs ?? -Infinity) <= monotonicMs(),
    ask: (key, scanner, engine) => {
      const states = targets.get(key) ?? new Map<string, Asked>();
      const untilMs = monotonicMs() + AWAITED_MS[engine];
      states.set(scanner, { untilMs, pending: true, tries: (states.get(scanner)?.tries ?? 0) + 1 });
      targets.set(key, states);
      if (engine === "masscan") busyUntilMs.set(scanner, untilMs);
      const oldest = targets.keys().next();
      if (targets.size > TARGETS_KEPT_MAX && oldest.done !== true) targets.delete(oldest.value);
    },
    fail: (key, scanner) => {
      const state = stateOf(key, scanner);
      if (state === undefined) return;
      state.pending = false;
      state.untilMs = monotonicMs() + FAILED_MS;
    },
    forget: (key, scanner) => {
      const states = targets.get(key);
      states?.delete(scanner);
      if (states?.size === 0) targets.delete(key);
    },
    isBusy: (scanner) => (busyUntilMs.get(scanner) ?? -Infinity) > monotonicMs(),
    free: (scanner) => void busyUntilMs.delete(scanner),
  };
}
