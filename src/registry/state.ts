import { eq } from "drizzle-orm";
import { PortolanError } from "../core/errors.ts";
import { type Read, type RowOf, build, readRows } from "./query.ts";
import { exclusion, groupMember, knownGood, meta, plan, range, rangeGroup, region, scanner, scannerGroup, webhook } from "./schema.ts";
import type { Store } from "./store.ts";
import type { RangeGroup, RegistryState, ScannerGroup } from "./types.ts";

/** Counts accepted writes from 0. Throws `unavailable` when its row is missing: the migrations were not applied. */
export const VERSION: Read<number> = {
  query: build.select({ version: meta.version }).from(meta).where(eq(meta.id, 1)),
  parse: (result) => {
    const version = result.rows[0]?.[0];
    if (typeof version === "number") return version;
    throw new PortolanError("unavailable", "the registry has no version row; apply migrations/registry first");
  },
};

const HOME: Read<string | null> = {
  query: build.select({ home: meta.home }).from(meta).where(eq(meta.id, 1)),
  parse: (result) => {
    const home = result.rows[0]?.[0];
    return typeof home === "string" ? home : null;
  },
};
const REGIONS = readRows(
  {
    name: region.name,
    natsUrl: region.natsUrl,
    apiUrl: region.apiUrl,
    keeperPublicKeys: region.keeperPublicKeys,
    latitude: region.latitude,
    longitude: region.longitude,
    state: region.state,
    createdAtMs: region.createdAtMs,
  },
  { from: region, orderBy: [region.name] },
);
const SCANNERS = readRows(
  {
    name: scanner.name,
    region: scanner.region,
    addresses: scanner.addresses,
    publicKey: scanner.publicKey,
    enabled: scanner.enabled,
    mayProbe: scanner.mayProbe,
    mayNotProbe: scanner.mayNotProbe,
    createdAtMs: scanner.createdAtMs,
  },
  { from: scanner, orderBy: [scanner.name] },
);
const GROUPS = readRows({ name: scannerGroup.name }, { from: scannerGroup, orderBy: [scannerGroup.name] });
const MEMBER_COLUMNS = { group: groupMember.group, scanner: groupMember.scanner, pinned: groupMember.pinned };
const MEMBERS = readRows(MEMBER_COLUMNS, { from: groupMember, orderBy: [groupMember.group, groupMember.scanner] });
const RANGE_GROUP_COLUMNS = { name: rangeGroup.name, allowSpecialPurpose: rangeGroup.allowSpecialPurpose };
const RANGE_GROUPS = readRows(RANGE_GROUP_COLUMNS, { from: rangeGroup, orderBy: [rangeGroup.name] });
const RANGE_COLUMNS = { group: range.group, canonical: range.canonical, text: range.text };
const RANGES = readRows(RANGE_COLUMNS, { from: range, orderBy: [range.group, range.first] });
const EXCLUSIONS = readRows(
  {
    id: exclusion.id,
    ranges: exclusion.ranges,
    ports: exclusion.ports,
    owner: exclusion.owner,
    reason: exclusion.reason,
    expiresAtMs: exclusion.expiresAtMs,
    createdAtMs: exclusion.createdAtMs,
  },
  { from: exclusion, orderBy: [exclusion.createdAtMs, exclusion.id] },
);
const KNOWN_GOOD = readRows(
  {
    id: knownGood.id,
    ranges: knownGood.ranges,
    ports: knownGood.ports,
    owner: knownGood.owner,
    reason: knownGood.reason,
    expiresAtMs: knownGood.expiresAtMs,
    createdAtMs: knownGood.createdAtMs,
  },
  { from: knownGood, orderBy: [knownGood.createdAtMs, knownGood.id] },
);
const PLANS = readRows(
  {
    id: plan.id,
    name: plan.name,
    revision: plan.revision,
    enabled: plan.enabled,
    include: plan.include,
    exclude: plan.exclude,
    ports: plan.ports,
    rateLimitPps: plan.rateLimitPps,
    retries: plan.retries,
    group: plan.group,
    engine: plan.engine,
    intervalS: plan.intervalS,
    cron: plan.cron,
    timeZone: plan.timeZone,
    deadlineS: plan.deadlineS,
    closeAfter: plan.closeAfter,
    confirm: plan.confirm,
    home: plan.home,
    homes: plan.homes,
    takeoverAfterS: plan.takeoverAfterS,
    pairsMax: plan.pairsMax,
    canaries: plan.canaries,
    ownGroup: plan.ownGroup,
    createdAtMs: plan.createdAtMs,
  },
  { from: plan, orderBy: [plan.name] },
);
const WEBHOOKS = readRows(
  {
    name: webhook.name,
    url: webhook.url,
    events: webhook.events,
    enabled: webhook.enabled,
    secrets: webhook.secrets,
    createdAtMs: webhook.createdAtMs,
  },
  { from: webhook, orderBy: [webhook.name] },
);

/** All configuration at one version, in one round trip. */
export async function loadState(store: Store): Promise<RegistryState> {
  const [version, home, regions, scanners, groups, members, rangeGroups, ranges, exclusions, knownGoods, plans, webhooks] =
    await store.read(VERSION, HOME, REGIONS, SCANNERS, GROUPS, MEMBERS, RANGE_GROUPS, RANGES, EXCLUSIONS, KNOWN_GOOD, PLANS, WEBHOOKS);
  return {
    version,
    home,
    regions,
    scanners,
    groups: collectGroups(groups, members),
    rangeGroups: collectRanges(rangeGroups, ranges),
    exclusions,
    knownGood: knownGoods,
    plans,
    webhooks,
  };
}

type Named = { readonly name: string };

function collectGroups(groups: readonly Named[], members: readonly RowOf<typeof MEMBER_COLUMNS>[]): ScannerGroup[] {
  const byGroup = Map.groupBy(members, ({ group }) => group);
  return groups.map(({ name }) => ({
    name,
    builtIn: false,
    members: (byGroup.get(name) ?? []).map(({ scanner: member, pinned }) => ({ scanner: member, pinned })),
  }));
}

function collectRanges(groups: readonly RowOf<typeof RANGE_GROUP_COLUMNS>[], ranges: readonly RowOf<typeof RANGE_COLUMNS>[]): RangeGroup[] {
  const byGroup = Map.groupBy(ranges, ({ group }) => group);
  return groups.map(({ name, allowSpecialPurpose }) => ({
    name,
    builtIn: false,
    allowSpecialPurpose,
    ranges: (byGroup.get(name) ?? []).map(({ canonical, text }) => ({ canonical, text })),
  }));
}
