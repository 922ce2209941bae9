import { VERSION } from "../../src/core/version.ts";
import type { Bus } from "../../src/bus/bus.ts";
import { heartbeatSubject, progressSubject } from "../../src/bus/names.ts";
import type { Heartbeat, Progress } from "../../src/core/messages/bus.ts";
import type { ScannerState } from "./loop.ts";
import { readinessText } from "./ready.ts";
import type { RunStore } from "./store.ts";

/** Publishes heartbeat and progress every `everyMs` once the scanner knows its engines; both may get lost. */
export function startVoice(deps: {
  readonly bus: Bus;
  readonly name: string;
  readonly region: string;
  readonly state: ScannerState;
  readonly store: RunStore;
  readonly nowMs: () => number;
  readonly everyMs: number;
}): { stop(): void } {
  const speak = (): void => {
    // Before its first look around the scanner does not know its own engines, and planning would take it to have none.
    if (deps.state.readiness === null) return;
    deps.bus.publish(heartbeatSubject(deps.name), jsonBytes(heartbeatOf(deps)));
    const { running, progress } = deps.state;
    if (running === null || progress === null) return;
    const message: Progress = { key: running, scanner: deps.name, ...progress, sentAtMs: deps.nowMs() };
    deps.bus.publish(progressSubject(deps.name, running), jsonBytes(message));
  };
  speak();
  const timer = setInterval(speak, deps.everyMs);
  return { stop: () => clearInterval(timer) };
}

function heartbeatOf({ name, region, state, store, nowMs }: Parameters<typeof startVoice>[0]): Heartbeat {
  const { readiness } = state;
  return {
    scanner: name,
    region,
    version: VERSION,
    engines: [...(readiness?.engines ?? [])],
    masscanVersion: readiness?.masscanVersion ?? null,
    notReady: readiness === null ? "still looking around after its start" : readinessText(readiness),
    running: state.running,
    spoolBytes: store.bytes(),
    sentAtMs: nowMs(),
  };
}

function jsonBytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value), "utf8");
}
