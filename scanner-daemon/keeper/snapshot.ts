import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sha256Hex } from "../../src/bus/keys.node.ts";
import { resolveSnapshot } from "../../src/registry/rules/resolve.ts";
import type { RegistrySnapshot, RegistryState } from "../../src/registry/types.ts";
import { errorText, type Log } from "../log.ts";

/** The registry as the keeper last saw it: work goes on with it while the registry is away. */
export type Snapshots = {
  /** Asks the registry when the last answer is older than a second, or `now`. Never throws. */
  refresh(options?: { readonly now?: boolean }): Promise<void>;
  /** Null before the first answer, when nothing is on disk either. */
  current(): RegistrySnapshot | null;
};

type SnapshotDeps = {
  readonly registry: { state(): Promise<RegistryState> };
  readonly dataDir: string;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly log: Log;
};

const POLL_MS = 1_000;

/** Starts with what the last run left on disk, if that is whole. */
export function createSnapshots(deps: SnapshotDeps): Snapshots {
  const file = join(deps.dataDir, "registry-state.json");
  let state = readState(file);
  let snapshot: RegistrySnapshot | null = null;
  let askedAtMs = -Infinity;
  let problem = "";
  const adopt = (next: RegistryState): void => {
    // Resolved anew each time: exclusions end by the clock. A state that cannot be resolved is not adopted.
    snapshot = resolveSnapshot(next, deps.nowMs());
    if (state?.version !== next.version) writeState(deps.dataDir, file, next);
    state = next;
  };
  return {
    refresh: async ({ now = false } = {}) => {
      if (!now && deps.monotonicMs() - askedAtMs < POLL_MS) return;
      askedAtMs = deps.monotonicMs();
      try {
        adopt(await deps.registry.state());
        if (problem !== "") deps.log.info("the registry can be read again");
        problem = "";
      } catch (error) {
        if (problem === "")
          deps.log.warning(`the registry cannot be read; working with version ${state?.version ?? "none"}: ${errorText(error)}`);
        problem = errorText(error);
        snapshot = resolved(state, deps.nowMs()) ?? snapshot;
      }
    },
    current: () => snapshot,
  };
}

function resolved(state: RegistryState | null, nowMs: number): RegistrySnapshot | null {
  try {
    return state === null ? null : resolveSnapshot(state, nowMs);
  } catch {
    return null;
  }
}

/** One line with the digest of the rest: a file that was cut off or altered is no state. */
function writeState(dir: string, file: string, state: RegistryState): void {
  const text = JSON.stringify(state);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.new`, `${sha256Hex(text)}\n${text}`, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
}

function readState(file: string): RegistryState | null {
  try {
    const [digest = "", text = ""] = readFileSync(file, "utf8").split("\n", 2);
    // The digest shows that we wrote it ourselves, from a state of this type.
    return sha256Hex(text) === digest ? (JSON.parse(text) as RegistryState) : null;
  } catch {
    return null;
  }
}
