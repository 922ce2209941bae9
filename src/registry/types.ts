import type { AddressRange } from "../core/range.ts";
import type { PortRange } from "../core/port.ts";
import type { Canary } from "../core/messages/job.ts";

/** What a token may do; each role includes the ones before it. */
export const ROLES = ["viewer", "operator", "admin"] as const;
export type Role = (typeof ROLES)[number];

/** Group of all registered, enabled scanners; cannot be edited. */
export const ALL_SCANNERS = "@all";
/** Range group of the addresses of all registered scanners; cannot be edited. */
export const SCANNER_ADDRESSES = "@scanners";

export type Region = { readonly name: string; readonly createdAtMs: number };

export type Scanner = {
  readonly name: string;
  readonly region: string;
  /** Canonical text. */
  readonly addresses: readonly string[];
  /** nkey spelling (U…). */
  readonly publicKey: string;
  readonly enabled: boolean;
  readonly createdAtMs: number;
};

/** `pinned` is the place from 1 that an administrator fixed; either all members of a group have one or none has. */
export type GroupMember = { readonly scanner: string; readonly pinned: number | null };

export type ScannerGroup = { readonly name: string; readonly builtIn: boolean; readonly members: readonly GroupMember[] };

/** A range in canonical spelling and in the user's own. */
export type RangeEntry = { readonly canonical: string; readonly text: string };

export type RangeGroup = { readonly name: string; readonly builtIn: boolean; readonly ranges: readonly RangeEntry[] };

/** Never probed: whole addresses (`ports` null) or addresses and ports together. */
export type Exclusion = {
  readonly id: string;
  readonly ranges: readonly string[];
  readonly ports: string | null;
  readonly owner: string;
  readonly reason: string;
  /** Exclusive: at this moment it no longer holds. Null: it never ends. */
  readonly expiresAtMs: number | null;
  readonly createdAtMs: number;
};

/** Expected open: still probed, hidden from lists by default. */
export type KnownGood = {
  readonly id: string;
  readonly ranges: readonly string[];
  /** Canonical; null: every port of the addresses. */
  readonly ports: string | null;
  readonly owner: string;
  readonly reason: string;
  /** Exclusive: at this moment it no longer holds. Null: it never ends. */
  readonly expiresAtMs: number | null;
  readonly createdAtMs: number;
};

/** A known-good rule that holds now, for marking services: (address in `ranges`) and (port in `ports`). */
export type KnownGoodRule = { readonly id: string; readonly ranges: readonly AddressRange[]; readonly ports: readonly PortRange[] };

export type PlanEngine = "auto" | "masscan" | "connect";

/** What to scan and how often. `id` is minted once; `revision` counts edits from 0. */
export type Plan = {
  readonly id: string;
  readonly name: string;
  readonly revision: number;
  readonly enabled: boolean;
  /** Names of range groups. */
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  /** Canonical spelling. */
  readonly ports: string;
  readonly rateLimitPps: number;
  readonly retries: number;
  /** Name of the scanner group. */
  readonly group: string;
  readonly engine: PlanEngine;
  /** Null: only on request. */
  readonly intervalS: number | null;
  readonly deadlineS: number;
  readonly closeAfter: number;
  readonly confirm: boolean;
  /** Region whose keeper plans the jobs. */
  readonly home: string;
  /** Upper bound of pairs in one tile; null: derived from rate and members. */
  readonly pairsMax: number | null;
  readonly canaries: readonly Canary[];
  /** Range group that was made with the plan and is deleted with it. */
  readonly ownGroup: string | null;
  readonly createdAtMs: number;
};

/** All configuration at one version, as stored. */
export type RegistryState = {
  readonly version: number;
  readonly regions: readonly Region[];
  readonly scanners: readonly Scanner[];
  /** Without the built-in group. */
  readonly groups: readonly ScannerGroup[];
  /** Without the built-in group. */
  readonly rangeGroups: readonly RangeGroup[];
  readonly exclusions: readonly Exclusion[];
  readonly knownGood: readonly KnownGood[];
  readonly plans: readonly Plan[];
};

/** An enabled scanner that shares the jobs of a plan. */
export type SnapshotMember = {
  readonly name: string;
  readonly region: string;
  readonly publicKey: string;
  readonly addresses: readonly string[];
  readonly pinned: number | null;
};

/** A plan with every name resolved: all that a keeper needs to plan a job. */
export type SnapshotPlan = Plan & {
  readonly includeRanges: readonly AddressRange[];
  /** Excluded range groups and the exclusions without ports, as they stand now; normalised. */
  readonly excludeRanges: readonly AddressRange[];
  readonly pairExclusions: readonly { readonly ranges: AddressRange[]; readonly ports: PortRange[] }[];
  readonly portRanges: readonly PortRange[];
  readonly members: readonly SnapshotMember[];
};

/** The keeper's view: the same version gives the same answer until an exclusion or a known-good rule expires. */
export type RegistrySnapshot = {
  readonly version: number;
  readonly regions: readonly string[];
  readonly scanners: readonly Scanner[];
  readonly plans: readonly SnapshotPlan[];
  /** Exclusions that hold now. */
  readonly exclusions: readonly Exclusion[];
  /** Rules that hold now. */
  readonly knownGood: readonly KnownGoodRule[];
};

/** A token as lists show it: neither the token nor its hash. */
export type TokenInfo = {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
  readonly revokedAtMs: number | null;
  /** Accurate to some minutes. */
  readonly lastUsedAtMs: number | null;
};
