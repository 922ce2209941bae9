import type { LabPair, Truth } from "./truth.ts";

/** How the daemon reaches the target network from one scanner's place. */
export type ScannerPlace = {
  /** Argv prefix of everything that touches the target network; empty on the host. */
  readonly launcher: readonly string[];
  /** Null where masscan cannot be used. */
  readonly adapter: { readonly interface: string; readonly ipv4: string; readonly ipv6: string; readonly routerMac: string } | null;
};

/** Probes that really arrived, by `protocol TAB address TAB port`, since `startSeen`. */
export type Seen = {
  readonly packets: ReadonlyMap<string, number>;
  /** The lab's own list as it gave it, for evidence. */
  readonly raw: string;
  /** Whether it lists every probe, or only those that reached an open port. */
  readonly isWhole: boolean;
};

/**
 * Targets with known truth: network namespaces, or loopback listeners where these cannot be had. Each change is carried out
 * and entered in `truth` before the call returns.
 */
export type Playground = {
  readonly kind: "namespaces" | "loopback";
  readonly truth: Truth;
  readonly ports: readonly number[];
  /** CIDRs that hold all listed pairs. */
  readonly ranges: readonly string[];
  readonly scanners: readonly ScannerPlace[];
  readonly startSeen: () => Promise<void>;
  readonly readSeen: () => Promise<Seen>;
  readonly close: (pairs: readonly LabPair[]) => Promise<void>;
  readonly open: (pairs: readonly LabPair[]) => Promise<void>;
  /** Ends processes and removes everything; may be called again. */
  readonly destroy: () => Promise<void>;
};
