import type { PortRange, Protocol } from "../port.ts";
import type { AddressRange } from "../range.ts";

export const FILTER_STATES = ["open", "missing", "closed"] as const;
export type FilterState = (typeof FILTER_STATES)[number];
export const FILTER_LABELS = ["stale", "unmonitored", "never-covered"] as const;
export type FilterLabel = (typeof FILTER_LABELS)[number];
/** Kinds of news; a list of services knows `reopened` only, the feed of changes all of them. */
export const FILTER_CHANGES = [
  "first-observed",
  "opened",
  "reopened",
  "seen-again",
  "missing",
  "closed",
  "unmonitored",
  "known-good-closed",
  "job-held",
] as const;
export type FilterChange = (typeof FILTER_CHANGES)[number];
export const FILTER_KNOWN = ["hide", "show", "only"] as const;
export type FilterKnown = (typeof FILTER_KNOWN)[number];
export const FILTER_PROTOCOLS = ["tcp", "udp", "sctp"] as const satisfies readonly Protocol[];

/** Inclusive run of ports; `protocol` null means each of them. */
export type PortChoice = Omit<PortRange, "protocol"> & { readonly protocol: Protocol | null };

/** `negated` terms leave out what they match. The values of one term are alternatives, the terms of a filter all hold. */
export type FilterTerm = { readonly negated: boolean } & (
  | { readonly key: "net"; readonly ranges: readonly AddressRange[] }
  | { readonly key: "port"; readonly ports: readonly PortChoice[] }
  | { readonly key: "proto"; readonly protocols: readonly Protocol[] }
  /** Range groups, regions that saw it, scanners that saw it last. */
  | { readonly key: "group" | "region" | "scanner"; readonly names: readonly string[] }
  | { readonly key: "state"; readonly states: readonly FilterState[] }
  | { readonly key: "label"; readonly labels: readonly FilterLabel[] }
  | { readonly key: "change"; readonly changes: readonly FilterChange[] }
  /** Never negated. */
  | { readonly key: "known"; readonly known: FilterKnown }
  /** Last seen (`seen`) or first seen (`first`) less (`younger`) or more than `ageS` seconds ago. */
  | { readonly key: "seen" | "first"; readonly younger: boolean; readonly ageS: number }
  /** Open from one region's sight, silent from another's. */
  | { readonly key: "vantage"; readonly vantage: "disagree" }
);
export type FilterKey = FilterTerm["key"];

/** A filter as it was asked for, without defaults. */
export type Filter = { readonly terms: readonly FilterTerm[] };
