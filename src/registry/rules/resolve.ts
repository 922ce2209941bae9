import { addressToHex, parseAddress } from "../../core/address.ts";
import { isLoopbackRange } from "../../core/engine.ts";
import { type PortRange, parsePorts } from "../../core/port.ts";
import { type AddressRange, normaliseRanges, parseRange } from "../../core/range.ts";
import {
  ALL_SCANNERS,
  type Exclusion,
  type GroupMember,
  type KnownGood,
  type KnownGoodRule,
  type Plan,
  type RangeGroup,
  type RegistrySnapshot,
  type RegistryState,
  SCANNER_ADDRESSES,
  type Scanner,
  type ScannerGroup,
  type SnapshotMember,
  type SnapshotScanner,
  type SnapshotPlan,
} from "../types.ts";
import { notFound } from "./change.ts";

// A state never changes once it is read, and parsing tens of thousands of ranges takes a while: so each is done once.
const parsedRanges = new WeakMap<RangeGroup, readonly AddressRange[]>();
const ALL_PORTS: readonly PortRange[] = (["tcp", "udp", "sctp"] as const).map((protocol) => ({ protocol, first: 0, last: 65_535 }));
const rangeGroupsOf = new WeakMap<RegistryState, readonly RangeGroup[]>();

/** Every range group, the built-in one first. */
export function allRangeGroups(state: RegistryState): readonly RangeGroup[] {
  const groups = rangeGroupsOf.get(state) ?? [scannerAddresses(state), ...state.rangeGroups];
  rangeGroupsOf.set(state, groups);
  return groups;
}

/** The ranges of a group, normalised. */
export function rangesOfGroup(group: RangeGroup): readonly AddressRange[] {
  const ranges = parsedRanges.get(group) ?? normaliseRanges(parseAll(group.ranges.map((entry) => entry.canonical)));
  parsedRanges.set(group, ranges);
  return ranges;
}

function scannerAddresses(state: RegistryState): RangeGroup {
  const addresses = [...new Set(state.scanners.flatMap((scanner) => scanner.addresses))];
  const keyed = addresses
    .map((address) => ({ address, key: addressToHex(parseAddress(address)) }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  const ranges = keyed.map(({ address }) => ({ canonical: address, text: address }));
  return { name: SCANNER_ADDRESSES, builtIn: true, ranges };
}

/** Every scanner group, the built-in one first. */
export function allGroups(state: RegistryState): ScannerGroup[] {
  const members: GroupMember[] = state.scanners
    .filter((scanner) => scanner.enabled)
    .map((scanner) => ({ scanner: scanner.name, pinned: null }));
  return [{ name: ALL_SCANNERS, builtIn: true, members }, ...state.groups];
}

/** Exclusions that hold at `nowMs`. */
export function currentExclusions(state: RegistryState, nowMs: number): Exclusion[] {
  return state.exclusions.filter((exclusion) => holds(exclusion, nowMs));
}

/** Resolves every name of a plan. Throws `not-found` for a group that does not exist. */
export function resolvePlan(state: RegistryState, plan: Plan, nowMs: number): SnapshotPlan {
  const exclusions = currentExclusions(state, nowMs);
  const whole = exclusions.filter((exclusion) => exclusion.ports === null).flatMap((exclusion) => parseAll(exclusion.ranges));
  return {
    ...plan,
    includeRanges: normaliseRanges(plan.include.flatMap((name) => rangesOf(state, name))),
    excludeRanges: normaliseRanges([...plan.exclude.flatMap((name) => rangesOf(state, name)), ...whole]),
    pairExclusions: exclusions.flatMap((exclusion) =>
      exclusion.ports === null ? [] : [{ ranges: parseAll(exclusion.ranges), ports: parsePorts(exclusion.ports) }],
    ),
    portRanges: parsePorts(plan.ports),
    members: membersOf(state, plan.group),
  };
}

/** The keeper's view of a state. */
export function resolveSnapshot(state: RegistryState, nowMs: number): RegistrySnapshot {
  return {
    version: state.version,
    home: state.home,
    regions: state.regions,
    scanners: state.scanners.map((scanner) => withBounds(state, scanner)),
    plans: state.plans.map((plan) => resolvePlan(state, plan, nowMs)),
    exclusions: currentExclusions(state, nowMs),
    // A state that an older version left on disk knows no rules.
    knownGood: (state.knownGood ?? []).filter((rule) => holds(rule, nowMs)).map(resolveRule),
  };
}

function holds(rule: { readonly expiresAtMs: number | null }, nowMs: number): boolean {
  return rule.expiresAtMs === null || rule.expiresAtMs > nowMs;
}

// The keeper asks every second; a rule never changes.
const parsedRules = new WeakMap<KnownGood, KnownGoodRule>();

function resolveRule(rule: KnownGood): KnownGoodRule {
  const parsed = parsedRules.get(rule) ?? {
    id: rule.id,
    ranges: parseAll(rule.ranges),
    ports: rule.ports === null ? ALL_PORTS : parsePorts(rule.ports),
  };
  parsedRules.set(rule, parsed);
  return parsed;
}

function rangesOf(state: RegistryState, name: string): readonly AddressRange[] {
  const group = allRangeGroups(state).find((candidate) => candidate.name === name);
  if (group === undefined) throw notFound("range group", name, "portolan range ls");
  return rangesOfGroup(group);
}

function parseAll(texts: readonly string[]): AddressRange[] {
  return texts.map((text) => parseRange(text));
}

/** Enabled members only, sorted by name. */
function membersOf(state: RegistryState, name: string): SnapshotMember[] {
  const group = allGroups(state).find((candidate) => candidate.name === name);
  if (group === undefined) throw notFound("scanner group", name, "portolan group ls");
  const members = group.members.flatMap(({ scanner: scannerName, pinned }) => {
    const scanner = state.scanners.find((candidate) => candidate.name === scannerName);
    if (scanner === undefined || !scanner.enabled) return [];
    const bounds = probeBounds(state, scanner);
    return [{ name: scanner.name, region: scanner.region, publicKey: scanner.publicKey, addresses: scanner.addresses, pinned, ...bounds }];
  });
  return members.map((member) => {
    const own = ownAddresses(member, members);
    return own.length === 0 ? member : { ...member, mayNotProbe: normaliseRanges([...(member.mayNotProbe ?? []), ...own]) };
  });
}

/**
 * No packet that a scanner sends to itself crosses a wire: masscan would find its own machine silent, and close what is open there. So others
 * look at it, where there are any; loopback is always the own machine.
 */
function ownAddresses(member: SnapshotMember, members: readonly SnapshotMember[]): AddressRange[] {
  return member.addresses
    .filter((address) => members.some((other) => !other.addresses.includes(address)))
    .map((address) => parseRange(address))
    .filter((range) => !isLoopbackRange(range));
}

function withBounds(state: RegistryState, scanner: Scanner): SnapshotScanner {
  const bounds = probeBounds(state, scanner);
  return Object.keys(bounds).length === 0 ? scanner : { ...scanner, bounds };
}

/** What a scanner may and may not probe, as addresses. */
function probeBounds(state: RegistryState, scanner: Scanner): Pick<SnapshotMember, "mayProbe" | "mayNotProbe"> {
  const all = (names: readonly string[]): AddressRange[] => normaliseRanges(names.flatMap((name) => rangesOf(state, name)));
  // A state that an older version left on disk knows no bounds.
  const [may, mayNot] = [scanner.mayProbe ?? null, scanner.mayNotProbe ?? []];
  return { ...(may === null ? {} : { mayProbe: all(may) }), ...(mayNot.length === 0 ? {} : { mayNotProbe: all(mayNot) }) };
}
