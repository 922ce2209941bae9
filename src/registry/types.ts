import type { AddressRange } from "../core/range.ts";
import type { PortRange } from "../core/port.ts";
import type { Canary } from "../core/messages/job.ts";

/**
 * What a token may do. Viewer, operator and admin each include the ones before them; an uploader may hand in findings and nothing else (an
 * operator may do that too).
 */
export const ROLES = ["viewer", "operator", "admin", "uploader"] as const;
export type Role = (typeof ROLES)[number];

/**
 * What a token may change or start: only things of these regions and scanner groups; null: of all. A scoped token changes nothing that
 * concerns everybody (ranges, exclusions, tokens …). Reading is not narrowed.
 */
export type TokenScope = { readonly regions: readonly string[] | null; readonly groups: readonly string[] | null };

/** Group of all registered, enabled scanners; cannot be edited. */
export const ALL_SCANNERS = "@all";
/** Range group of the addresses of all registered scanners; cannot be edited. */
export const SCANNER_ADDRESSES = "@scanners";

/** A retired region does nothing any more; what it found stays, and so do its keys. */
export const REGION_STATES = ["active", "retired"] as const;
export type RegionState = (typeof REGION_STATES)[number];

export type Region = {
  readonly name: string;
  /** Where keepers of other regions reach its message server; null: nobody pulls from it. */
  readonly natsUrl: string | null;
  /** Where its API answers, without a slash at the end. */
  readonly apiUrl: string | null;
  /** Whoever has one of these keys (nkey spelling, U…) may sign the logs of this region, former keepers included. */
  readonly keeperPublicKeys: readonly string[];
  /** Degrees; both or neither. */
  readonly latitude: number | null;
  readonly longitude: number | null;
  readonly state: RegionState;
  readonly createdAtMs: number;
};

export type Scanner = {
  readonly name: string;
  readonly region: string;
  /** Canonical text. */
  readonly addresses: readonly string[];
  /** nkey spelling (U…). */
  readonly publicKey: string;
  readonly enabled: boolean;
  /** Names of range groups: it probes no address outside of them. Null: no such bound. */
  readonly mayProbe: readonly string[] | null;
  /** Names of range groups of which it probes no address, whatever `mayProbe` says. */
  readonly mayNotProbe: readonly string[];
  readonly createdAtMs: number;
};

/** `pinned` is the place from 1 that an administrator fixed; either all members of a group have one or none has. */
export type GroupMember = { readonly scanner: string; readonly pinned: number | null };

export type ScannerGroup = { readonly name: string; readonly builtIn: boolean; readonly members: readonly GroupMember[] };

/** A range in canonical spelling and in the user's own. */
export type RangeEntry = { readonly canonical: string; readonly text: string };

export type RangeGroup = {
  readonly name: string;
  readonly builtIn: boolean;
  /** Plans may scan what it holds of private and other special-purpose blocks (see `SPECIAL_BLOCKS`). Left out: they may not. */
  readonly allowSpecialPurpose?: boolean;
  readonly ranges: readonly RangeEntry[];
};

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
  /** Null: by `cron`, or only on request. */
  readonly intervalS: number | null;
  /** Five fields; null: by `intervalS`, or only on request. Never both. */
  readonly cron: string | null;
  /** IANA name in which `cron` is read. */
  readonly timeZone: string;
  readonly deadlineS: number;
  readonly closeAfter: number;
  readonly confirm: boolean;
  /** Region whose keeper plans the jobs: the first of `homes`. */
  readonly home: string;
  /** Regions in the order in which they plan; each further one only when nothing came from the ones before it for `takeoverAfterS`. */
  readonly homes: readonly string[];
  readonly takeoverAfterS: number;
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
  /** Region that holds the primary, where all edits go; null while nobody said. */
  readonly home: string | null;
  readonly regions: readonly Region[];
  readonly scanners: readonly Scanner[];
  /** Without the built-in group. */
  readonly groups: readonly ScannerGroup[];
  /** Without the built-in group. */
  readonly rangeGroups: readonly RangeGroup[];
  readonly exclusions: readonly Exclusion[];
  readonly knownGood: readonly KnownGood[];
  readonly plans: readonly Plan[];
  readonly webhooks: readonly Webhook[];
};

/** What a webhook can be told. */
export const WEBHOOK_EVENTS = [
  "service.opened",
  "service.first-observed",
  "service.reopened",
  "service.closed",
  "service.known-good-closed",
  "job.held",
  "job.ended",
  "scanner.silent",
] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

/** Standard Webhooks spelling (`whsec_…`). Signing uses every secret that holds, so that a receiver can change over. */
export type WebhookSecret = { readonly secret: string; readonly createdAtMs: number; readonly expiresAtMs: number | null };

/** Who is told of what. Secrets are shown once, when they are made. */
export type Webhook = {
  readonly name: string;
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly enabled: boolean;
  /** The newest first; at most two. */
  readonly secrets: readonly WebhookSecret[];
  readonly createdAtMs: number;
};

/** An enabled scanner that shares the jobs of a plan. */
export type SnapshotMember = {
  readonly name: string;
  readonly region: string;
  readonly publicKey: string;
  readonly addresses: readonly string[];
  readonly pinned: number | null;
  /** What it may probe, normalised; left out: everything. */
  readonly mayProbe?: readonly AddressRange[];
  /** What it may not probe, normalised; left out: nothing. */
  readonly mayNotProbe?: readonly AddressRange[];
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

/** A scanner with what it may probe as addresses; a bound that is left out does not exist. */
export type SnapshotScanner = Scanner & {
  readonly bounds?: { readonly mayProbe?: readonly AddressRange[]; readonly mayNotProbe?: readonly AddressRange[] };
};

/** The keeper's view: the same version gives the same answer until an exclusion or a known-good rule expires. */
export type RegistrySnapshot = {
  readonly version: number;
  /** Region that holds the registry's primary; null while nobody said. */
  readonly home: string | null;
  /** All of them, retired ones too: their logs are still verified. */
  readonly regions: readonly Region[];
  readonly scanners: readonly SnapshotScanner[];
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
  readonly scope: TokenScope;
  readonly createdAtMs: number;
  readonly expiresAtMs: number | null;
  readonly revokedAtMs: number | null;
  /** Accurate to some minutes. */
  readonly lastUsedAtMs: number | null;
};
