import { and, eq, inArray, sql } from "drizzle-orm";
import { addressToHex } from "../../core/address.ts";
import { PortolanError } from "../../core/errors.ts";
import { type AddressRange, formatRange, parseRange } from "../../core/range.ts";
import { specialIn } from "../../core/special.ts";
import { type Query, build } from "../query.ts";
import { rangeGroup, range as table } from "../schema.ts";
import { type RangeEntry, type RangeGroup, type RegistryState, SCANNER_ADDRESSES } from "../types.ts";
import {
  type Change,
  LIMITS,
  checkGroupName,
  checkLimit,
  checkTextSize,
  nameList,
  notFound,
  plansWithRangeGroup,
  unchanged,
} from "./change.ts";

type Parsed = RangeEntry & { readonly range: AddressRange };

/** Creates a range group, with ranges or empty. Repeating with the same ranges changes nothing. */
export function addRangeGroup(
  state: RegistryState,
  input: { name: string; ranges: readonly string[]; allowSpecialPurpose?: boolean | undefined; rangesMax?: number; nowMs: number },
): Change<RangeGroup> {
  checkGroupName("range group", input.name);
  const entries = parseEntries(input.name, input.ranges, input.rangesMax);
  const allowSpecialPurpose = input.allowSpecialPurpose ?? false;
  const group: RangeGroup = { name: input.name, builtIn: false, allowSpecialPurpose, ranges: entries.map(toEntry) };
  const existing = state.rangeGroups.find((candidate) => candidate.name === input.name);
  if (existing !== undefined) {
    const isSame = (existing.allowSpecialPurpose ?? false) === allowSpecialPurpose && sameRanges(existing.ranges, group.ranges);
    if (isSame) return unchanged(existing);
    throw new PortolanError(
      "conflict",
      `range group "${input.name}" already exists with other ranges or another allowSpecialPurpose; add ranges to it or choose another name`,
    );
  }
  checkLimit("range groups", state.rangeGroups.length + 1, LIMITS.rangeGroups);
  checkTotal(state, entries);
  return { value: group, statements: [insertGroup(group, input.nowMs), ...insertRanges(input.name, entries)] };
}

/** Deletes a range group that no plan uses. */
export function deleteRangeGroup(state: RegistryState, name: string): Change<null> {
  findEditable(state, name);
  const users = plansWithRangeGroup(state, name);
  if (users.length > 0) {
    throw new PortolanError(
      "conflict",
      `range group "${name}" is used by plan ${nameList(users)}; delete the plan or take the group out of it first`,
    );
  }
  const bound = state.scanners.filter((scanner) => scanner.mayProbe?.includes(name) === true || scanner.mayNotProbe.includes(name));
  if (bound.length > 0) {
    throw new PortolanError("conflict", `range group "${name}" says what scanner ${nameList(bound)} may probe; change the scanner first`);
  }
  return { value: null, statements: deleteGroupStatements(name) };
}

/** Adds ranges; those that the group already has are passed over. An overlap refuses all of them. */
export function addRanges(
  state: RegistryState,
  input: { group: string; ranges: readonly string[]; rangesMax?: number },
): Change<RangeGroup> {
  const group = findEditable(state, input.group);
  const have = new Set(group.ranges.map((entry) => entry.canonical));
  const fresh = parseEntries(group.name, input.ranges, input.rangesMax).filter((entry) => !have.has(entry.canonical));
  if (fresh.length === 0) return unchanged(group);
  const all = [...group.ranges.map(toParsed), ...fresh];
  refuseOverlap(group.name, all);
  refuseSpecial(state, group, fresh);
  checkTotal(state, fresh);
  return { value: { ...group, ranges: sorted(all).map(toEntry) }, statements: insertRanges(group.name, fresh) };
}

/** The group holds exactly these ranges afterwards. Throws `conflict` for an overlap, or when a plan would have nothing left to scan. */
export function setRanges(state: RegistryState, input: { group: string; ranges: readonly string[] }): Change<RangeGroup> {
  const group = findEditable(state, input.group);
  const wanted = parseEntries(group.name, input.ranges, LIMITS.rangesTotal);
  const value: RangeGroup = { ...group, ranges: wanted.map(toEntry) };
  if (JSON.stringify(value.ranges) === JSON.stringify(group.ranges)) return unchanged(group);
  refuseEmptied(state, group.name, wanted);
  refuseSpecial(state, group, wanted);
  const others = { ...state, rangeGroups: state.rangeGroups.filter((candidate) => candidate !== group) };
  checkTotal(others, wanted);
  return { value, statements: [build.delete(table).where(eq(table.group, group.name)), ...insertRanges(group.name, wanted)] };
}

/** Removes ranges, each in the spelling of an entry or its canonical one. */
export function removeRanges(state: RegistryState, input: { group: string; ranges: readonly string[] }): Change<RangeGroup> {
  const group = findEditable(state, input.group);
  const gone = new Set(parseEntries(group.name, input.ranges).map((entry) => entry.canonical));
  const rest = group.ranges.filter((entry) => !gone.has(entry.canonical));
  for (const canonical of gone) {
    if (group.ranges.some((entry) => entry.canonical === canonical)) continue;
    throw new PortolanError(
      "not-found",
      `range group "${group.name}" has no range ${canonical}; only whole entries can be removed: list them first`,
    );
  }
  const value: RangeGroup = { ...group, ranges: rest };
  refuseEmptied(state, group.name, rest);
  const keys = JSON.stringify([...gone].map((canonical) => addressToHex(parseRange(canonical).first)));
  const statement = build
    .delete(table)
    .where(and(eq(table.group, group.name), inArray(table.first, sql`(select unhex(value) from json_each(${keys}))`)));
  return { value, statements: [statement] };
}

/** Statements that delete a group with its ranges. */
export function deleteGroupStatements(name: string): Query[] {
  return [build.delete(table).where(eq(table.group, name)), build.delete(rangeGroup).where(eq(rangeGroup.name, name))];
}

/** What a plan scans already gets no private range that nobody meant. */
function refuseSpecial(state: RegistryState, group: RangeGroup, fresh: readonly Parsed[]): void {
  const users = group.allowSpecialPurpose === true ? [] : state.plans.filter((plan) => plan.include.includes(group.name));
  const hit = users.length === 0 ? undefined : specialIn(fresh.map(({ range }) => range)).find(({ block }) => block.needsLeave);
  const [first] = hit?.ranges ?? [];
  if (hit === undefined || first === undefined) return;
  throw new PortolanError(
    "conflict",
    `${formatRange(first)} is a special-purpose block (${hit.block.what}), and plan ${nameList(users)} scans range group "${group.name}", ` +
      `which was made without allowSpecialPurpose; put it into a group of its own`,
  );
}

function refuseEmptied(state: RegistryState, name: string, rest: readonly RangeEntry[]): void {
  const emptied = rest.length > 0 ? [] : state.plans.filter((plan) => plan.include.every((included) => included === name));
  if (emptied.length === 0) return;
  throw new PortolanError(
    "conflict",
    `removing the last range of "${name}" would leave plan ${nameList(emptied)} nothing to scan; delete the plan first`,
  );
}

function findEditable(state: RegistryState, name: string): RangeGroup {
  if (name === SCANNER_ADDRESSES) {
    throw new PortolanError(
      "conflict",
      `range group "${name}" is built in: it follows the registered scanners; register or delete a scanner instead`,
    );
  }
  const group = state.rangeGroups.find((candidate) => candidate.name === name);
  if (group === undefined) throw notFound("range group", name, "portolan range ls");
  return group;
}

/** Parses, sorts, drops exact repeats, refuses overlaps. */
function parseEntries(group: string, texts: readonly string[], max: number = LIMITS.rangesPerRequest): Parsed[] {
  if (texts.length > max) {
    throw new PortolanError("too-large", `${texts.length} ranges in one request; send at most ${max} at a time`);
  }
  const byCanonical = new Map<string, Parsed>();
  for (const text of texts) {
    const range = parseRange(text.trim());
    const canonical = formatRange(range);
    if (!byCanonical.has(canonical)) byCanonical.set(canonical, { range, canonical, text: text.trim() });
  }
  const entries = sorted([...byCanonical.values()]);
  refuseOverlap(group, entries);
  return entries;
}

function refuseOverlap(group: string, entries: readonly Parsed[]): void {
  const inOrder = sorted(entries);
  for (const [index, entry] of inOrder.entries()) {
    const next = inOrder[index + 1];
    if (next === undefined || next.range.first > entry.range.last) continue;
    throw new PortolanError(
      "conflict",
      `ranges ${entry.text} and ${next.text} overlap in range group "${group}"; keep one of the two or use separate groups`,
    );
  }
}

function sorted(entries: readonly Parsed[]): Parsed[] {
  return entries.toSorted((a, b) => (a.range.first < b.range.first ? -1 : a.range.first > b.range.first ? 1 : 0));
}

function toParsed(entry: RangeEntry): Parsed {
  return { ...entry, range: parseRange(entry.canonical) };
}

function toEntry(entry: Parsed): RangeEntry {
  return { canonical: entry.canonical, text: entry.text };
}

function sameRanges(a: readonly RangeEntry[], b: readonly RangeEntry[]): boolean {
  return a.length === b.length && a.every((entry, index) => entry.canonical === b[index]?.canonical);
}

function checkTotal(state: RegistryState, more: readonly RangeEntry[]): void {
  const total = state.rangeGroups.reduce((sum, group) => sum + group.ranges.length, 0);
  checkLimit("ranges", total + more.length, LIMITS.rangesTotal);
  const texts = (entries: readonly RangeEntry[]): string[][] => entries.map((entry) => [entry.canonical, entry.text]);
  checkTextSize("ranges", [...state.rangeGroups.map((group) => texts(group.ranges)), texts(more)]);
}

function insertGroup({ name, allowSpecialPurpose = false }: RangeGroup, nowMs: number): Query {
  return build.insert(rangeGroup).values({ name, allowSpecialPurpose, createdAtMs: nowMs });
}

function insertRanges(group: string, entries: readonly Parsed[]): Query[] {
  if (entries.length === 0) return [];
  const rows = entries.map((entry) => [addressToHex(entry.range.first), addressToHex(entry.range.last), entry.canonical, entry.text]);
  return [
    build.insert(table).select((select) =>
      select
        .select({
          group: sql<string>`${group}`.as("group_name"),
          first: sql<Uint8Array>`unhex(value->>0)`.as("first_key"),
          last: sql<Uint8Array>`unhex(value->>1)`.as("last_key"),
          canonical: sql<string>`value->>2`.as("canonical"),
          text: sql<string>`value->>3`.as("text"),
        })
        .from(sql`json_each(${JSON.stringify(rows)})`),
    ),
  ];
}
