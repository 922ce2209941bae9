import type { Exclusion, KnownGood, Plan, RangeGroup, Region, RegistryState, Scanner, ScannerGroup, Webhook } from "./types.ts";

/** Kinds of things that stand in the registry one by one, with what identifies them. */
export type Resources = {
  readonly region: Region;
  readonly scanner: Scanner;
  readonly group: ScannerGroup;
  readonly "range-group": RangeGroup;
  readonly exclusion: Exclusion;
  readonly "known-good": KnownGood;
  readonly plan: Plan;
  readonly webhook: Webhook;
};
export type ResourceKind = keyof Resources;

const LISTS = {
  region: "regions",
  scanner: "scanners",
  group: "groups",
  "range-group": "rangeGroups",
  exclusion: "exclusions",
  "known-good": "knownGood",
  plan: "plans",
  webhook: "webhooks",
} as const;

/** The name or id of a thing. */
export function keyOf(resource: Resources[ResourceKind]): string {
  // A plan has both; people name it.
  return "name" in resource ? resource.name : resource.id;
}

/** All things of a kind. */
export function listOf<K extends ResourceKind>(state: RegistryState, kind: K): readonly Resources[K][] {
  return (state[LISTS[kind]] ?? []) as unknown as readonly Resources[K][];
}

/** One thing, or null. */
export function resourceOf<K extends ResourceKind>(state: RegistryState, kind: K, key: string): Resources[K] | null {
  return listOf(state, kind).find((resource) => keyOf(resource) === key) ?? null;
}

/** The state with one thing put in, changed or (null) taken out. */
export function withResource<K extends ResourceKind>(
  state: RegistryState,
  kind: K,
  { key, value }: { key: string; value: Resources[K] | null },
): RegistryState {
  const others = listOf(state, kind).filter((resource) => keyOf(resource) !== key);
  return { ...state, [LISTS[kind]]: value === null ? others : [...others, value] };
}

/** What the audit log shows of a change to a thing: no secret, and of a list of ranges only what came and went. */
export function shownSides(before: unknown, after: unknown): { readonly before: unknown; readonly after: unknown } {
  const [was, is] = [redacted(before), redacted(after)];
  if (!hasRanges(was) || !hasRanges(is)) return { before: was, after: is };
  const had = new Set(was.ranges.map(textOf));
  const has = new Set(is.ranges.map(textOf));
  if (had.size + has.size < 100) return { before: was, after: is };
  return {
    before: { ...was, ranges: [...had].filter((text) => !has.has(text)), rangesTotal: had.size },
    after: { ...is, ranges: [...has].filter((text) => !had.has(text)), rangesTotal: has.size },
  };
}

function redacted(side: unknown): unknown {
  if (typeof side !== "object" || side === null || !("secrets" in side) || !Array.isArray(side.secrets)) return side;
  const secrets = (side as Webhook).secrets.map(({ createdAtMs, expiresAtMs }) => ({ createdAtMs, expiresAtMs }));
  return { ...side, secrets };
}

function hasRanges(side: unknown): side is { readonly ranges: readonly unknown[] } {
  return typeof side === "object" && side !== null && "ranges" in side && Array.isArray(side.ranges);
}

function textOf(range: unknown): string {
  return typeof range === "object" && range !== null && "canonical" in range ? String(range.canonical) : String(range);
}

/** Which regions and which scanner group a thing belongs to; null: it concerns everybody. */
export function belongsTo(kind: string, resource: unknown): { readonly regions: readonly string[]; readonly group: string | null } | null {
  if (resource === null || typeof resource !== "object") return null;
  if (kind === "scanner") return { regions: [(resource as Scanner).region], group: null };
  if (kind === "region") return { regions: [(resource as Region).name], group: null };
  if (kind === "plan") return { regions: (resource as Plan).homes, group: (resource as Plan).group };
  if (kind === "group") return { regions: [], group: (resource as ScannerGroup).name };
  return null;
}

/** Entity tag of one thing's row: what an If-Match may name. It changes with every edit. */
export function rowTag(resource: unknown): string {
  return hashText(JSON.stringify(resource));
}

/** 64 bits of hash as hex, quick for long texts too; nothing secret depends on it. */
export function hashText(text: string): string {
  let [a, b] = [0x811c_9dc5, 0x9e37_79b9];
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    a = Math.imul(a ^ code, 0x0100_0193);
    b = Math.imul((b << 5) ^ (b >>> 7) ^ code, 0x85eb_ca6b);
  }
  return [a ^ (b >>> 15), b ^ (a >>> 13)].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

/**
 * Whether an If-Match header names this version of a thing: `*`, `"<row>"`, `"<row>.<body>"` as GET tells it, or `"v<version>"` of the whole
 * registry. Weak marks are passed over: proxies add them when they compress.
 */
export function tagMatches(ifMatch: string, resource: unknown, version: number): boolean {
  const tag = rowTag(resource);
  return ifMatch.split(",").some((part) => {
    const text = part.trim().replace(/^W\//, "");
    if (text === "*") return true;
    const bare = /^"([^"]*)"$/.exec(text)?.[1];
    return bare !== undefined && (bare.split(".")[0] === tag || bare.split(".")[0] === `v${version}`);
  });
}
