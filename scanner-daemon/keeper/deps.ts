import type { Bus } from "../../src/bus/bus.ts";
import type { Ledger } from "../../src/ledger/types.ts";
import type { RegistryState } from "../../src/registry/types.ts";
import type { Log } from "../log.ts";
import type { Durability } from "./durability.ts";
import type { ConnectPeer, ReplicateSettings } from "./replicate/settings.ts";

/** Everything a keeper needs from outside: stores, bus, time, randomness. */
export type KeeperDeps = {
  readonly region: string;
  /** Holder of the lease and author of the keeper's own records. */
  readonly name: string;
  /** nkey seed that signs assignments, records and the log's chain. */
  readonly seed: string;
  readonly bus: Bus;
  readonly ledger: Ledger;
  readonly registry: { state(): Promise<RegistryState> };
  readonly durability: Durability;
  /** Directory for the last good registry state. */
  readonly dataDir: string;
  readonly log: Log;
  /** Clock for people: stamps, deadlines, schedules. */
  readonly nowMs: () => number;
  /** Clock that never jumps: durations. */
  readonly monotonicMs: () => number;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly settings: KeeperSettings;
  /** How other regions are reached; without it this keeper has nothing to do with them. */
  readonly peers?: { readonly connect: ConnectPeer; readonly settings?: Partial<ReplicateSettings> };
};

/** What may be tuned; the daemon's configuration holds the defaults. */
export type KeeperSettings = {
  /** Pause between two rounds of work. */
  readonly tickMs: number;
  readonly leaseTtlMs: number;
  /** Seconds that masscan waits for late answers. */
  readonly waitS: number;
  readonly connectTimeoutMs: number;
  /** How long planning waits for the first sign of life of a scanner, to learn its engines. */
  readonly engineGraceMs: number;
};
