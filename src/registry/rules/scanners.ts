import { eq, sql } from "drizzle-orm";
import { formatAddress, parseAddress } from "../../core/address.ts";
import { PortolanError } from "../../core/errors.ts";
import { publicKeySchema } from "../../core/messages/common.ts";
import { shardPlaces } from "../../core/shard.ts";
import { type Query, build } from "../query.ts";
import { groupMember, scanner as scannerTable, scannerGroup } from "../schema.ts";
import { ALL_SCANNERS, type GroupMember, type RegistryState, SCANNER_ADDRESSES, type Scanner, type ScannerGroup } from "../types.ts";
import {
  type Change,
  LIMITS,
  checkGroupName,
  checkLimit,
  checkName,
  checkTextSize,
  clip,
  nameList,
  notFound,
  unchanged,
} from "./change.ts";
import { activeRegion } from "./regions.ts";

/** A scanner as a person registers it. */
export type ScannerInput = {
  readonly name: string;
  readonly region: string;
  readonly addresses: readonly string[];
  readonly publicKey: string;
  readonly enabled?: boolean;
  /** Names of range groups outside of which it probes nothing; null or left out: no such bound. */
  readonly mayProbe?: readonly string[] | null;
  /** Names of range groups of which it probes nothing. */
  readonly mayNotProbe?: readonly string[];
};

/** What a person changes of a scanner; what is left out stays. It keeps its name and its region. */
export type ScannerChanges = Partial<Omit<ScannerInput, "name" | "region">>;

/** Registers a scanner. Repeating it with the same facts changes nothing. */
export function addScanner(state: RegistryState, input: ScannerInput & { nowMs: number }): Change<Scanner> {
  checkName("scanner", input.name);
  activeRegion(state, input.region);
  const value: Scanner = {
    name: input.name,
    region: input.region,
    ...scannerFacts(state, input),
    createdAtMs: input.nowMs,
  };
  const existing = state.scanners.find((scanner) => scanner.name === input.name);
  if (existing !== undefined) {
    if (JSON.stringify({ ...existing, createdAtMs: 0 }) === JSON.stringify({ ...value, createdAtMs: 0 })) return unchanged(existing);
    throw new PortolanError(
      "conflict",
      `scanner "${input.name}" already exists with another region, address or key; change it, delete it first or choose another name`,
    );
  }
  refuseSharedKey(state, value);
  checkLimit("scanners", state.scanners.length + 1, LIMITS.scanners);
  return { value, statements: [build.insert(scannerTable).values(value)] };
}

/**
 * Changes some facts of a scanner. With another key it is another program: what the old key signed and is not accepted yet is refused from
 * then on. Throws `not-found`, `invalid`, or `conflict` when another scanner has the key.
 */
export function changeScanner(state: RegistryState, input: { name: string; changes: ScannerChanges }): Change<Scanner> {
  const existing = state.scanners.find((scanner) => scanner.name === input.name);
  if (existing === undefined) throw notFound("scanner", input.name, "portolan scanner ls");
  const value: Scanner = { ...existing, ...scannerFacts(state, { ...existing, ...input.changes }) };
  if (JSON.stringify(value) === JSON.stringify(existing)) return unchanged(existing);
  refuseSharedKey(state, value);
  return { value, statements: [build.update(scannerTable).set(value).where(eq(scannerTable.name, value.name))] };
}

function refuseSharedKey(state: RegistryState, { name, publicKey }: Scanner): void {
  const sameKey = state.scanners.find((scanner) => scanner.publicKey === publicKey && scanner.name !== name);
  if (sameKey === undefined) return;
  throw new PortolanError("conflict", `this public key belongs to scanner "${sameKey.name}"; make a key of its own for "${name}"`);
}

type Facts = Pick<Scanner, "addresses" | "publicKey" | "enabled" | "mayProbe" | "mayNotProbe">;

/** Checked and canonical. */
function scannerFacts(state: RegistryState, input: ScannerInput): Facts {
  if (!publicKeySchema.safeParse(input.publicKey).success) {
    throw new PortolanError(
      "invalid",
      `"${clip(input.publicKey)}" is not the public key of a scanner: give an nkey user public key, U and 55 base32 characters`,
    );
  }
  if (input.addresses.length === 0 || input.addresses.length > LIMITS.addressesPerScanner) {
    throw new PortolanError("invalid", `scanner "${input.name}" needs 1 to ${LIMITS.addressesPerScanner} addresses`);
  }
  return {
    addresses: [...new Set(input.addresses.map((text) => formatAddress(parseAddress(text.trim()))))].toSorted(),
    publicKey: input.publicKey,
    enabled: input.enabled ?? true,
    mayProbe: input.mayProbe === null || input.mayProbe === undefined ? null : rangeGroupNames(state, input.name, input.mayProbe),
    mayNotProbe: rangeGroupNames(state, input.name, input.mayNotProbe ?? []),
  };
}

function rangeGroupNames(state: RegistryState, scanner: string, names: readonly string[]): string[] {
  if (names.length > LIMITS.groupsPerPlan) {
    throw new PortolanError(
      "invalid",
      `scanner "${scanner}" names over ${LIMITS.groupsPerPlan} range groups; put their ranges into fewer groups`,
    );
  }
  for (const name of names) {
    if (name !== SCANNER_ADDRESSES && !state.rangeGroups.some((group) => group.name === name))
      throw notFound("range group", name, "portolan range ls");
  }
  return [...new Set(names)].toSorted();
}

/** Deletes a scanner that no group names. */
export function deleteScanner(state: RegistryState, name: string): Change<null> {
  if (!state.scanners.some((scanner) => scanner.name === name)) throw notFound("scanner", name, "portolan scanner ls");
  const users = state.groups.filter((group) => group.members.some((member) => member.scanner === name));
  if (users.length > 0) {
    throw new PortolanError(
      "conflict",
      `scanner "${name}" is a member of scanner group ${nameList(users)}; take it out of the group first`,
    );
  }
  return { value: null, statements: [build.delete(scannerTable).where(eq(scannerTable.name, name))] };
}

/** Creates a group of scanners. Repeating it with the same members changes nothing. */
export function addGroup(
  state: RegistryState,
  input: { name: string; members: readonly GroupMember[]; nowMs: number },
): Change<ScannerGroup> {
  checkGroupName("scanner group", input.name);
  const members = checkMembers(state, input.name, input.members);
  const value: ScannerGroup = { name: input.name, builtIn: false, members };
  const existing = state.groups.find((group) => group.name === input.name);
  if (existing !== undefined) {
    if (JSON.stringify(existing.members) === JSON.stringify(members)) return unchanged(existing);
    throw new PortolanError(
      "conflict",
      `scanner group "${input.name}" already exists with other members; change its members or choose another name`,
    );
  }
  checkLimit("scanner groups", state.groups.length + 1, LIMITS.scannerGroups);
  const insert = build.insert(scannerGroup).values({ name: input.name, createdAtMs: input.nowMs });
  return { value, statements: [insert, ...memberStatements(input.name, members)] };
}

/** Replaces all members of a group. */
export function setMembers(state: RegistryState, input: { group: string; members: readonly GroupMember[] }): Change<ScannerGroup> {
  const group = findEditable(state, input.group);
  const members = checkMembers(state, group.name, input.members);
  if (JSON.stringify(group.members) === JSON.stringify(members)) return unchanged(group);
  const users = members.length > 0 ? [] : state.plans.filter((plan) => plan.group === group.name);
  if (users.length > 0)
    throw new PortolanError("conflict", `scanner group "${group.name}" is used by plan ${nameList(users)}; it needs at least one member`);
  return { value: { ...group, members }, statements: memberStatements(group.name, members) };
}

/** Adds one member, or changes its pinned place. */
export function addMember(state: RegistryState, input: { group: string; member: GroupMember }): Change<ScannerGroup> {
  const group = findEditable(state, input.group);
  const others = group.members.filter((member) => member.scanner !== input.member.scanner);
  return setMembers(state, { group: group.name, members: [...others, input.member] });
}

export function removeMember(state: RegistryState, input: { group: string; scanner: string }): Change<ScannerGroup> {
  const group = findEditable(state, input.group);
  const members = group.members.filter((member) => member.scanner !== input.scanner);
  if (members.length === group.members.length) {
    throw new PortolanError(
      "not-found",
      `scanner "${clip(input.scanner)}" is not in scanner group "${group.name}"; its members: ${nameList(group.members.map((member) => ({ name: member.scanner })))}`,
    );
  }
  return setMembers(state, { group: group.name, members });
}

/** Deletes a scanner group that no plan uses. */
export function deleteGroup(state: RegistryState, name: string): Change<null> {
  const group = findEditable(state, name);
  const users = state.plans.filter((plan) => plan.group === group.name);
  if (users.length > 0)
    throw new PortolanError(
      "conflict",
      `scanner group "${name}" is used by plan ${nameList(users)}; delete the plan or give it another group first`,
    );
  return {
    value: null,
    statements: [
      build.delete(groupMember).where(eq(groupMember.group, name)),
      build.delete(scannerGroup).where(eq(scannerGroup.name, name)),
    ],
  };
}

function findEditable(state: RegistryState, name: string): ScannerGroup {
  if (name === ALL_SCANNERS)
    throw new PortolanError("conflict", `scanner group "${name}" is built in: it holds every scanner; make a group of your own instead`);
  const group = state.groups.find((candidate) => candidate.name === name);
  if (group === undefined) throw notFound("scanner group", name, "portolan group ls");
  return group;
}

/** Sorted by name. Throws for unknown scanners, repeats and places that are not 1 … n. */
function checkMembers(state: RegistryState, group: string, members: readonly GroupMember[]): GroupMember[] {
  const seen = new Set<string>();
  for (const member of members) {
    if (!state.scanners.some((scanner) => scanner.name === member.scanner))
      throw notFound("scanner", member.scanner, "portolan scanner ls");
    if (seen.has(member.scanner))
      throw new PortolanError("invalid", `scanner "${member.scanner}" is listed twice in scanner group "${group}"; name it once`);
    seen.add(member.scanner);
  }
  const others = state.groups.filter((candidate) => candidate.name !== group);
  checkTextSize("members", [...others, { name: group, members }]);
  if (members.length > 0) shardPlaces(members.map((member) => ({ name: member.scanner, pinned: member.pinned })));
  return members.map((member) => ({ scanner: member.scanner, pinned: member.pinned })).toSorted((a, b) => (a.scanner < b.scanner ? -1 : 1));
}

function memberStatements(group: string, members: readonly GroupMember[]): Query[] {
  const rows = JSON.stringify(members.map((member) => [member.scanner, member.pinned]));
  return [
    build.delete(groupMember).where(eq(groupMember.group, group)),
    build.insert(groupMember).select((select) =>
      select
        .select({
          group: sql<string>`${group}`.as("group_name"),
          scanner: sql<string>`value->>0`.as("scanner"),
          pinned: sql<number | null>`value->>1`.as("pinned"),
        })
        .from(sql`json_each(${rows})`),
    ),
  ];
}
